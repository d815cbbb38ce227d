package main

import (
	"os/exec"
	"syscall"
)

// spawn starts this program anew as a child that waits, with attributes by which
// it comes to be what an attack is about. It ends with this process.
func spawn(attr syscall.SysProcAttr, args ...string) error {
	if len(args) == 0 {
		args = []string{"wait"}
	}
	cmd := exec.Command("/proc/self/exe", args...)
	attr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = &attr
	if _, err := cmd.StdinPipe(); err != nil { // its end is the child's end
		return err
	}
	return cmd.Start()
}
