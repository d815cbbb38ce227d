package guest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// groups is where control groups, version 2, are mounted.
const groups = "/sys/fs/cgroup"

// spareMemory is what is left to the guest's kernel and to process 1 when the
// box has all that it may have.
const spareMemory = 16 << 20

// group is the box's control group. Process 1 is outside of it, so that the
// limits end what the box does and not the machine; see the kernel's
// Documentation/admin-guide/cgroup-v2.rst.
type group struct{ dir string }

func makeGroup(name string) (*group, error) {
	g := &group{filepath.Join(groups, name)}
	if err := write(groups+"/cgroup.subtree_control", "+memory +pids +cpu"); err != nil {
		return nil, err
	}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the box's group: %w", err)
	}
	return g, nil
}

// remove takes the group away, from which the last process may still be on its way.
func (g *group) remove() error {
	_, err := within(fmt.Errorf("the group %q does not become empty", g.dir), func() (string, error) {
		err := os.Remove(g.dir)
		if errors.Is(err, unix.EBUSY) {
			return "", nil
		}
		return g.dir, err
	})
	return err
}

// availableMemory is what of the machine's memory a box can have, in bytes.
func availableMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("asking for the machine's memory: %w", err)
	}
	available, err := field(text, "MemAvailable:")
	if err != nil {
		return 0, fmt.Errorf("asking for the machine's memory: %w", err)
	}
	if available<<10 <= spareMemory {
		return 0, fmt.Errorf("the machine has only %d KiB of memory available", available)
	}
	return available<<10 - spareMemory, nil
}

// limitMemory bounds what the box has in memory.
func (g *group) limitMemory(limit int64) error { return g.set("memory.max", limit) }

// limitTasks allows a number of tasks beside those that there are.
func (g *group) limitTasks(n int) error {
	text, err := os.ReadFile(g.dir + "/pids.current")
	if err != nil {
		return fmt.Errorf("counting the box's tasks: %w", err)
	}
	own, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return fmt.Errorf("counting the box's tasks: %w", err)
	}
	return g.set("pids.max", int64(n)+own)
}

func (g *group) set(file string, value int64) error {
	return write(filepath.Join(g.dir, file), strconv.FormatInt(value, 10))
}

func write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0); err != nil {
		return fmt.Errorf("writing %q: %w", text, err)
	}
	return nil
}

// usage adds up what the box has used.
func (g *group) usage() (u door.Usage, err error) {
	var cpu int64
	for _, count := range []struct {
		file, field string
		into        *int64
	}{
		{"cpu.stat", "usage_usec", &cpu},
		{"memory.peak", "", &u.PeakMemory},
		{"memory.events", "oom_kill", &u.OOMKills},
		{"pids.events", "max", &u.PidsRefused},
	} {
		text, err := os.ReadFile(filepath.Join(g.dir, count.file))
		if err != nil {
			return u, fmt.Errorf("counting what the box uses: %w", err)
		}
		if *count.into, err = field(text, count.field); err != nil {
			return u, fmt.Errorf("counting what the box uses: %s: %w", count.file, err)
		}
	}
	u.CPU = time.Duration(cpu) * time.Microsecond
	var disk unix.Statfs_t
	if err := unix.Statfs(scratch, &disk); err != nil {
		return u, fmt.Errorf("counting what the box writes: %w", err)
	}
	u.DiskFree, u.FilesFree = int64(disk.Bavail)*disk.Bsize, int64(disk.Ffree)
	return u, nil
}

// field gives the number that comes after a name in a file of the kernel's;
// without a name, the first of the file.
func field(text []byte, name string) (int64, error) {
	for line := range bytes.Lines(text) {
		words := bytes.Fields(line)
		if name != "" && len(words) > 0 && string(words[0]) == name {
			words = words[1:]
		} else if name != "" {
			continue
		}
		if len(words) > 0 {
			return strconv.ParseInt(string(words[0]), 10, 64)
		}
	}
	return 0, fmt.Errorf("there is no %q", name)
}
