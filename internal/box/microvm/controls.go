package microvm

import (
	"fmt"
	"slices"
	"strings"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
	"proofbox/internal/box/posture"
)

// Controls implements [box.Runtime]. The one process of the box that the host
// has is the monitor.
func (r *Runtime) Controls(s box.Started) []proofbox.Control {
	found := []proofbox.Control{{
		Name: "processes", Want: fmt.Sprintf("the monitor, %d, alone", s.Door), Found: fmt.Sprint(s.Processes),
		OK: slices.Equal(s.Processes, []int{s.Door}),
	}, r.kernelControl(s.Layout.Hardware.KVM)}
	return append(found, monitorControls(s)...)
}

// kernelControl says which kernel the box has of its own. It is what the monitor
// was given, read-only, and there is no other in its jail.
func (r *Runtime) kernelControl(byKVM bool) proofbox.Control {
	c := proofbox.Control{Name: "kernel of its own", Want: "a Linux that only this box runs on"}
	kernel, err := r.Kernel()
	if err != nil {
		c.Found = err.Error()
		return c
	}
	name := box.ByEmulation
	if byKVM {
		name = box.ByKVM
	}
	c.Found, c.OK = fmt.Sprintf("%s (%s), accelerator %s", kernel.Version, kernel.Digest, name), true
	return c
}

func monitorControls(s box.Started) []proofbox.Control {
	status, err := posture.ReadStatus(s.Door)
	if err != nil {
		return []proofbox.Control{{Name: "status", Want: "readable", Found: err.Error()}}
	}
	found := []proofbox.Control{
		status.Equal("no new privileges", "NoNewPrivs", "1"),
		status.Equal("seccomp filter", "Seccomp", "2"),
		filters(status),
		status.Owner([]jail.IDRange{{Outside: s.Owner, Size: 1}}),
		posture.Network(s.Door),
	}
	found = append(found, status.NoCapabilities()...)
	found = append(found, posture.Namespaces(s.Door, s.Jail)...)
	found = append(found, mounts(s))
	for i := range found {
		found[i].Name = fmt.Sprintf("monitor %d: %s", s.Door, found[i].Name)
	}
	return found
}

// filters looks for all lists of system calls: proofbox's, QEMU's, and the one
// by which the jail lends files; see [lent].
func filters(status posture.Status) proofbox.Control {
	c := status.Equal("seccomp filters", "Seccomp_filters", "3")
	if status["Seccomp_filters"] == "" { // Linux before 5.9 does not say
		c.Found, c.OK = "a kernel that does not count them", true
	}
	return c
}

// mounts checks that the monitor sees nothing writable but its scratch disk, and
// nothing that gives it a privilege.
func mounts(s box.Started) proofbox.Control {
	devices := []string{"/dev/null"}
	if s.Layout.Hardware.KVM {
		devices = append(devices, box.KVM)
	}
	writable := append([]string{s.Layout.Hardware.Scratch, "/proc"}, devices...)
	c := proofbox.Control{Name: "mounts", Want: "nothing writable but " + strings.Join(writable, ", ") + "; nosuid and nodev", OK: true}
	list, err := posture.ReadMounts(s.Door)
	if err != nil {
		c.OK, c.Found = false, err.Error()
		return c
	}
	for _, m := range list {
		bad := !m.Has("ro") && !slices.Contains(writable, m.Point) ||
			!m.Has("nosuid") || !m.Has("nodev") && !slices.Contains(devices, m.Point)
		if bad {
			c.OK, c.Found = false, strings.TrimSpace(fmt.Sprintf("%s %s has %s", c.Found, m.Point, m.Options))
		}
	}
	if c.OK {
		c.Found = fmt.Sprintf("%d mounts", len(list))
	}
	return c
}
