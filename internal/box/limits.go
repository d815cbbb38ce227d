package box

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"proofbox"
	"proofbox/internal/box/cgroup"
	"proofbox/internal/door"
)

// Means by which a limit is enforced, as [proofbox.Enforcement.By] names them.
const (
	byDisk       = "file system (ext4)"
	byTmpfs      = "file system (tmpfs)"
	byRlimit     = "rlimit"
	bySupervisor = "supervisor"
	byAffinity   = "cpu affinity"
	byGuest      = "the guest's kernel"
	byGuestDisk  = "size of the guest's disk"
)

// sentryTasks is how many tasks the kernel of a gVisor box takes on the host
// before it runs anything.
const sentryTasks = 128

// Enforcements says by which means this host enforces each limit of a box
// behind a wall. A limit whose means is empty cannot be enforced.
func (h *Host) Enforcements(wall proofbox.Wall) map[string]proofbox.Enforcement {
	e := map[string]proofbox.Enforcement{
		"memory": h.memory(),
		"cpus":   h.cpus(),
		"pids":   h.pids(wall),
		"disk":   DiskEnforcement(),
		"time":   {By: bySupervisor},
		"output": {By: bySupervisor},
	}
	if wall == proofbox.MicroVM {
		e["memory"], e["pids"], e["disk"] = h.guestMemory(), proofbox.Enforcement{By: byGuest}, guestDisk()
	}
	return e
}

// guestMemory is held by the guest's kernel for the box, and by the size of the
// machine for the guest.
func (h *Host) guestMemory() proofbox.Enforcement {
	if !h.Cgroups.Can(cgroup.Memory) {
		return proofbox.Enforcement{By: byGuest, Weaker: fmt.Sprintf(
			"%s, so what the monitor itself takes beside the guest's memory has no limit", h.Cgroups.Why[cgroup.Memory])}
	}
	return proofbox.Enforcement{By: byGuest + ", within " + h.Cgroups.Version}
}

// guestDisk is the size of a disk, whatever the guest does with it.
func guestDisk() proofbox.Enforcement {
	if !haveMkfs() {
		return proofbox.Enforcement{Weaker: "mkfs.ext4 is not installed; install e2fsprogs"}
	}
	return proofbox.Enforcement{By: byGuestDisk}
}

func (h *Host) memory() proofbox.Enforcement {
	if h.Cgroups.Can(cgroup.Memory) {
		return proofbox.Enforcement{By: h.Cgroups.Version}
	}
	return proofbox.Enforcement{By: bySupervisor, Weaker: fmt.Sprintf(
		"%s, so the supervisor adds up the box's memory every %v and ends it when it is over; in a container there is no System V shared memory and no memfd, which it could not see", h.Cgroups.Why[cgroup.Memory], watchEvery)}
}

func (h *Host) cpus() proofbox.Enforcement {
	if h.Cgroups.Can(cgroup.CPU) {
		return proofbox.Enforcement{By: h.Cgroups.Version}
	}
	return proofbox.Enforcement{By: byAffinity, Weaker: fmt.Sprintf(
		"%s, so the box gets whole processors instead of a share of their time", h.Cgroups.Why[cgroup.CPU])}
}

func (h *Host) pids(wall proofbox.Wall) proofbox.Enforcement {
	by, weaker := h.Cgroups.Version, ""
	if !h.Cgroups.Can(cgroup.Pids) {
		by, weaker = byRlimit, h.Cgroups.Why[cgroup.Pids]+", so it is counted per user of the box"
	}
	switch {
	case wall != proofbox.Gvisor:
		return proofbox.Enforcement{By: by, Weaker: weaker}
	case by == byRlimit:
		return proofbox.Enforcement{By: bySupervisor, Weaker: fmt.Sprintf(
			"%s, so the supervisor counts gVisor's tasks on the host every %v and ends the box when they are too many", h.Cgroups.Why[cgroup.Pids], watchEvery)}
	default:
		return proofbox.Enforcement{By: by, Weaker: fmt.Sprintf(
			"gVisor's own tasks on the host are counted too; %d are allowed for", sentryTasks)}
	}
}

// groupLimits are the limits of the box's cgroup.
func (b *Box) groupLimits() cgroup.Limits {
	limits := cgroup.Limits{
		Memory: int64(b.config.Limits.Memory),
		CPUs:   b.config.Limits.CPUs,
		Pids:   b.taskLimit(),
	}
	if b.guest != nil {
		limits.Memory, limits.Pids = b.guest.hardware.Bytes+monitorMemory, monitorTasks
	}
	return limits
}

// taskLimit is how many tasks the box may have on the host.
func (b *Box) taskLimit() int {
	if b.config.Runtime.Wall() == proofbox.Gvisor {
		// A process of gVisor's guest takes up to two tasks: one of the
		// sentry and one of the platform.
		return 2*b.config.Limits.Pids + sentryTasks
	}
	return b.config.Limits.Pids + b.service
}

// allow lets the box have as many tasks as its limit says beside those that it
// has before its first command, which are the threads of process 1 and of the
// jail's process. Process 1 has all the threads then that it will need.
func (b *Box) allow(applied door.Applied) error {
	if b.guest != nil {
		return b.group.Limit(b.groupLimits())
	}
	b.service = applied.Threads
	if b.config.Enforced["pids"].By != byRlimit {
		n, err := b.group.Tasks()
		if err != nil {
			return err
		}
		b.service = n
	}
	return b.group.Limit(b.groupLimits())
}

// limitControls reads back what holds the box to its limits.
func (b *Box) limitControls(s Started) []proofbox.Control {
	var found []proofbox.Control
	for _, a := range b.group.Applied(b.groupLimits()) {
		found = append(found, proofbox.Control{Name: "cgroup " + a.File, Want: a.Want, Found: a.Found, OK: a.OK})
	}
	if len(b.group.Folders()) > 0 {
		found = append(found, b.membership(s))
	}
	if b.guest != nil {
		return append(found, b.memoryControl(), b.scratchControl(), b.templateControl())
	}
	if b.config.Enforced["pids"].By == byRlimit {
		found = append(found, b.taskControl(s))
	}
	return append(found, diskControl(b.jail.Scratch, b.config.Limits.Disk))
}

// taskControl reads back the limit that process 1 has set for itself and all
// that it will start; see proc_pid_limits(5).
func (b *Box) taskControl(s Started) proofbox.Control {
	c := proofbox.Control{Name: "rlimit NPROC", Want: strconv.Itoa(b.taskLimit())}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.Door))
	if err != nil {
		c.Found = err.Error()
		return c
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Max processes"); ok {
			fields := strings.Fields(rest)
			c.Found = strings.Join(fields, " ")
			c.OK = len(fields) >= 2 && fields[0] == c.Want && fields[1] == c.Want
		}
	}
	return c
}

// membership checks that every process of the box is in its cgroup.
func (b *Box) membership(s Started) proofbox.Control {
	c := proofbox.Control{Name: "cgroup membership", Want: "every process of the box", Found: fmt.Sprintf("%d of %d", len(s.Processes), len(s.Processes)), OK: true}
	for _, pid := range s.Processes {
		if in, err := b.group.Holds(pid); (err != nil || !in) && !ended(pid) {
			c.OK, c.Found = false, fmt.Sprintf("process %d is not in the box's group (%v)", pid, err)
		}
	}
	return c
}

// ended says whether a process is not there any more: runtimes have helpers
// that end while the box is looked at.
func ended(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return errors.Is(err, fs.ErrNotExist)
}
