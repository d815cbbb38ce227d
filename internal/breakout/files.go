package breakout

import (
	"proofbox"
	"proofbox/internal/box"
)

// Openings that twins have.
var (
	homeReadable  = box.Opening{Source: "{home-folder}", Target: "{home-folder}"}
	homeWritable  = box.Opening{Source: "{home-folder}", Target: "{home-folder}", Writable: true}
	tmpReadable   = box.Opening{Source: "{tmp-folder}", Target: "{tmp-folder}"}
	stateReadable = box.Opening{Source: "{state-folder}", Target: "{state-folder}"}
)

func opened(o ...box.Opening) Setting { return Setting{Weakness: box.Weakness{Binds: o}} }

// notWritten leaves a probe out for a wall whose twin could show the host's
// files but not let them be written.
func notWritten() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{
		proofbox.MicroVM: "a guest has no way to a file of the host but what is packed into an image for it",
	}
}

// files is group A: from the box to files of the host.
func files() []Probe {
	return []Probe{
		{ID: "A1a", Title: "read a file in the home folder of the host's user by its path", Attack: []string{"read", "{home}"}, Oracle: revealed("home"), Twin: opened(homeReadable)},
		{ID: "A1b", Title: "read a file in the host's /tmp by its path", Attack: []string{"read", "{tmp}"}, Oracle: revealed("tmp"), Twin: opened(tmpReadable)},
		{ID: "A1c", Title: "read proofbox's own state by its path", Attack: []string{"read", "{state}"}, Oracle: revealed("state"), Twin: opened(stateReadable)},
		{ID: "A1d", Title: "write a file of the host by its path", Attack: []string{"write", "{home}", "{token}"}, Oracle: changed("home"), Twin: opened(homeWritable), Not: notWritten()},
	}
}
