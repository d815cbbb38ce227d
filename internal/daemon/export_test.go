package daemon

import (
	"context"
	"crypto/x509"
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
