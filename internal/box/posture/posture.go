// Package posture reads back, from /proc of the host, how a process of a box is
// confined: nothing in the box can change what is found there.
package posture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"proofbox"
	"proofbox/internal/box/jail"
)

// Ended says whether a process is not there any more: runtimes have helpers
// that end while the box is looked at.
func Ended(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return errors.Is(err, fs.ErrNotExist)
}

// Status is a process's proc_pid_status(5).
type Status map[string]string

// ReadStatus reads it.
func ReadStatus(pid int) (Status, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, fmt.Errorf("reading the status of process %d: %w", pid, err)
	}
	st := Status{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		st[name] = strings.TrimSpace(value)
	}
	return st, nil
}

// Equal checks one field.
func (st Status) Equal(name, field, want string) proofbox.Control {
	return proofbox.Control{Name: name, Want: field + " " + want, Found: field + " " + st[field], OK: st[field] == want}
}

// NoCapabilities checks that a process has none and cannot gain one.
func (st Status) NoCapabilities() []proofbox.Control {
	var found []proofbox.Control
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		found = append(found, st.Equal("no capabilities ("+set+")", set, "0000000000000000"))
	}
	return found
}

// Owner checks the four user IDs of a process: real, effective, saved, file
// system.
func (st Status) Owner(may []jail.IDRange) proofbox.Control {
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

// Namespaces compares a process's namespaces with this process's, and
// with the jail's.
func Namespaces(pid, jailPID int) []proofbox.Control {
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

// Network lists a process's network interfaces.
func Network(pid int) proofbox.Control {
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

// Mount is a line of proc_pid_mountinfo(5).
type Mount struct {
	Point, Options, Super, Kind string
}

// ReadMounts reads the mounts that a process sees.
func ReadMounts(pid int) ([]Mount, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return nil, fmt.Errorf("reading the mounts of process %d: %w", pid, err)
	}
	var list []Mount
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 6 || len(tail) < 3 {
			return nil, fmt.Errorf("reading the mounts of process %d: line %q", pid, line)
		}
		list = append(list, Mount{Point: fields[4], Options: fields[5], Super: tail[2], Kind: tail[0]})
	}
	return list, nil
}

// Has says whether the mount has an option.
func (m Mount) Has(option string) bool {
	return slices.Contains(strings.Split(m.Options, ","), option)
}
