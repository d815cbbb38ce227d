package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// startConfined starts this program anew as the confined user in namespaces of
// its own, to become the plan's program there; see [become]. The one capability
// that it needs to give up the others for good, in those namespaces, comes along.
func startConfined(p jail.Program, attr *syscall.ProcAttr) (int, error) {
	spec, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("encoding the program: %w", err)
	}
	ids := make([]syscall.SysProcIDMap, len(p.Confine.Nested))
	for i, r := range p.Confine.Nested {
		ids[i] = syscall.SysProcIDMap{ContainerID: r.Inside, HostID: r.Outside, Size: r.Size}
	}
	user := uint32(p.Confine.User)
	attr.Sys = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: ids, GidMappings: ids,
		Credential:  &syscall.Credential{Uid: user, Gid: user, NoSetGroups: true},
		AmbientCaps: []uintptr{unix.CAP_SETPCAP},
	}
	ours, theirs, err := listenerPair()
	if err != nil {
		return 0, err
	}
	defer ours.Close()
	attr.Files = append(attr.Files, theirs.Fd())
	pid, err := syscall.ForkExec("/proc/self/exe", []string{os.Args[0], jail.Confine, string(spec)}, attr)
	theirs.Close()
	if err != nil || len(p.Confine.Lent) == 0 {
		return pid, err
	}
	listener, err := takeListener(ours)
	if err != nil {
		return pid, err
	}
	go lend(listener, p.Confine.Lent)
	return pid, nil
}

// listenerPair makes the socket at [listenerFD] and its other end.
func listenerPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket for the program: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "listener"), os.NewFile(uintptr(fds[1]), "listener"), nil
}

// become confines this thread and executes the program with it. It returns only
// with an error.
func become(spec string) error {
	runtime.LockOSThread()
	var p jail.Program
	if err := json.Unmarshal([]byte(spec), &p); err != nil {
		return fmt.Errorf("reading the program: %w", err)
	}
	if err := giveUp(); err != nil {
		return err
	}
	if len(p.Confine.Lent) > 0 {
		if err := handOverListener(); err != nil {
			return err
		}
	}
	if err := unix.Close(listenerFD); err != nil {
		return fmt.Errorf("closing the socket to the jail: %w", err)
	}
	if err := enterFilter(p.Confine.Filter); err != nil {
		return err
	}
	return fmt.Errorf("becoming %q: %w", p.Path, syscall.Exec(p.Path, p.Args, p.Env))
}

// giveUp gives up every capability, and whatever could bring one back, and core
// dumps. See capabilities(7).
func giveUp() error {
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL {
			break // the kernel has no more
		}
		if err != nil {
			return fmt.Errorf("giving up capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up ambient capabilities: %w", err)
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&head, &none[0]); err != nil {
		return fmt.Errorf("giving up capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting no new privileges: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("refusing core dumps: %w", err)
	}
	return nil
}

// enterFilter puts this thread under a filter of system calls.
func enterFilter(filter []byte) error {
	const size = int(unsafe.Sizeof(unix.SockFilter{}))
	if len(filter) < size || len(filter)%size != 0 {
		return fmt.Errorf("the filter of system calls has %d bytes", len(filter))
	}
	program := unix.SockFprog{
		Len:    uint16(len(filter) / size),
		Filter: (*unix.SockFilter)(unsafe.Pointer(unsafe.SliceData(filter))),
	}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	if err != nil {
		return fmt.Errorf("entering the filter of system calls: %w", err)
	}
	return nil
}
