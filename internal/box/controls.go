package box

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/box/jail"
	"proofbox/internal/door"
)

// processes tells the box's processes from those that only serve it, by their
// user namespace: what serves the box is in the jail's own.
func (b *Box) processes(doorPID int) (s Started, err error) {
	jailSpace, err := userSpaceOf(b.jail.PID)
	if err != nil {
		return s, err
	}
	family, err := jail.Family(b.jail.PID, doorPID)
	if err != nil {
		return s, err
	}
	s = Started{
		Door: doorPID, Jail: b.jail.PID, Layout: b.layout(),
		Owner: b.identity.HostBox(), Range: b.identity.UIDs,
	}
	for _, pid := range family {
		space, err := userSpaceOf(pid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // a helper of the runtime that has done its work
		}
		if err != nil {
			return s, err
		}
		if space != jailSpace {
			s.Processes = append(s.Processes, pid)
		}
	}
	return s, nil
}

func userSpaceOf(pid int) (string, error) {
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil {
		return "", fmt.Errorf("looking at the user namespace of process %d: %w", pid, err)
	}
	return space, nil
}

// restrict lets process 1 put itself and all that it will start under
// Landlock, the second layer below the wall. It is process 1's own word that
// it has worked, given before anything else has run in the box: it must have
// been able to write the canary before and unable to after.
func (b *Box) restrict(ctx context.Context) (door.Applied, error) {
	applied, err := b.Door.Setup(ctx, b.setup())
	if err != nil {
		return applied, fmt.Errorf("restricting the box's process 1: %w", err)
	}
	b.Controls = append(b.Controls, landlockControl(b.config.Runtime.Wall(), applied))
	return applied, nil
}

// setup is what process 1 is told to do with itself.
func (b *Box) setup() door.Setup {
	setup := door.Setup{Landlock: b.landlock()}
	if b.config.Gateway != nil {
		setup.Visits = GatewayAddress
	}
	if b.config.Enforced["pids"].By == byRlimit {
		setup.Tasks = b.config.Limits.Pids
	}
	return setup
}

// landlock gives the rules for process 1; nil where a trial leaves them out.
func (b *Box) landlock() *door.LandlockRules {
	weak := b.config.Weakness
	if weak.unconfined() {
		return nil
	}
	return landlockRules(weak.Binds)
}

// landlockRules are those of a box that may also write to what a trial has opened.
func landlockRules(opened []Opening) *door.LandlockRules {
	rules := &door.LandlockRules{
		Writable: []string{Workdir, "/tmp", HomePath, "/dev", "/proc"},
		Canary:   CanaryPath,
	}
	for _, o := range opened {
		if o.Writable {
			rules.Writable = append(rules.Writable, o.Target)
		}
	}
	return rules
}

func landlockControl(wall proofbox.Wall, a door.Applied) proofbox.Control {
	c := proofbox.Control{Name: "landlock", Want: "nothing outside the copy, /tmp and the home folder is writable"}
	switch {
	case a.LandlockABI > 0:
		c.Found, c.OK = fmt.Sprintf("ABI %d, tried on a file", a.LandlockABI), true
	case wall == proofbox.Gvisor:
		c.Want, c.Found, c.OK = "nothing: gVisor has no Landlock", "none", true
	case wall != proofbox.MicroVM && hostLandlock() == 0:
		c.Want, c.Found, c.OK = "nothing: this host's kernel has no Landlock", "none", true
	case wall == proofbox.MicroVM:
		c.Found = "none, although the guest's kernel is proofbox's own choice"
	default:
		c.Found = fmt.Sprintf("none, although the kernel has ABI %d", hostLandlock())
	}
	return c
}

// hostLandlock asks the kernel for the version of its Landlock interface; 0
// where it has none. See landlock_create_ruleset(2).
func hostLandlock() int {
	const createRulesetVersion = 1
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, createRulesetVersion)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// diskControl reads back how much the scratch can hold.
func diskControl(scratch *os.File, limit proofbox.Size) proofbox.Control {
	c := proofbox.Control{Name: "scratch size", Want: "at most " + limit.String()}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(scratch.Fd()), &st); err != nil {
		c.Found = err.Error()
		return c
	}
	size := int64(st.Blocks) * st.Bsize
	c.Found = fmt.Sprintf("%d bytes", size)
	c.OK = size <= int64(limit)
	return c
}
