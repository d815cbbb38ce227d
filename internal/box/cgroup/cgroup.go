// Package cgroup bounds what the processes of one box use together, on hosts
// with cgroup v2, v1 or both side by side, and says honestly where it cannot.
//
// A box has one group in every hierarchy that is used. See cgroups(7).
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Controllers that proofbox uses.
const (
	Memory = "memory"
	CPU    = "cpu"
	Pids   = "pids"
)

// Layout is where this process may make groups, found by [Detect].
type Layout struct {
	// parents maps each usable controller to the folder in which boxes' groups
	// are made. Under cgroup v2 they are all the same.
	parents map[string]string
	// Version is "cgroup v2" or "cgroup v1"; empty where nothing is usable.
	Version string
	// Why says what is missing, for each controller that is not usable.
	Why map[string]string
}

// Can says whether the controller can be used.
func (l *Layout) Can(controller string) bool { return l.parents[controller] != "" }

// prepared guards the one-time making of proofbox's own parent groups.
var prepared sync.Mutex

// groupName is the folder, below what the host gives, in which boxes' groups are.
const groupName = "proofbox"

// Detect finds out what this process may use. It makes no group but, where it
// may, the parent of all boxes' groups.
func Detect() *Layout {
	prepared.Lock()
	defer prepared.Unlock()
	l := &Layout{parents: map[string]string{}, Why: map[string]string{}}
	own, err := ownGroups()
	if err != nil {
		return l.unusable(err.Error())
	}
	mounts, err := cgroupMounts()
	if err != nil {
		return l.unusable(err.Error())
	}
	if mounts.unified != "" && len(mounts.v1) == 0 {
		return l.detectV2(filepath.Join(mounts.unified, own[""]), mounts.unified)
	}
	return l.detectV1(mounts, own)
}

func (l *Layout) unusable(why string) *Layout {
	for _, c := range []string{Memory, CPU, Pids} {
		l.Why[c] = why
	}
	return l
}

// detectV1 makes a parent in each controller's own hierarchy, beside the group
// that this process is in.
func (l *Layout) detectV1(mounts mountTable, own map[string]string) *Layout {
	for _, c := range []string{Memory, CPU, Pids} {
		root, ok := mounts.v1[c]
		if !ok {
			l.Why[c] = fmt.Sprintf("the host has no %s controller", c)
			continue
		}
		parent := filepath.Join(root, own[c], groupName)
		if err := usable(parent); err != nil {
			l.Why[c] = fmt.Sprintf("this user may not make groups of the %s controller (%v)", c, errorText(err))
			continue
		}
		l.parents[c] = parent
		l.Version = "cgroup v1"
	}
	return l
}

// detectV2 uses a group below the nearest one that this process may manage:
// the root of the hierarchy for root, a delegated group for an ordinary user.
func (l *Layout) detectV2(own, top string) *Layout {
	base, err := delegated(own, top)
	if err != nil {
		return l.unusable(err.Error())
	}
	parent := filepath.Join(base, groupName)
	if err := usable(parent); err != nil {
		return l.unusable(fmt.Sprintf("this user may not make cgroups below %q (%v)", base, errorText(err)))
	}
	l.Version = "cgroup v2"
	for _, c := range []string{Memory, CPU, Pids} {
		if err := errors.Join(enable(base, c), enable(parent, c)); err != nil {
			l.Why[c] = fmt.Sprintf("the %s controller is not delegated to %q (%v)", c, base, errorText(err))
			continue
		}
		l.parents[c] = parent
	}
	return l
}

// delegated gives the outermost group at or above own that this user may
// write, because moving a process needs rights on the common ancestor.
func delegated(own, top string) (string, error) {
	found := ""
	for dir := own; strings.HasPrefix(dir, top); dir = filepath.Dir(dir) {
		if unix.Access(dir, unix.W_OK) != nil || unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK) != nil {
			break
		}
		found = dir
	}
	if found == "" {
		return "", fmt.Errorf("no cgroup is delegated to this user: %q is not writable (run proofbox under `systemd-run --user --scope -p Delegate=yes`)", own)
	}
	return found, nil
}

func enable(group, controller string) error {
	return os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+controller), 0)
}

func usable(group string) error {
	if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return unix.Access(group, unix.W_OK)
}

// errorText is the bare reason of a file error, without its long path.
func errorText(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// ownGroups reads /proc/self/cgroup: the group of this process in each
// controller's hierarchy; the key of the v2 hierarchy is empty.
func ownGroups() (map[string]string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("reading this process's cgroups: %w", err)
	}
	own := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for c := range strings.SplitSeq(fields[1], ",") {
			own[c] = fields[2]
		}
	}
	return own, nil
}

// mountTable says where the cgroup hierarchies are mounted.
type mountTable struct {
	unified string
	v1      map[string]string // by controller
}

func cgroupMounts() (mountTable, error) {
	t := mountTable{v1: map[string]string{}}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return t, fmt.Errorf("reading the mount table: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(tail) < 3 {
			continue
		}
		switch tail[0] {
		case "cgroup2":
			t.unified = fields[4]
		case "cgroup":
			for option := range strings.SplitSeq(tail[2], ",") {
				if slices.Contains([]string{Memory, CPU, Pids}, option) {
					t.v1[option] = fields[4]
				}
			}
		}
	}
	return t, nil
}

func readInt(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// readKey reads one "key number" line of a flat-keyed cgroup file.
func readKey(path, key string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			return strconv.ParseInt(v, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %q", path, key)
}
