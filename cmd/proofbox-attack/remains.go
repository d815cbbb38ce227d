package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

// remains are attacks that want to outlive their box.
var remains = map[string]attack{
	"outlive": outlive,
	"linger":  linger,
	"busy":    busy,
}

// outlive starts a process in between, which starts the one that is to stay and
// ends: apart|stopped|running TOKEN. The command line of what stays has TOKEN-left.
func outlive(args []string) order.Report {
	name := args[1] + "-left"
	if err := start("linger", "between", args[0], name); err != nil {
		return said(err, "")
	}
	return said(nil, "left a process behind")
}

// start starts this program anew in a session of its own, and waits until it
// has a word to say where that is "between", which ends.
func start(args ...string) error {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	if args[1] == "between" {
		return cmd.Wait()
	}
	return nil
}

// linger is what stays, or comes in between: between|apart|stopped|running …
func linger(args []string) order.Report {
	switch args[0] {
	case "between":
		if err := start("linger", args[1], args[2]); err != nil {
			fail("linger: %v", err)
		}
		return order.Report{}
	case "stopped":
		signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGCONT)
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	case "running":
		if err := start("linger", "running", args[1]); err == nil {
			return order.Report{}
		}
	}
	time.Sleep(patience)
	return order.Report{}
}

// busy stands in a folder of the workspace, and has a file open and mapped: NAME.
func busy(args []string) order.Report {
	err := os.MkdirAll(args[0], 0o777)
	err = errors.Join(err, os.Chdir(args[0]), os.WriteFile("busy", make([]byte, 4096), 0o666))
	if err != nil {
		return said(err, "")
	}
	fd, err := unix.Open("busy", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	return said(err, "is busy")
}
