package box

import (
	"os"

	"proofbox"
	"proofbox/internal/box/jail"
)

// Sample is the layout of a box as this host would start one behind a wall, for
// who wants to know what boxes are configured like. Nothing is reserved or made.
func (h *Host) Sample(wall proofbox.Wall) (Layout, error) {
	id := jail.SampleIdentity()
	if os.Geteuid() != 0 {
		var err error
		if id, err = jail.UserIdentity(); err != nil {
			return Layout{}, err
		}
	}
	b := &Box{config: Config{ID: "sample", Hostname: "box", Enforced: h.Enforcements(wall), Limits: proofbox.DefaultLimits}, identity: id}
	return b.layout(), nil
}
