package main

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var snapshots = map[string]attack{"clock": clock, "merge": merge}

// clock says what time it is, in nanoseconds since 1970.
func clock([]string) order.Report {
	return order.Report{Got: []string{strconv.FormatInt(time.Now().UnixNano(), 10)}}
}

// merge has the kernel look for pages of others that are like its own, in some
// memory and then in all of it.
func merge([]string) order.Report {
	m, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return said(err, "")
	}
	if err = unix.Madvise(m, unix.MADV_MERGEABLE); err != nil {
		err = unix.Prctl(unix.PR_SET_MEMORY_MERGE, 1, 0, 0, 0)
	}
	return without(err, "merging of memory", unix.EINVAL, unix.ENOSYS)
}
