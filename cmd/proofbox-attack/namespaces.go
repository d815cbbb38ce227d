package main

import (
	"syscall"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var namespaces = map[string]attack{
	"unshare": unshare,
	"idle":    func([]string) order.Report { return order.Report{} },
}

// spaces are the flags of namespaces, by their names in /proc/PID/ns.
var spaces = map[string]uintptr{
	"user": unix.CLONE_NEWUSER, "mnt": unix.CLONE_NEWNS, "pid": unix.CLONE_NEWPID, "net": unix.CLONE_NEWNET,
	"ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP,
}

// unshare makes a namespace: KIND. A child does it, because a process of several
// threads may not make a user namespace.
func unshare(args []string) order.Report {
	return said(spawn(syscall.SysProcAttr{Unshareflags: spaces[args[0]]}), "made a namespace")
}
