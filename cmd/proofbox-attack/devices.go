package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var devices = map[string]attack{
	"node":       node,
	"node-write": nodeWrite,
}

// node makes a node of a device wherever it can, and opens it: char|block
// MAJOR:MINOR.
func node(args []string) order.Report {
	_, r := openNode(args[0], args[1])
	return r
}

func openNode(kind, numbers string) (int, order.Report) {
	var major, minor uint32
	if _, err := fmt.Sscanf(numbers, "%d:%d", &major, &minor); err != nil {
		fail("node: %v", err)
	}
	mode := uint32(unix.S_IFCHR)
	if kind == "block" {
		mode = unix.S_IFBLK
	}
	r := order.Report{}
	var failed error
	for _, dir := range []string{"/dev", "/tmp", "/workspace", "/dev/shm", "/home/box"} {
		path := fmt.Sprintf("%s/node-%d-%d", dir, major, minor)
		if err := unix.Mknod(path, mode|0o600, int(unix.Mkdev(major, minor))); err != nil && err != unix.EEXIST {
			failed = cmp.Or(failed, err)
			continue
		}
		fd, err := openEither(path)
		_ = os.Remove(path) // what is open stays open
		if err == nil {
			return fd, said(nil, "opened "+path)
		}
		failed = cmp.Or(failed, err)
		if err == unix.ENXIO || err == unix.ENODEV {
			r.Absent = "this kernel has no device " + numbers
		}
	}
	r.Said = failed.Error()
	return -1, r
}

// openEither opens a node for reading and writing, or for reading alone.
func openEither(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK, 0)
	if err == nil || err == unix.ENXIO || err == unix.ENODEV {
		return fd, err
	}
	return unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
}

// nodeWrite writes a line to a character device: MAJOR:MINOR TEXT.
func nodeWrite(args []string) order.Report {
	fd, r := openNode("char", args[0])
	if fd < 0 {
		return r
	}
	_, err := unix.Write(fd, []byte(strings.TrimSpace(args[1])+"\n"))
	return said(err, "wrote to the device")
}
