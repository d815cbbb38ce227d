package breakout

import (
	"proofbox"
	"proofbox/internal/box"
)

// processes is group F: tracing and other ways between processes.
func processes() []Probe {
	return []Probe{
		{ID: "F1", Title: "trace the process of the jail", Attack: []string{"trace"}, Oracle: traced(), Twin: withJail(), Not: onlyKernel()},
		{ID: "F3", Title: "take the door from process 1 (pidfd_getfd)", Attack: []string{"steal"}, Oracle: stolen(), Twin: ownRoot(), Not: onlyKernel()},
		{ID: "F4", Title: "kill process 1 of the box", Attack: []string{"kill-init"}, Oracle: boxLost(), Twin: withJail(), MayEnd: true, Not: map[proofbox.Wall]string{
			proofbox.Gvisor:  "gVisor lets a box end its own process 1, and the box ends with it",
			proofbox.MicroVM: "process 1 is the guest's, and the guest ends with it",
		}},
		{ID: "F6", Title: "have memory written to a file by a crash", Attack: []string{"raise-limit", "core"}, Oracle: limitAbove("Max core file size", 0), Twin: Setting{Weakness: box.Weakness{Rlimits: true}}, Not: onlyKernel()},
	}
}
