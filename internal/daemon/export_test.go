package daemon

import (
	"context"

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
	return d.trial(ctx, &breakout.Trial{Wall: wall, Program: d.programs.attack, Probes: probes, Base: box.Weakness{Calls: true}})
}

// Reach has gateways reach the world by a network of a test.
func Reach(d *Daemon, n gateway.Network) { d.network = n }
