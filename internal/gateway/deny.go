package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"sync"

	"proofbox"
	"proofbox/internal/policy"
)

// denied is what was taken away from the box while it runs, and what is open.
type denied struct {
	mu    sync.Mutex
	rules []proofbox.Destination // guarded by mu
	open  map[*upstream]struct{} // guarded by mu
}

// Deny takes destinations away for good: connections to them are ended, wherever
// they are in what they do, and no new ones are made. A destination without a
// port is one with every port.
func (g *Gateway) Deny(rules ...proofbox.Destination) {
	d := &g.denied
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range rules {
		if !slices.Contains(d.rules, r) {
			d.rules = append(d.rules, r)
		}
	}
	for u := range d.open {
		if err := d.check(u.to); err != nil {
			u.refused = err
			_ = u.Conn.Close() // whoever reads or writes there hears it
		}
	}
}

// Denied lists what was taken away.
func (g *Gateway) Denied() []proofbox.Destination {
	g.denied.mu.Lock()
	defer g.denied.mu.Unlock()
	return slices.Clone(g.denied.rules)
}

// decide says whether a destination was taken away.
func (d *denied) decide(to proofbox.Destination) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.check(to)
}

// check is decide for who holds mu.
func (d *denied) check(to proofbox.Destination) error {
	for _, r := range d.rules {
		if r.Port == 0 {
			r.Port = to.Port
		}
		if _, ok := policy.Allowed([]proofbox.Destination{r}, to.Host, to.Port); ok {
			return &denial{http.StatusForbidden, fmt.Sprintf("%s was allowed, and was taken away from this run while it ran", to)}
		}
	}
	return nil
}

// admit has a new connection end when its destination is taken away, unless it
// was since the connection was begun.
func (d *denied) admit(u *upstream) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(u.to); err != nil {
		return err
	}
	if d.open == nil {
		d.open = map[*upstream]struct{}{}
	}
	d.open[u] = struct{}{}
	u.denied = d
	return nil
}

// dismiss forgets a connection that is closed.
func (d *denied) dismiss(u *upstream) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, u)
}

// reason says why a connection was ended; nil where it was not taken away.
func (u *upstream) reason() error {
	u.denied.mu.Lock()
	defer u.denied.mu.Unlock()
	return u.refused
}

// Close implements [net.Conn].
func (u *upstream) Close() error {
	u.denied.dismiss(u)
	return u.Conn.Close()
}
