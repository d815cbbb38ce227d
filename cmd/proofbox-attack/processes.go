package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var processes = map[string]attack{
	"trace":     trace,
	"steal":     steal,
	"kill-init": killInit,
}

// others lists the processes in sight, without this one.
func others() []int {
	folders, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range folders {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// trace takes hold of every process in sight without stopping it.
func trace([]string) order.Report {
	seized := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread that seizes is the one that traces
		seized <- seizeAll()
		letSignalsPass()
	}()
	return said(<-seized, "traces them all")
}

func seizeAll() (last error) {
	for _, pid := range others() {
		if errno := call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, 0); errno != 0 {
			last = fmt.Errorf("process %d: %w", pid, errno)
		}
	}
	return last
}

// letSignalsPass goes on with whatever is traced when a signal stops it: among
// it is what serves this attack its input.
func letSignalsPass() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if err != nil && err != unix.EINTR {
			return // nothing is traced
		}
		if status.Stopped() {
			_ = unix.PtraceCont(pid, int(status.StopSignal()))
		}
	}
}

// steal takes the open sockets of process 1.
func steal([]string) order.Report {
	var last error
	for _, pid := range others() {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if pid != 1 && !strings.Contains(string(name), "proofbox-init") {
			continue
		}
		process, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return said(err, "")
		}
		for fd := range 32 {
			got, err := unix.PidfdGetfd(process, fd, 0)
			if err != nil && err != unix.EBADF {
				last = err
			}
			if _, err := unix.GetsockoptInt(got, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
				_ = unix.Close(got) // an end of its own input may be among them
			}
		}
	}
	return said(last, "has the descriptors of process 1")
}

// killInit ends what runs the commands of the box, and waits a while for it to
// be gone.
func killInit([]string) order.Report {
	var last error
	for _, pid := range others() {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil || !strings.HasPrefix(string(name), "init") && !strings.Contains(string(name), "proofbox-init") {
			continue
		}
		process, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			last = err
			continue
		}
		for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
			if err := unix.Kill(pid, signal); err != nil {
				last = err
			}
		}
		const patience = 2000 // milliseconds
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, patience); n == 0 || err != nil {
			last = fmt.Errorf("process %d lives on: %w", pid, err)
		}
	}
	return said(last, "ended it")
}
