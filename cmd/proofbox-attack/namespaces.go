package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var namespaces = map[string]attack{
	"idle":        func([]string) order.Report { return order.Report{} },
	"unshare":     unshare,
	"parent":      func([]string) order.Report { return said(spawn(syscall.SysProcAttr{}), "has a child") },
	"clone":       clone,
	"clone3":      clone3,
	"clone-wide":  cloneWide,
	"enter":       enter,
	"raise":       raise,
	"link":        link,
	"nice":        nice,
	"raise-limit": raiseLimit,
	"wake-alarm":  wakeAlarm,
	"run-tool":    runTool,
}

// spaces are the flags of namespaces, by their names in /proc/PID/ns.
var spaces = map[string]uintptr{
	"user": unix.CLONE_NEWUSER, "mnt": unix.CLONE_NEWNS, "pid": unix.CLONE_NEWPID, "net": unix.CLONE_NEWNET,
	"ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME,
}

// unshare makes a namespace, with a user namespace that gives the right to: KIND.
// A child does it, because a process of several threads may not, and has a child
// of its own, because some namespaces begin with that.
func unshare(args []string) order.Report {
	flags := spaces["user"] | spaces[args[0]]
	if args[0] == "pid" { // a program of several threads cannot start with such children
		return said(spawn(syscall.SysProcAttr{Cloneflags: flags}), "made a namespace")
	}
	return said(spawnAndHear(syscall.SysProcAttr{Unshareflags: flags}, childTime, "parent"), "made a namespace")
}

// clone starts a child in a new namespace: KIND.
func clone(args []string) order.Report {
	return said(spawn(syscall.SysProcAttr{Cloneflags: spaces[args[0]]}), "started a child in a namespace")
}

// clone3 does the same by the newer call, whose arguments a filter cannot see:
// KIND. See clone(2).
func clone3(args []string) order.Report {
	frame := struct{ flags, pidfd, childTID, parentTID, exit, stack, stackSize, tls uint64 }{
		flags: uint64(spaces[args[0]]), exit: uint64(unix.SIGCHLD),
	}
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&frame)), unsafe.Sizeof(frame), 0)
	return bare(pid, errno)
}

// cloneWide sets bits in the upper half of the flags, which a filter that looks
// at the whole argument takes for something else: KIND.
func cloneWide(args []string) order.Report {
	flags := uint64(spaces[args[0]]) | uint64(unix.SIGCHLD) | 1<<40
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(flags), 0, 0, 0, 0, 0)
	return bare(pid, errno)
}

// bare keeps a child that was made without Go's knowledge in the kernel: it has
// one thread and nothing works in it but bare calls.
func bare(pid uintptr, errno unix.Errno) order.Report {
	if pid != 0 || errno != 0 {
		return said(errorOf(errno), "started a child in a namespace")
	}
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	for {
		unix.RawSyscall(unix.SYS_PPOLL, 0, 0, 0)
	}
}

// enter enters the network namespaces of other processes.
func enter([]string) order.Report {
	own, _ := os.Readlink("/proc/self/ns/net")
	last := error(nil)
	for _, dir := range processFolders() {
		if theirs, err := os.Readlink(dir + "/ns/net"); err != nil || theirs == own {
			continue
		}
		fd, err := unix.Open(dir+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
		}
		if err == nil {
			return said(nil, "entered the namespace of "+dir)
		}
		last = err
	}
	return said(last, "no process has another one")
}

// raise takes every capability that the process may have into effect, and makes
// it one to pass on.
func raise([]string) order.Report {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return said(err, "")
	}
	for i := range data {
		data[i].Permitted, data[i].Effective, data[i].Inheritable = ^uint32(0), ^uint32(0), ^uint32(0)
	}
	data[1].Permitted, data[1].Effective, data[1].Inheritable = 1<<9-1, 1<<9-1, 1<<9-1
	return said(unix.Capset(&header, &data[0]), "has capabilities")
}

// link gives the loopback device an address that is made of a token: TOKEN.
func link(args []string) order.Report {
	mark, err := hex.DecodeString(strings.TrimPrefix(args[0], "pb")[:6])
	if err != nil {
		fail("link: %v", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return said(err, "")
	}
	var request struct {
		name   [unix.IFNAMSIZ]byte
		family uint16
		port   uint16
		ip     [4]byte
		rest   [8]byte
	}
	copy(request.name[:], "lo:1")
	request.family = unix.AF_INET
	request.ip = [4]byte{10, mark[0], mark[1], mark[2]}
	return said(errorOf(call(unix.SYS_IOCTL, uintptr(s), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request)))), "set an address")
}

func nice([]string) order.Report {
	return said(unix.Setpriority(unix.PRIO_PROCESS, 0, -10), "took precedence")
}

// raiseLimit raises a limit of this process above the hard one: core|nofile.
func raiseLimit(args []string) order.Report {
	which := map[string]int{"core": unix.RLIMIT_CORE, "nofile": unix.RLIMIT_NOFILE}[args[0]]
	most := unix.Rlimit{Cur: 1 << 19, Max: 1 << 19}
	return said(unix.Setrlimit(which, &most), "raised the limit")
}

func wakeAlarm([]string) order.Report {
	_, err := unix.TimerfdCreate(unix.CLOCK_REALTIME_ALARM, unix.TFD_CLOEXEC)
	return without(err, "alarms that wake the host", unix.EOPNOTSUPP)
}

// runTool runs a program: PATH. It waits.
func runTool(args []string) order.Report {
	return said(spawnProgram(args[0], syscall.SysProcAttr{}, "wait"), fmt.Sprintf("%s runs", args[0]))
}
