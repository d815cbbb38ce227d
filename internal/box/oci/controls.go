package oci

import (
	"fmt"
	"slices"
	"strings"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
	"proofbox/internal/box/posture"
	"proofbox/internal/box/proc"
)

// Controls implements [box.Runtime]. Everything is read from /proc of the
// host, where nothing in the box can change it.
func (r *Runtime) Controls(s box.Started) []proofbox.Control {
	var found []proofbox.Control
	for _, pid := range s.Processes {
		controls := r.processControls(s, pid)
		if pid != s.Door && posture.Ended(pid) {
			continue // a helper of the runtime that ended while it was looked at
		}
		for _, c := range controls {
			c.Name = fmt.Sprintf("process %d: %s", pid, c.Name)
			found = append(found, c)
		}
	}
	if !slices.Contains(s.Processes, s.Door) {
		found = append(found, proofbox.Control{Name: "processes", Want: fmt.Sprintf("process %d, which opened the door", s.Door), Found: fmt.Sprint(s.Processes)})
	}
	return found
}

func (r *Runtime) processControls(s box.Started, pid int) []proofbox.Control {
	status, err := posture.ReadStatus(pid)
	if err != nil {
		return []proofbox.Control{{Name: "status", Want: "readable", Found: err.Error()}}
	}
	found := []proofbox.Control{
		status.Equal("no new privileges", "NoNewPrivs", "1"),
		status.Equal("seccomp filter", "Seccomp", "2"),
		status.Owner(r.owners(s)),
		posture.Network(pid),
	}
	found = append(found, posture.Namespaces(pid, s.Jail)...)
	if r.Flavour == Runsc {
		return append(found, sentryControls(s, status)...)
	}
	found = append(found, status.NoCapabilities()...)
	return append(found, mountControls(s, pid)...)
}

// owners gives the host IDs that a process of the wall may have: the box's
// user, or, for gVisor's own processes, which stand for the box, any of the
// jail's.
func (r *Runtime) owners(s box.Started) []jail.IDRange {
	if r.Flavour == Runsc {
		return s.Range
	}
	return []jail.IDRange{{Outside: s.Owner, Size: 1}}
}

// mountControls checks that nothing is writable but what is meant to be, and
// that no mount lets set-user-ID bits or devices work.
func mountControls(s box.Started, pid int) []proofbox.Control {
	list, err := posture.ReadMounts(pid)
	if err != nil {
		return []proofbox.Control{{Name: "mounts", Want: "readable", Found: err.Error()}}
	}
	writable := []string{"/proc", "/dev", "/dev/pts", "/dev/shm"}
	for _, w := range s.Layout.Writable {
		writable = append(writable, w.Target)
	}
	ro := proofbox.Control{Name: "read-only mounts", Want: "nothing writable but " + strings.Join(writable, ", "), OK: true}
	suid := proofbox.Control{Name: "nosuid and nodev", Want: "every mount", Found: fmt.Sprintf("%d mounts", len(list)), OK: true}
	rootSeen := false
	for _, m := range list {
		rootSeen = rootSeen || m.Point == "/" && m.Has("ro")
		device := strings.HasPrefix(m.Point, "/dev/") || masks(m)
		if !m.Has("ro") && !slices.Contains(writable, m.Point) && !device {
			ro.OK, ro.Found = false, strings.TrimSpace(ro.Found+" "+m.Point)
		}
		if masks(m) {
			continue // nothing is in it
		}
		if !m.Has("nosuid") || !m.Has("nodev") && !device && m.Point != "/dev" {
			suid.OK, suid.Found = false, fmt.Sprintf("%s has %s", m.Point, m.Options)
		}
	}
	if !rootSeen {
		ro.OK, ro.Found = false, ro.Found+" the root is writable"
	}
	if ro.OK {
		ro.Found = "nothing else"
	}
	return []proofbox.Control{ro, suid}
}

// masks says whether a mount only covers a file of /proc: with /dev/null, which
// takes writes and keeps nothing, or with an empty read-only folder.
func masks(m posture.Mount) bool {
	return strings.HasPrefix(m.Point, "/proc/") && slices.Contains(proc.Masked, m.Point)
}

// sentryControls are those of gVisor's own processes: the kernel it runs (the
// sentry) and its file server (the gofer), which the guest talks to instead of
// the host's kernel.
func sentryControls(s box.Started, st posture.Status) []proofbox.Control {
	return []proofbox.Control{{
		Name: "userspace kernel", Want: "the box's calls are answered by gVisor",
		Found: fmt.Sprintf("runs as %q with %s seccomp filters", st["Name"], st["Seccomp_filters"]),
		OK:    st["Seccomp_filters"] != "" && st["Seccomp_filters"] != "0",
	}}
}
