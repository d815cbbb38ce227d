package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
)

// Controls implements [box.Runtime]. Everything is read from /proc of the
// host, where nothing in the box can change it.
func (r *Runtime) Controls(s box.Started) []proofbox.Control {
	var found []proofbox.Control
	for _, pid := range s.Processes {
		controls := r.processControls(s, pid)
		if pid != s.Door && ended(pid) {
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

func ended(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return errors.Is(err, fs.ErrNotExist)
}

func (r *Runtime) processControls(s box.Started, pid int) []proofbox.Control {
	status, err := readStatus(pid)
	if err != nil {
		return []proofbox.Control{{Name: "status", Want: "readable", Found: err.Error()}}
	}
	found := []proofbox.Control{
		status.equal("no new privileges", "NoNewPrivs", "1"),
		status.equal("seccomp filter", "Seccomp", "2"),
		status.owner(r.owners(s)),
		networkControl(pid),
	}
	found = append(found, namespaceControls(pid, s.Jail)...)
	if r.Flavour == Runsc {
		return append(found, sentryControls(s, status)...)
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		found = append(found, status.equal("no capabilities ("+set+")", set, "0000000000000000"))
	}
	return append(found, mountControls(s, pid)...)
}

// status is a process's proc_pid_status(5).
type status map[string]string

func readStatus(pid int) (status, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, fmt.Errorf("reading the status of process %d: %w", pid, err)
	}
	st := status{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		st[name] = strings.TrimSpace(value)
	}
	return st, nil
}

func (st status) equal(name, field, want string) proofbox.Control {
	return proofbox.Control{Name: name, Want: field + " " + want, Found: field + " " + st[field], OK: st[field] == want}
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

// owner checks the four user IDs of a process: real, effective, saved, file
// system.
func (st status) owner(may []jail.IDRange) proofbox.Control {
	c := proofbox.Control{Name: "user", Found: "host user " + distinct(st["Uid"]), OK: st["Uid"] != ""}
	for _, r := range may {
		c.Want = strings.TrimPrefix(fmt.Sprintf("%s, host user %d to %d", c.Want, r.Outside, r.Outside+r.Size-1), ", ")
	}
	for field := range strings.FieldsSeq(st["Uid"]) {
		id, err := strconv.Atoi(field)
		c.OK = c.OK && err == nil && slices.ContainsFunc(may, func(r jail.IDRange) bool {
			return id >= r.Outside && id < r.Outside+r.Size
		})
	}
	return c
}

// distinct leaves out what is said twice.
func distinct(fields string) string {
	return strings.Join(slices.Compact(strings.Fields(fields)), " ")
}

// namespaceControls compares a process's namespaces with this process's, and
// with the jail's.
func namespaceControls(pid, jailPID int) []proofbox.Control {
	var found []proofbox.Control
	for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
		ours, ourErr := os.Readlink("/proc/self/ns/" + ns)
		c := proofbox.Control{
			Name: ns + " namespace", Want: "not the host's " + ours, Found: theirs,
			OK: err == nil && ourErr == nil && theirs != ours,
		}
		if ns == "user" || ns == "mnt" {
			jails, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", jailPID, ns))
			c.Want += ", not the jail's " + jails
			c.OK = c.OK && err == nil && theirs != jails
		}
		found = append(found, c)
	}
	return found
}

// networkControl lists a process's network interfaces.
func networkControl(pid int) proofbox.Control {
	c := proofbox.Control{Name: "network interfaces", Want: "lo or none"}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		c.Found = err.Error()
		return c
	}
	c.OK = true
	for line := range strings.Lines(string(text)) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue // the two lines of headings
		}
		c.Found = strings.TrimSpace(c.Found + " " + name)
		c.OK = c.OK && (name == "lo" || idle(line))
	}
	if c.Found == "" {
		c.Found = "none"
	}
	return c
}

// idle says whether an interface has never carried anything: the kernel makes
// fallback tunnels (sit0, ip6tnl0 …) in every network namespace, which nobody
// in the box may bring up.
func idle(line string) bool {
	_, counters, _ := strings.Cut(line, ":")
	return !strings.ContainsAny(counters, "123456789")
}

// mount is a line of proc_pid_mountinfo(5).
type mount struct {
	point, options, super, kind string
}

func readMounts(pid int) ([]mount, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return nil, fmt.Errorf("reading the mounts of process %d: %w", pid, err)
	}
	var list []mount
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 6 || len(tail) < 3 {
			return nil, fmt.Errorf("reading the mounts of process %d: line %q", pid, line)
		}
		list = append(list, mount{point: fields[4], options: fields[5], super: tail[2], kind: tail[0]})
	}
	return list, nil
}

func (m mount) has(option string) bool {
	return slices.Contains(strings.Split(m.options, ","), option)
}

// mountControls checks that nothing is writable but what is meant to be, and
// that no mount lets set-user-ID bits or devices work.
func mountControls(s box.Started, pid int) []proofbox.Control {
	list, err := readMounts(pid)
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
		rootSeen = rootSeen || m.point == "/" && m.has("ro")
		device := strings.HasPrefix(m.point, "/dev/") || masks(m)
		if !m.has("ro") && !slices.Contains(writable, m.point) && !device {
			ro.OK, ro.Found = false, strings.TrimSpace(ro.Found+" "+m.point)
		}
		if masks(m) {
			continue // nothing is in it
		}
		if !m.has("nosuid") || !m.has("nodev") && !device && m.point != "/dev" {
			suid.OK, suid.Found = false, fmt.Sprintf("%s has %s", m.point, m.options)
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
func masks(m mount) bool {
	return strings.HasPrefix(m.point, "/proc/") && slices.Contains(masked, m.point)
}

// sentryControls are those of gVisor's own processes: the kernel it runs (the
// sentry) and its file server (the gofer), which the guest talks to instead of
// the host's kernel.
func sentryControls(s box.Started, st status) []proofbox.Control {
	return []proofbox.Control{{
		Name: "userspace kernel", Want: "the box's calls are answered by gVisor",
		Found: fmt.Sprintf("runs as %q with %s seccomp filters", st["Name"], st["Seccomp_filters"]),
		OK:    st["Seccomp_filters"] != "" && st["Seccomp_filters"] != "0",
	}}
}
