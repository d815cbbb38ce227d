package main

import (
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

// sharing are attacks that talk to somebody without a network.
var sharing = map[string]attack{
	"watch":        watch,
	"share-memory": shareMemory,
	"queue":        queue,
}

// watch asks to hear of everything that is done with a file: PATH.
func watch(args []string) order.Report {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err == nil {
		_, err = unix.InotifyAddWatch(fd, args[0], unix.IN_ALL_EVENTS)
	}
	return said(err, "watches it")
}

// key makes a key of System V IPC from a token.
func key(token string) uintptr {
	n, err := strconv.ParseInt(token[:7], 16, 32)
	if err != nil {
		fail("%v", err)
	}
	return uintptr(n)
}

// shareMemory makes a page of shared memory that everybody may use: TOKEN. It
// stays when this process has ended.
func shareMemory(args []string) order.Report {
	const size, everybody = 4096, 0o666
	return said(errorOf(call(unix.SYS_SHMGET, key(args[0]), size, unix.IPC_CREAT|everybody)), "made shared memory")
}

// queue makes a queue of messages and leaves one: TOKEN.
func queue(args []string) order.Report {
	const everybody = 0o666
	id, errno := answer(unix.SYS_MSGGET, key(args[0]), unix.IPC_CREAT|everybody)
	if errno != 0 {
		return said(errno, "")
	}
	message := struct {
		kind uint64
		text [8]byte
	}{kind: 1}
	errno = call(unix.SYS_MSGSND, id, uintptr(unsafe.Pointer(&message)), unsafe.Sizeof(message.text), unix.IPC_NOWAIT)
	return said(errorOf(errno), "left a message")
}
