// Package cell is what a program of proofbox's own shuts itself into before it looks at
// what has come out of a box: who takes it over by what it reads has nothing.
package cell

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"

	"proofbox/internal/box/seccomp"
)

// Enter takes from this process all files but those of the rules, programs, the network,
// signals to others, memory beyond a number of bytes, and all system calls but those of a
// program that reads and writes files. There is no way back. Where the kernel's Landlock is
// older than a part of that, or missing, that part is missing.
func Enter(memory uint64, may ...landlock.Rule) error {
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: memory, Max: memory}); err != nil {
		return fmt.Errorf("bounding memory: %w", err)
	}
	if err := landlock.V11.BestEffort().Restrict(may...); err != nil {
		return fmt.Errorf("giving up files: %w", err)
	}
	if err := filterCalls(); err != nil {
		return fmt.Errorf("giving up system calls: %w", err)
	}
	return nil
}

// filterCalls has the kernel refuse all threads of this process the calls that they do not need.
func filterCalls() error {
	filter, err := seccomp.Compile(seccomp.ReaderProfile(os.Getpid()))
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter) / unix.SizeofSockFilter), Filter: (*unix.SockFilter)(unsafe.Pointer(&filter[0]))}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}
