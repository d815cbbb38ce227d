package breakout

import (
	"proofbox"
	"proofbox/internal/box"
)

// noCaps is an empty set of capabilities, as the kernel writes it.
const noCaps = "0000000000000000"

// unfiltered is a twin whose calls nothing filters, neither the list nor
// Landlock.
func unfiltered() Setting { return Setting{Weakness: box.Weakness{Calls: true, Landlock: true}} }

// namespaces is group E: namespaces and capabilities.
func namespaces() []Probe {
	root := Setting{Weakness: box.Weakness{Root: true}}
	sharing := Setting{Weakness: box.Weakness{Network: true, IPC: true, UTS: true, Groups: true}}
	list := []Probe{
		{ID: "E2", Title: "enter a namespace of the jail by its process", Attack: []string{"enter"}, Oracle: parts("net"), Twin: withJail(), Not: onlyKernel()},
		{ID: "E3a", Title: "make a user namespace with clone(2)", Attack: []string{"clone", "user"}, Oracle: parts("user"), Twin: unfiltered(), Not: onlyKernel()},
		{ID: "E3b", Title: "make a user namespace with clone3(2), whose flags a filter cannot see", Attack: []string{"clone3", "user"}, Oracle: parts("user"), Twin: unfiltered(), Not: onlyKernel()},
		{ID: "E3c", Title: "make a user namespace with flags in the upper half of the argument", Attack: []string{"clone-wide", "user"}, Oracle: parts("user"), Twin: unfiltered(), Not: onlyKernel()},
		{ID: "E4a", Title: "have a capability in the bounding set", Attack: []string{"idle"}, Oracle: status("CapBnd", noCaps), Twin: root, UserOnly: true, Not: onlyKernel()},
		{ID: "E4b", Title: "have a capability in effect", Attack: []string{"raise"}, Oracle: status("CapEff", noCaps), Twin: root, UserOnly: true, Not: onlyKernel()},
		{ID: "E4c", Title: "have a capability to pass on", Attack: []string{"raise"}, Oracle: either(status("CapInh", noCaps), status("CapAmb", noCaps)), Twin: root, UserOnly: true, Not: onlyKernel()},
		{ID: "E4d", Title: "be able to gain privileges by executing", Attack: []string{"idle"}, Oracle: status("NoNewPrivs", "1"), Twin: Setting{Weakness: box.Weakness{Setuid: true}}, Not: onlyKernel()},
		{ID: "E4e", Title: "run without a list of system calls", Attack: []string{"idle"}, Oracle: status("Seccomp", "2"), Twin: unfiltered(), Not: onlyKernel()},
		{ID: "E5a", Title: "change the box's network (NET_ADMIN)", Attack: []string{"link", "pb{token}"}, Oracle: addressed(), Twin: root, UserOnly: true, Not: onlyKernel()},
		{ID: "E5b", Title: "take precedence over the host's processes (SYS_NICE)", Attack: []string{"nice"}, Oracle: statOf(19, "whether a task of the box has a negative nice value", func(v int64) bool { return v < 0 }), Twin: everything(), Not: onlyKernel()},
		{ID: "E5c", Title: "open more files than the hard limit allows (SYS_RESOURCE)", Attack: []string{"raise-limit", "nofile"}, Oracle: limitRaised("Max open files"), Twin: everything(), Not: onlyKernel(), Bare: true},
		{ID: "E5d", Title: "wake the host from its sleep (WAKE_ALARM)", Attack: []string{"wake-alarm"}, Oracle: wakes(), Twin: everything(), Not: onlyKernel()},
		{ID: "E6", Title: "become the host's root by a set-user-ID program of its", Attack: []string{"run-tool", "{tool}"}, Oracle: rootOnHost(), Box: opened(tool), Twin: Setting{Weakness: box.Weakness{Binds: []box.Opening{tool}, Setuid: true, HostUsers: true}}, UserOnly: true, Not: notGuest("a guest cannot be shown a program of the host that runs as its owner")},
		{ID: "E7a", Title: "be in the host's network namespace", Attack: []string{"idle"}, Oracle: shares("net"), Twin: sharing, Itself: true},
		{ID: "E7b", Title: "be in the host's IPC namespace", Attack: []string{"idle"}, Oracle: shares("ipc"), Twin: sharing, Itself: true, Not: ownSpaces()},
		{ID: "E7c", Title: "be in the host's UTS namespace", Attack: []string{"idle"}, Oracle: shares("uts"), Twin: sharing, Itself: true, Not: ownSpaces()},
		{ID: "E7d", Title: "be in the host's user namespace", Attack: []string{"idle"}, Oracle: shares("user"), Twin: everything(), Not: ownSpaces()},
		{ID: "E7e", Title: "be in the host's cgroup namespace", Attack: []string{"idle"}, Oracle: shares("cgroup"), Twin: sharing, Itself: true, Not: ownSpaces()},
		{ID: "E7f", Title: "see the processes of the jail", Attack: []string{"idle"}, Oracle: sharesWithJail("pid"), Twin: withJail(), Not: notGuest("the monitor is alone in its jail, and one of its processes")},
		{ID: "E8", Title: "be user 0 of the host as user 0 of the box", Attack: []string{"idle"}, Oracle: either(mapsRoot(), rootOnHost()), Twin: everything(), Not: ownSpaces()},
	}
	list = append(list, Probe{ID: "E9", Title: "load a module, or another kernel", Not: nowhereFor("on a twin that lets it, the host's kernel would be changed; the list of system calls refuses all of them, which a test holds it to")})
	for i, kind := range []string{"user", "mnt", "net", "ipc", "uts", "pid", "cgroup", "time"} {
		list = append(list, Probe{
			ID: "E1" + string(rune('a'+i)), Title: "make a " + kind + " namespace with unshare(2)", Attack: []string{"unshare", kind},
			Oracle: parts(kind), Twin: unfiltered(), Not: onlyKernel(),
		})
	}
	return list
}

// ownSpaces leaves a probe out for walls that cannot be made to share namespaces
// of the host.
func ownSpaces() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{
		proofbox.Gvisor: "gVisor puts its own processes into new namespaces, whatever it is told to share",
	}
}

// tool is a planted program of the host that belongs to its user and has the
// set-user-ID bit.
var tool = box.Opening{Source: "{tool-folder}", Target: "{tool-folder}"}
