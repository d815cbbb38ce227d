package main

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// maxData bounds the memory of this process, in bytes, whatever a rule does with
// hostile text.
const maxData = 512 << 20

// confine takes from this process all files, programs, the network, and signals to
// others: it answers an order that it has been given, and needs none of them. Where
// the kernel's Landlock is older than a part of that, or missing, that part is
// missing.
func confine() error {
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: maxData, Max: maxData}); err != nil {
		return fmt.Errorf("bounding what looks at text: %w", err)
	}
	if err := landlock.V11.BestEffort().Restrict(); err != nil {
		return fmt.Errorf("confining what looks at text: %w", err)
	}
	return nil
}
