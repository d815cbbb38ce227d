package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// program is the process ID of the plan's program once it was started.
var program int

// startProgram starts the plan's program. Its standard output and error are
// the jail's own, which are the parent's log.
func startProgram(p jail.Program) error {
	null, err := os.Open("/dev/null")
	if err != nil {
		return fmt.Errorf("opening the program's standard input: %w", err)
	}
	defer null.Close()
	closeOnExec()
	runtime.LockOSThread() // a child has the affinity of the thread that starts it
	defer runtime.UnlockOSThread()
	if err := errors.Join(confine(p.CPUs), bound(p)); err != nil {
		return err
	}
	attr := &syscall.ProcAttr{
		Dir:   "/",
		Env:   p.Env,
		Files: []uintptr{null.Fd(), 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	if p.Confine != nil {
		program, err = startConfined(p, attr)
	} else {
		program, err = syscall.ForkExec(p.Path, p.Args, attr)
	}
	if err != nil {
		return fmt.Errorf("starting %q: %w", p.Path, err)
	}
	return nil
}

// confine leaves this thread some of the processors that it has. Which is left to
// chance: were it always the first, all boxes of a host would share that.
func confine(cpus int) error {
	if cpus == 0 {
		return nil
	}
	var may, keep unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return fmt.Errorf("asking for the processors of the jail: %w", err)
	}
	for skip, cpu := rand.N(may.Count()), 0; keep.Count() < min(cpus, may.Count()); cpu = (cpu + 1) % maxCPUs {
		switch {
		case !may.IsSet(cpu):
		case skip > 0:
			skip--
		default:
			keep.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &keep); err != nil {
		return fmt.Errorf("choosing the processors of the program: %w", err)
	}
	return nil
}

// maxCPUs is how many processors a [unix.CPUSet] can name.
const maxCPUs = 8 * int(unsafe.Sizeof(unix.CPUSet{}))

// bound leaves this process, and the program with it, the resources that the
// plan gives. The jail itself writes no files, and needs little memory.
func bound(p jail.Program) error {
	if p.Confine != nil { // a crash must not write a guest's memory to the host's disk
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return fmt.Errorf("leaving the program no core files: %w", err)
		}
	}
	for _, l := range []struct {
		name     string
		resource int
		value    int64
	}{{"file size", unix.RLIMIT_FSIZE, p.FileSize}, {"memory", unix.RLIMIT_DATA, p.Memory}} {
		if l.value == 0 {
			continue
		}
		limit := unix.Rlimit{Cur: uint64(l.value), Max: uint64(l.value)}
		if err := unix.Setrlimit(l.resource, &limit); err != nil {
			return fmt.Errorf("limiting the %s of the program: %w", l.name, err)
		}
	}
	return nil
}

// closeOnExec keeps the descriptors that the jail was started with from the
// program.
func closeOnExec() {
	// The kernel refuses this call only where it is older than Linux 5.9; the
	// mount calls that built the root would have been refused there before.
	_ = unix.CloseRange(jail.ControlFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
}

// supervise reaps every process of the jail, reports how the program ended and
// then stays, so that the parent decides when the jail ends.
func supervise() error {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err == syscall.ECHILD:
			if err := report(jail.Report{Empty: true}, nil); err != nil {
				return err
			}
			select {} // obey ends the process
		case err != nil:
			return fmt.Errorf("reaping: %w", err)
		case pid == program:
			if err := report(jail.Report{Exited: true, Status: shellStatus(status)}, nil); err != nil {
				return err
			}
		}
	}
}

func shellStatus(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}
