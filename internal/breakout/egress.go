package breakout

import "proofbox/internal/box"

// egress is group J: from the box to the network.
func egress() []Probe {
	shared := Setting{Weakness: box.Weakness{Network: true}}
	return []Probe{
		{ID: "J1", Title: "connect to a service on the host's loopback", Attack: []string{"dial", "tcp", "{tcp}", "{token}"}, Oracle: heard("tcp"), Twin: shared},
	}
}
