package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A program may insist on opening a file for writing that it must not be able to
// write. The mount of such a file is read-only; so that the program still gets
// it, its calls of openat(2) for reading and writing are put to the jail's
// process 1, which opens the file for reading alone. Every other call goes on to
// the kernel as it was: that the program could change its arguments meanwhile
// gives it nothing, because what it may open was never decided here. See
// seccomp_unotify(2).

// Messages of the kernel; see linux/seccomp.h.
type (
	question struct {
		id    uint64
		pid   uint32
		flags uint32
		call  int32
		arch  uint32
		at    uint64
		args  [6]uint64
	}
	answer struct {
		id    uint64
		value int64
		errno int32
		flags uint32
	}
	lent struct {
		id      uint64
		flags   uint32
		file    uint32
		as      uint32
		asFlags uint32
	}
)

// askForWriting is a filter that puts openat(2) with O_RDWR to a listener.
var askForWriting = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 4, K: unix.SYS_OPENAT},
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16 + 2*8}, // the low half of its third argument
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: unix.O_ACCMODE},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.O_RDWR},
	{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
	{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
}

// listenerFD is the socket on which the confined program's starter hands over
// the listener of its calls.
const listenerFD = 3

// handOverListener puts this thread under [askForWriting] and sends the listener
// to process 1.
func handOverListener() error {
	program := unix.SockFprog{Len: uint16(len(askForWriting)), Filter: &askForWriting[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("letting files be lent: %w", errno)
	}
	if err := unix.Sendmsg(listenerFD, []byte{0}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return fmt.Errorf("letting files be lent: %w", err)
	}
	return os.NewFile(fd, "listener").Close()
}

// takeListener waits for the listener of a program that was just started.
func takeListener(socket *os.File) (int, error) {
	data, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, rightsLen, _, _, err := unix.Recvmsg(int(socket.Fd()), data, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("waiting to lend files: %w", err)
	}
	if n == 0 {
		return -1, fmt.Errorf("waiting to lend files: the program has ended")
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rightsLen])
	if err != nil || len(messages) != 1 {
		return -1, fmt.Errorf("waiting to lend files: %d descriptors came: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("waiting to lend files: %d descriptors came: %w", len(fds), err)
	}
	return fds[0], nil
}

// lend answers a program's questions until it has ended.
func lend(listener int, files []string) {
	defer unix.Close(listener)
	for {
		var q question
		switch errno := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&q)); errno {
		case 0:
			lendOne(listener, q, files)
		case unix.EINTR, unix.ENOENT: // who asked has ended meanwhile
		default:
			return
		}
	}
}

// lendOne answers one question. Who asked may have ended, so that no answer
// arrives; then nobody misses it.
func lendOne(listener int, q question, files []string) {
	a := answer{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if name, err := pathAt(q.pid, q.args[1]); err == nil && slices.Contains(files, name) {
		if fd, err := install(listener, q, name); err == nil {
			a.value, a.flags = fd, 0
		}
	}
	for ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)) == unix.EINTR {
	}
}

// install opens a file for reading and gives its descriptor in the process that
// asked. The answer is one of its own and not a part of this (as
// SECCOMP_ADDFD_FLAG_SEND would have it): where a signal interrupts that, the
// kernel answers with descriptor 0 and installs none.
func install(listener int, q question, name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	l := lent{id: q.id, file: uint32(f.Fd()), asFlags: uint32(q.args[2]) & unix.O_CLOEXEC}
	for {
		fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&l)))
		switch errno {
		case 0:
			return int64(fd), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// pathAt reads the path that is at an address of a process.
func pathAt(pid uint32, address uint64) (string, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, 256)
	n, err := f.ReadAt(buf, int64(address))
	name, _, whole := bytes.Cut(buf[:n], []byte{0})
	if !whole {
		return "", fmt.Errorf("no path is there: %w", err)
	}
	return string(name), nil
}

func ioctl(fd int, request uintptr, value unsafe.Pointer) syscall.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(value))
	return errno
}
