package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"

	"proofbox"
	"proofbox/internal/policy"
)

// Network is how a gateway reaches the world. What it gives and what it is
// given is checked by the gateway: a network cannot make an internal address
// reachable.
type Network interface {
	// Resolve gives the addresses of a name.
	Resolve(ctx context.Context, name string) ([]netip.Addr, error)
	// Dial connects to an address.
	Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// hostNetwork is this host's.
type hostNetwork struct{}

func (hostNetwork) Resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name+".") // the whole name, whatever the host searches
}

func (hostNetwork) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}

// destination reads a name and a port out of a request. port is what counts
// where the text has none, 0 where it must have one.
func destination(text string, port int) (proofbox.Destination, error) {
	bad := func(err error) error { return &denial{http.StatusForbidden, plain(err)} }
	host, digits, err := net.SplitHostPort(text)
	if err != nil && port == 0 {
		return proofbox.Destination{}, bad(fmt.Errorf("%q has no port", text))
	}
	if err != nil {
		host = text
	} else if n, err := strconv.ParseUint(digits, 10, 16); err != nil || n == 0 {
		return proofbox.Destination{}, bad(fmt.Errorf("%q has no port from 1 to 65535", text))
	} else {
		port = int(n)
	}
	name, err := policy.Name(host)
	if err != nil {
		return proofbox.Destination{}, bad(err)
	}
	return proofbox.Destination{Host: name, Port: port}, nil
}

// dialText is reach for net/http.
func (g *Gateway) dialText(ctx context.Context, _, address string) (net.Conn, error) {
	to, err := destination(address, 0)
	if err != nil {
		return nil, err
	}
	return g.reach(ctx, to)
}

// reach connects to a destination if the rules allow it. It is the only place
// where a connection to the outside is made.
func (g *Gateway) reach(ctx context.Context, to proofbox.Destination) (net.Conn, error) {
	if err := g.decide(to); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	stop := context.AfterFunc(g.over, cancel)
	defer stop()
	addresses, err := g.resolve(ctx, to)
	if err != nil {
		return nil, err
	}
	var failures error
	for _, a := range addresses {
		conn, err := g.config.Network.Dial(ctx, netip.AddrPortFrom(a, uint16(to.Port)))
		if err == nil {
			return g.admit(conn, to)
		}
		failures = errors.Join(failures, err)
	}
	return nil, failures
}

// admit takes a connection that was made into account.
func (g *Gateway) admit(conn net.Conn, to proofbox.Destination) (net.Conn, error) {
	u := &upstream{Conn: conn, to: to, budget: g.budgets.of(to)}
	if err := g.denied.admit(u); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return u, nil
}

// maxAddresses is how many addresses of one name are tried.
const maxAddresses = 4

// resolve gives the addresses of a destination. A name that has an internal
// address beside public ones is refused as a whole: whoever answers so means no
// good.
func (g *Gateway) resolve(ctx context.Context, to proofbox.Destination) ([]netip.Addr, error) {
	addresses, err := g.config.Network.Resolve(ctx, to.Host)
	if err != nil {
		return nil, fmt.Errorf("the name %s cannot be resolved: %w", to.Host, err)
	}
	for _, a := range addresses {
		if what := g.internal(a); what != "" {
			return nil, &denial{http.StatusForbidden, fmt.Sprintf("%s is an address of %s, where no box may connect to", to.Host, what)}
		}
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("the name %s has no address", to.Host)
	}
	return addresses[:min(len(addresses), maxAddresses)], nil
}

// plain says what went wrong without naming addresses of the host or of its
// resolver.
func plain(err error) string {
	var dns *net.DNSError
	var errno syscall.Errno
	var op *net.OpError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such name"
	case errors.As(err, &dns):
		return "its name cannot be resolved now"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &op):
		return plain(op.Err)
	default:
		return short(err.Error())
	}
}

// upstream is a connection to the outside whose bytes count, and which ends when
// its destination is taken away.
type upstream struct {
	net.Conn
	to      proofbox.Destination
	budget  *budget
	denied  *denied
	refused error // guarded by denied.mu
}

// Read implements [net.Conn]; where the destination was taken away it says so.
func (u *upstream) Read(p []byte) (int, error) {
	n, err := u.Conn.Read(p)
	if err != nil {
		if why := u.reason(); why != nil {
			return n, why
		}
	}
	return n, err
}

// Write implements [net.Conn].
func (u *upstream) Write(p []byte) (int, error) {
	if why := u.reason(); why != nil {
		return 0, why
	}
	if err := u.budget.take(len(p)); err != nil {
		_ = u.Close() // what was sent so far is all that leaves
		return 0, err
	}
	return u.Conn.Write(p)
}

// CloseWrite says that nothing more will be sent.
func (u *upstream) CloseWrite() error {
	if c, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return u.Close()
}

// budgets bound what may be sent, for each destination.
type budgets struct {
	limit int64

	mu   sync.Mutex
	left map[proofbox.Destination]*budget // guarded by mu
}

func (b *budgets) of(to proofbox.Destination) *budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == nil {
		b.left = map[proofbox.Destination]*budget{}
	}
	if b.left[to] == nil {
		b.left[to] = &budget{to: to, limit: b.limit, left: b.limit}
	}
	return b.left[to]
}

// budget is what may still be sent to one destination.
type budget struct {
	to    proofbox.Destination
	limit int64

	mu   sync.Mutex
	left int64 // guarded by mu
}

// take takes bytes before they are sent: all of them, or none.
func (b *budget) take(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if int64(n) > b.left {
		return &denial{http.StatusForbidden, fmt.Sprintf(
			"more than %s would have been sent to %s; raise it with --upload", proofbox.Size(b.limit), b.to)}
	}
	b.left -= int64(n)
	return nil
}
