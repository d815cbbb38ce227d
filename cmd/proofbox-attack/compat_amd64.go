package main

import (
	"fmt"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

// compatCall makes a system call by the 32-bit table, as int 0x80 does.
func compatCall(number, a, b uint32) int32

// compat opens an io_uring by the 32-bit table, with its parameters below 4 GiB. On a
// kernel that was built without it the interrupt is a fault.
func compat([]string) (r order.Report) {
	debug.SetPanicOnFault(true)
	defer func() {
		if fault := recover(); fault != nil {
			r = order.Report{Said: fmt.Sprint(fault), Absent: "this kernel does not have the 32-bit table"}
		}
	}()
	low, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_32BIT)
	if err != nil {
		return said(err, "")
	}
	const ioURingSetup = 425
	answer := compatCall(ioURingSetup, 4, uint32(addressOf(low)))
	if answer < 0 {
		return without(unix.Errno(-answer), "the 32-bit table", unix.ENOSYS)
	}
	return said(nil, "the 32-bit table worked")
}

// x32 opens an io_uring by the x32 table.
func x32([]string) order.Report {
	const x32Bit = 0x40000000
	var params ringParams
	return without(errorOf(call(x32Bit|unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)))), "the x32 table", unix.ENOSYS)
}
