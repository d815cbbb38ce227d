package breakout

import "proofbox/internal/box"

// ownRoot is a twin whose root may use all the powers that it has over its own
// user namespace: nothing filters its calls.
func ownRoot() Setting {
	return Setting{Weakness: box.Weakness{Root: true, Calls: true, Landlock: true}}
}

// mounts is group D: what is mounted.
func mounts() []Probe {
	list := []Probe{
		{ID: "D1a", Title: "mount a file system in memory", Attack: []string{"mount", "tmpfs", "{token}"}, Oracle: mounted("tmpfs", "{token}"), Twin: ownRoot(), Not: onlyKernel()},
		{ID: "D1b", Title: "show a folder at another place", Attack: []string{"bind", "/usr", "{token}"}, Oracle: mounted("/tmp/{token}"), Twin: ownRoot(), Not: onlyKernel()},
		{ID: "D1c", Title: "clone a mount (open_tree) and put it elsewhere (move_mount)", Attack: []string{"move-mount", "/usr", "{token}"}, Oracle: mounted("/tmp/{token}"), Twin: ownRoot(), Not: onlyKernel()},
		{ID: "D1d", Title: "configure a file system (CVE-2022-0185)", Attack: []string{"fsopen", "tmpfs"}, Oracle: holds("anon_inode:?fscontext?"), Twin: ownRoot(), Not: onlyKernel()},
		{ID: "D1e", Title: "change the root (pivot_root)", Attack: []string{"pivot", "{token}"}, Oracle: mounted(" / ", "{token}"), Twin: ownRoot(), Not: onlyKernel(), Upsets: true},
		{ID: "D1f", Title: "change the root (chroot) to climb out of it", Attack: []string{"chroot"}, Oracle: movedRoot(), Twin: ownRoot(), Not: onlyKernel()},
		{ID: "D2a", Title: "make the box's root writable", Attack: []string{"remount", "/"}, Oracle: writableMount("/"), Twin: ownRoot(), Not: onlyKernel(), Upsets: true},
		{ID: "D2b", Title: "take away what masks a file of /proc", Attack: []string{"unmount", "/proc/keys"}, Oracle: unmounted("/proc/keys"), Twin: ownRoot(), Not: notGuest("the monitor has no such mask to take away"), Upsets: true},
		{ID: "D2c", Title: "make the box's system folders writable (mount_setattr)", Attack: []string{"mount-setattr", "/"}, Oracle: writableMount("/"), Twin: ownRoot(), Not: onlyKernel(), Upsets: true},
		{ID: "D4", Title: "have a mount spread to the host", Not: nowhereFor("no setting of a trial shares the host's mount namespace with a box, so that no twin would let it")},
		{ID: "D6", Title: "cover the box's own program of process 1", Attack: []string{"bind-over", "/usr/bin/env", box.InitPath}, Oracle: mounted("/env " + box.InitPath), Twin: ownRoot(), Not: onlyKernel(), Upsets: true},
		{ID: "D9", Title: "put a link in the way of what the runtime mounts (CVE-2021-30465)", Not: nowhereFor("whatever a runtime mounts lies in a root that is put together before the box runs, through no link")},
	}
	for i, kind := range []string{"tmpfs", "ramfs", "overlay", "mqueue", "devpts", "sysfs", "cgroup2", "bpf", "debugfs"} {
		twin := unfiltered()
		if kind == "sysfs" || kind == "cgroup2" || kind == "bpf" || kind == "debugfs" {
			twin = everything()
		}
		list = append(list, Probe{
			ID: "D3" + string(rune('a'+i)), Title: "mount a " + kind + " in namespaces of its own", Attack: []string{"mount-inside", kind, "{token}"},
			Oracle: mounted(" "+kind+" ", "{token}"), Twin: twin, Not: onlyKernel(),
		})
	}
	return list
}
