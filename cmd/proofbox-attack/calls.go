package main

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var calls = map[string]attack{
	"io-uring":    ioURing,
	"userfaultfd": userfaultfd,
}

// call makes a system call and gives its error.
func call(number uintptr, args ...uintptr) unix.Errno {
	var a [6]uintptr
	copy(a[:], args)
	_, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	return errno
}

// errorOf gives a system call's error as an error, nil where there is none.
func errorOf(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

func ioURing([]string) order.Report {
	var params [120]byte // struct io_uring_params
	return without(errorOf(call(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)))), "io_uring", unix.ENOSYS)
}

func userfaultfd([]string) order.Report {
	const userModeOnly = 1
	return without(errorOf(call(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|userModeOnly)), "userfaultfd", unix.ENOSYS)
}
