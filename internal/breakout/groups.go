package breakout

import "proofbox/internal/box"

// groups is group H: the box's cgroups.
func groups() []Probe {
	list := []Probe{
		{ID: "H1a", Title: "have the host run a program when a cgroup is empty (CVE-2022-0492)", Attack: []string{"open-writing", "/sys/fs/cgroup/*/release_agent"}, Oracle: opens("/release_agent")},
		{ID: "H1b", Title: "mount a cgroup hierarchy and write its release_agent", Attack: []string{"mount-release-agent", "{token}"}, Oracle: opens("/release_agent")},
		{ID: "H2a", Title: "raise the box's own limit of memory", Attack: []string{"open-writing-own", "memory.limit_in_bytes", "memory.max"}, Oracle: opens("/memory.limit_in_bytes", "/memory.max")},
		{ID: "H2b", Title: "raise the box's own limit of tasks", Attack: []string{"open-writing-own", "pids.max"}, Oracle: opens("/pids.max")},
		{ID: "H3", Title: "leave the box's cgroup", Attack: []string{"leave-group"}, Oracle: differs("cgroup", "cgroup")},
		{ID: "H5", Title: "freeze or kill the cgroup of another box", Attack: []string{"open-writing-own", "freezer.state", "cgroup.kill", "cgroup.freeze"}, Oracle: opens("/freezer.state", "/cgroup.kill", "/cgroup.freeze")},
		{ID: "H6", Title: "allow the box more devices", Attack: []string{"open-writing", "/sys/fs/cgroup/devices/devices.allow", "/sys/fs/cgroup/devices/*/devices.allow"}, Oracle: opens("/devices.allow")},
	}
	for i := range list {
		list[i].Twin = everything(box.Opening{Source: "/sys", Target: "/sys", Writable: true})
		list[i].Twin.Groups = true
		list[i].Not = onlyKernel()
	}
	return list
}
