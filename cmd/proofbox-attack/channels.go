package main

import (
	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var channels = map[string]attack{
	"lock": lock,
}

// lock locks a file and keeps it so: flock|record PATH.
func lock(args []string) order.Report {
	fd, err := unix.Open(args[1], unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return said(err, "")
	}
	if args[0] == "flock" {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	} else {
		err = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	}
	return said(err, "has a lock")
}
