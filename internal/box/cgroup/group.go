package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits bound a group. A zero field is no limit.
type Limits struct {
	Memory int64   // bytes
	CPUs   float64 // CPU seconds per second
	Pids   int     // tasks
}

// period is the CPU bandwidth period, in microseconds; the kernel's default.
const period = 100_000

// Group is what one box's processes are in.
type Group struct {
	layout *Layout
	id     string
}

// New names the group of a box. It makes nothing; see [Group.Make].
func (l *Layout) New(id string) *Group { return &Group{layout: l, id: id} }

// Folders lists every folder that the group is made of: one in each hierarchy.
func (g *Group) Folders() []string {
	var dirs []string
	for _, parent := range g.layout.parents {
		dirs = append(dirs, filepath.Join(parent, g.id))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// Make makes the group, without limits. It is an error if it exists.
func (g *Group) Make() error {
	for _, dir := range g.Folders() {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("making a cgroup: %w", err)
		}
	}
	return nil
}

func (g *Group) file(controller, name string) string {
	return filepath.Join(g.layout.parents[controller], g.id, name)
}

// Enter moves a process into the group.
func (g *Group) Enter(pid int) error { return move(pid, g.Folders()) }

// Prime makes the next Enter quick. The kernel takes a lock on all membership
// for a move, and the first time it waits for a grace period of some
// milliseconds, which may pass while something else is done. It moves this
// process to where it is; that it could not only means that nothing is gained.
func (g *Group) Prime() {
	for _, parent := range g.layout.parents {
		home := filepath.Join(filepath.Dir(parent), "cgroup.procs")
		members, err := os.ReadFile(home)
		if err == nil && slices.Contains(strings.Fields(string(members)), strconv.Itoa(os.Getpid())) {
			_ = os.WriteFile(home, []byte(strconv.Itoa(os.Getpid())), 0)
			return
		}
	}
}

func move(pid int, dirs []string) error {
	for _, dir := range dirs {
		file := filepath.Join(dir, "cgroup.procs")
		if err := os.WriteFile(file, []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("moving process %d between cgroups: %w", pid, err)
		}
	}
	return nil
}

// setting is one limit as a file of the group.
type setting struct {
	controller, file, value string
	optional                bool // the kernel may be built without it
}

func (g *Group) settings(l Limits) []setting {
	var s []setting
	memory := strconv.FormatInt(l.Memory, 10)
	quota := strconv.FormatInt(int64(math.Round(l.CPUs*period)), 10)
	v2 := g.layout.Version == "cgroup v2"
	if l.Memory > 0 && g.layout.Can(Memory) {
		if v2 {
			s = append(s, setting{Memory, "memory.max", memory, false},
				setting{Memory, "memory.swap.max", "0", true}, setting{Memory, "memory.oom.group", "1", false})
		} else {
			s = append(s, setting{Memory, "memory.limit_in_bytes", memory, false},
				setting{Memory, "memory.memsw.limit_in_bytes", memory, true})
		}
	}
	if l.CPUs > 0 && g.layout.Can(CPU) {
		if v2 {
			s = append(s, setting{CPU, "cpu.max", quota + " " + strconv.Itoa(period), false})
		} else {
			s = append(s, setting{CPU, "cpu.cfs_period_us", strconv.Itoa(period), false},
				setting{CPU, "cpu.cfs_quota_us", quota, false})
		}
	}
	if l.Pids > 0 && g.layout.Can(Pids) {
		s = append(s, setting{Pids, "pids.max", strconv.Itoa(l.Pids), false})
	}
	return s
}

// Limit sets the limits.
func (g *Group) Limit(l Limits) error {
	for _, s := range g.settings(l) {
		err := os.WriteFile(g.file(s.controller, s.file), []byte(s.value), 0)
		if err != nil && !(s.optional && errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("setting %s to %s: %w", s.file, s.value, err)
		}
	}
	return nil
}

// Applied reads the limits back: the file, what it should hold and what it does.
func (g *Group) Applied(l Limits) []Applied {
	var found []Applied
	for _, s := range g.settings(l) {
		text, err := os.ReadFile(g.file(s.controller, s.file))
		if s.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		a := Applied{File: s.file, Want: s.value, Found: strings.TrimSpace(string(text))}
		if err != nil {
			a.Found = err.Error()
		}
		a.OK = err == nil && sameLimit(s, a.Found)
		found = append(found, a)
	}
	return found
}

// Applied is one limit as it was read back.
type Applied struct {
	File, Want, Found string
	OK                bool
}

// sameLimit compares what was written with what is there; the kernel rounds
// memory down to whole pages.
func sameLimit(s setting, found string) bool {
	if s.controller != Memory {
		return found == s.value
	}
	want, err1 := strconv.ParseInt(s.value, 10, 64)
	got, err2 := strconv.ParseInt(found, 10, 64)
	return err1 == nil && err2 == nil && got <= want && want-got < int64(os.Getpagesize())
}

// Tasks counts the tasks in the group; 0 where the host does not count.
func (g *Group) Tasks() (int, error) {
	if !g.layout.Can(Pids) {
		return 0, nil
	}
	n, err := readInt(g.file(Pids, "pids.current"))
	if err != nil {
		return 0, fmt.Errorf("counting the box's tasks: %w", err)
	}
	return int(n), nil
}

// Holds says whether the process is in the group of every controller.
func (g *Group) Holds(pid int) (bool, error) {
	for c := range g.layout.parents {
		text, err := os.ReadFile(g.file(c, "cgroup.procs"))
		if err != nil {
			return false, fmt.Errorf("reading the box's cgroup: %w", err)
		}
		if !slices.Contains(strings.Fields(string(text)), strconv.Itoa(pid)) {
			return false, nil
		}
	}
	return true, nil
}

// Usage is what the group has used. A field that the host cannot tell
// is zero.
type Usage struct {
	PeakMemory int64 // bytes
	CPU        time.Duration
	OOMKills   int64 // processes that the memory limit has killed
	PidsRefuse int64 // forks that the pids limit has refused
}

// Usage reads what the box has used so far.
func (g *Group) Usage() Usage {
	var u Usage
	if g.layout.Can(Memory) {
		u.PeakMemory = g.first(Memory, "memory.peak", "memory.max_usage_in_bytes")
		u.OOMKills = g.firstKey(Memory, "oom_kill", "memory.events", "memory.oom_control")
	}
	if g.layout.Can(CPU) {
		u.CPU = time.Duration(g.firstKey(CPU, "usage_usec", "cpu.stat")) * time.Microsecond
	}
	if g.layout.Can(Pids) {
		u.PidsRefuse = g.firstKey(Pids, "max", "pids.events")
	}
	return u
}

func (g *Group) first(controller string, files ...string) int64 {
	for _, f := range files {
		if n, err := readInt(g.file(controller, f)); err == nil {
			return n
		}
	}
	return 0
}

func (g *Group) firstKey(controller, key string, files ...string) int64 {
	for _, f := range files {
		if n, err := readKey(g.file(controller, f), key); err == nil {
			return n
		}
	}
	return 0
}
