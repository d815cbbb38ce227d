package breakout

import (
	"proofbox"
	"proofbox/internal/box"
)

// procs is group B: /proc and /sys.
func procs() []Probe {
	unmasked := Setting{Weakness: box.Weakness{Masks: true}}
	hostProc := box.Opening{Source: "/proc", Target: "/host/proc"}
	hostSys := box.Opening{Source: "/sys", Target: "/sys", Writable: true}
	list := []Probe{
		{ID: "B7", Title: "open the runtime's own program through /proc (CVE-2019-5736)", Attack: []string{"programs"}, Oracle: sameFile("jail"), Twin: withJail(), Not: onlyKernel()},
		{ID: "B8", Title: "stand in a folder of the host by a descriptor that the runtime leaks (CVE-2024-21626)", Not: nowhereFor("runtimes are not altered for a trial, so that no twin would let it; a runtime has no folder of the host to leak, because it runs in a jail without one")},
		{ID: "B9a", Title: "read the command line of a process of the host", Attack: []string{"command-lines"}, Oracle: revealed("command"), Twin: opened(hostProc), Not: ownProc()},
		{ID: "B9b", Title: "read the environment of a process of the host", Attack: []string{"environments"}, Oracle: revealed("victim"), Twin: everything(hostProc), Not: ownProc()},
		{ID: "B9c", Title: "read the host's files through the root of one of its processes", Attack: []string{"roots", "{home}"}, Oracle: revealed("home"), Twin: everything(hostProc), Not: ownProc()},
		{ID: "B9d", Title: "read the host's files through the current folder of one of its processes", Attack: []string{"folders", "flag"}, Oracle: revealed("home"), Twin: everything(hostProc), Not: ownProc()},
		{ID: "B10a", Title: "read the make of the host's hardware", Attack: []string{"tree", "/sys/class/dmi/id/", "/sys/devices/virtual/dmi/id/"}, Oracle: tells("/sys/class/dmi/id/uevent", 4), Twin: everything(hostSys)},
		{ID: "B10b", Title: "read the names of the host's devices", Attack: []string{"tree", "/sys/class/block/", "/sys/block/loop0/"}, Oracle: tells("/sys/block/loop0/uevent", 5), Twin: opened(box.Opening{Source: "/sys", Target: "/sys"})},
		{ID: "B11", Title: "make a cgroup beside the box's own", Attack: []string{"make-group", "proofbox-{token}"}, Oracle: groupMade(), Twin: everything(hostSys), Not: onlyKernel()},
		{ID: "B12", Title: "change how the box's network routes loopback", Attack: []string{"open-writing", "/proc/sys/net/ipv4/conf/all/route_localnet"}, Oracle: opens("/sys/net/ipv4/conf/all/route_localnet"), Twin: Setting{Weakness: box.Weakness{Masks: true, Root: true}}, Not: onlyKernel()},
	}
	for _, w := range []struct{ id, path, title string }{
		{"B1", "/proc/sys/kernel/core_pattern", "have the host run a program at a crash"},
		{"B2", "/proc/sysrq-trigger", "give the host's kernel an order by sysrq"},
		{"B3a", "/proc/sys/kernel/modprobe", "have the host run a program to load a module"},
		{"B3b", "/proc/sys/fs/binfmt_misc/register", "have the host run a program for a format"},
		{"B3c", "/proc/sys/kernel/hotplug", "have the host run a program for a device"},
		{"B3d", "/proc/sys/vm/panic_on_oom", "have the host panic"},
		{"B3e", "/proc/sys/kernel/randomize_va_space", "switch off a protection of the host's memory"},
	} {
		list = append(list, Probe{
			ID: w.id, Title: w.title, Attack: []string{"open-writing", w.path}, Oracle: opens(w.path[len("/proc"):]), Twin: everything(), Not: onlyKernel(),
		})
	}
	list = append(list, Probe{
		ID: "B4", Title: "have the host run a program for an event", Attack: []string{"open-writing", "/sys/kernel/uevent_helper"},
		Oracle: opens("/kernel/uevent_helper"), Twin: everything(hostSys), Not: onlyKernel(),
	})
	for i, m := range []struct {
		path  string
		least int
	}{
		{"/proc/kallsyms", 8},
		{"/proc/interrupts", 5},
		{"/proc/zoneinfo", 8},
		{"/proc/partitions", 4},
		{"/proc/diskstats", 4},
		{"/proc/ioports", 5},
	} {
		list = append(list, Probe{
			ID: "B5" + string(rune('a'+i)), Title: "read the host's " + m.path, Attack: []string{"read-whole", m.path},
			Oracle: tells(m.path, m.least), Twin: unmasked, Not: onlyKernel(), Monitor: true,
		})
	}
	for i, path := range []string{"/proc/kcore", "/proc/slabinfo", "/proc/vmallocinfo", "/proc/kpageflags", "/proc/timer_list"} {
		list = append(list, Probe{
			ID: "B5" + string(rune('n'+i)), Title: "open the host's " + path, Attack: []string{"open-reading", path},
			Oracle: reads(path[len("/proc"):]), Twin: everything(), Not: onlyKernel(),
		})
	}
	return list
}

// ownProc leaves a probe out for walls whose kernel has no processes of the host.
func ownProc() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{
		proofbox.Gvisor: "gVisor does not hand on the host's /proc, also where it is shown",
	}
}

// withJail is a twin that has the powers of the host's root among the processes
// of the jail.
func withJail() Setting {
	s := everything()
	s.Processes = true
	return s
}
