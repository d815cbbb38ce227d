package daemon

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/breakout"
	"proofbox/internal/gateway"
)

// TrialOfWeakWall tries a wall from every box of which the list of system calls
// was taken.
func TrialOfWeakWall(ctx context.Context, d *Daemon, wall proofbox.Wall, only string) (proofbox.Trial, error) {
	probes, err := breakout.Select(only)
	if err != nil {
		return proofbox.Trial{}, err
	}
	t := &breakout.Trial{Wall: wall, Program: d.programs.attack, Probes: probes, Base: box.Weakness{Calls: true}}
	return d.trial(ctx, t, t.Run)
}

// HomeOf is a daemon's state folder.
func HomeOf(d *Daemon) string { return d.store.home }

// Reach has gateways reach the world by a network of a test.
func Reach(d *Daemon, n gateway.Network) { d.network = n }

// Trust has gateways trust somebody else than this host does.
func Trust(d *Daemon, roots *x509.CertPool) { d.roots = roots }

// Certify makes the certificate of a trial of one probe, with parts that are
// other than this host's.
func Certify(t *testing.T, d *Daemon, wall proofbox.Wall, ended time.Time, verdict proofbox.Verdict, other ...string) string {
	t.Helper()
	parts, err := d.parts(wall)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range other {
		if name != "" {
			parts[name] += " of another host"
		}
	}
	file, err := d.certify(t.Context(), proofbox.Trial{
		Wall: wall, Ended: ended.UTC(), Holds: verdict == proofbox.Contained,
		Probes: []proofbox.ProbeResult{{ID: "A1a", Verdict: verdict}},
	}, parts)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// AlterStaged writes another body for a request that was held.
func AlterStaged(t *testing.T, d *Daemon, run string, n int, body string) {
	t.Helper()
	if err := os.WriteFile(bodyOf(filepath.Join(d.store.dir(run), stagedDir), n), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Waiting is how many boxes are ready.
func Waiting(d *Daemon) int {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	return len(d.pool.waiting)
}

// ReplaceInit gives further boxes another file as their process 1, which does the
// same.
func ReplaceInit(t *testing.T, d *Daemon) {
	t.Helper()
	text, err := os.ReadFile(d.host.Init)
	if err != nil {
		t.Fatal(err)
	}
	d.host.Init = filepath.Join(t.TempDir(), "proofbox-init")
	if err := os.WriteFile(d.host.Init, append(text, 0), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestPool is a pool of boxes that are none.
type TestPool struct{ pool }

// NewTestPool makes a full pool, of as many boxes of each kind.
func NewTestPool(size int, kinds ...string) *TestPool {
	p := &TestPool{pool{size: size}}
	for _, k := range kinds {
		c := box.Config{RootKey: k}
		p.recent = append(p.recent, c)
		for i := range size / len(kinds) {
			p.waiting = append(p.waiting, &waiting{id: fmt.Sprint(k, i), kind: kindOf(c)})
		}
	}
	return p
}

// Pick takes a box of a kind; empty where there is none.
func (p *TestPool) Pick(k string) string {
	if w := p.pick(kind{root: k}); w != nil {
		return w.id
	}
	return ""
}

// Missing is the kind that is made next.
func (p *TestPool) Missing() string {
	c, _ := p.missing()
	return c.RootKey
}

// Surplus is how many boxes are too many.
func (p *TestPool) Surplus() int { return len(p.surplus()) }

// Forget forgets a kind.
func (p *TestPool) Forget(k string) { p.forget(kind{root: k}) }
