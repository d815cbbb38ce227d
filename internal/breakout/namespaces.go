package breakout

import "proofbox/internal/box"

// noCaps is an empty set of capabilities, as the kernel writes it.
const noCaps = "0000000000000000"

// namespaces is group E: namespaces and capabilities.
func namespaces() []Probe {
	root := Setting{Weakness: box.Weakness{Root: true}}
	return []Probe{
		{ID: "E1a", Title: "make a user namespace with unshare(2)", Attack: []string{"unshare", "user"}, Oracle: parts("user"), Twin: Setting{Weakness: box.Weakness{Calls: true}}, Not: onlyKernel()},
		{ID: "E4a", Title: "have a capability in the bounding set", Attack: []string{"idle"}, Oracle: status("CapBnd", noCaps), Twin: root, UserOnly: true, Not: onlyKernel()},
		{ID: "E4b", Title: "gain privileges by executing", Attack: []string{"idle"}, Oracle: status("NoNewPrivs", "1"), Twin: Setting{Weakness: box.Weakness{Setuid: true}}, Not: onlyKernel()},
		{ID: "E7a", Title: "be in the host's network namespace", Attack: []string{"idle"}, Oracle: shares("net"), Twin: Setting{Weakness: box.Weakness{Network: true}}},
	}
}
