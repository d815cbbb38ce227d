package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/box/seccomp"
	"proofbox/internal/contents"
)

// maxData bounds the memory of this process, in bytes, whatever a library believes of hostile sizes. It is above the
// 512 MiB that it should need, because what is set aside counts, too.
const maxData = 1 << 30

// confine takes from this process what its order does not need: all files but those
// that it reads and the folders that it writes to, programs, the network, signals to
// others, and all system calls but those of a program that reads and writes files. What it
// reads is hostile, and who starts it may be root. Where the kernel's
// Landlock is older than a part of that, or missing, that part is missing.
func confine(args []string) error {
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: maxData, Max: maxData}); err != nil {
		return fmt.Errorf("bounding what looks at data: %w", err)
	}
	if err := landlock.V11.BestEffort().Restrict(needs(args)...); err != nil {
		return fmt.Errorf("confining what looks at data: %w", err)
	}
	if err := filterCalls(); err != nil {
		return fmt.Errorf("confining what looks at data to the system calls that it needs: %w", err)
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

// needs says what an order may do. One that is none needs nothing to be told so.
func needs(args []string) []landlock.Rule {
	if len(args) == 0 {
		return nil
	}
	switch order, paths := args[0], args[1:]; {
	case order == contents.MaskOrder && len(paths) == 3:
		return append(reads(paths[0]), writes(paths[1]), writes(paths[2]))
	case order == contents.UnmaskOrder && len(paths) == 2:
		return append(reads(paths[0]), writes(paths[1]))
	case order == contents.SurvivorOrder && len(paths) == 2:
		return append(reads(paths[0]), reads(paths[1])...)
	case order == contents.SynthOrder && len(paths) == 1:
		var r proofbox.SynthRequest
		if json.Unmarshal([]byte(paths[0]), &r) != nil {
			return nil
		}
		return append(reads(r.Plan), writes(r.Out))
	case len(paths) == 1:
		return reads(paths[0])
	}
	return nil
}

// reads lets a file be read, or a folder with all in it. A file is opened by its
// folder, so the names in that can be read, too.
func reads(path string) []landlock.Rule {
	info, err := os.Stat(path)
	if err != nil {
		return nil // whoever opens it says why
	}
	if info.IsDir() {
		return []landlock.Rule{landlock.PathAccess(unix.LANDLOCK_ACCESS_FS_READ_FILE|unix.LANDLOCK_ACCESS_FS_READ_DIR, path)}
	}
	return []landlock.Rule{
		landlock.PathAccess(unix.LANDLOCK_ACCESS_FS_READ_FILE, path),
		landlock.PathAccess(unix.LANDLOCK_ACCESS_FS_READ_DIR, filepath.Dir(path)),
	}
}

// writes lets something be made in the folder that a path is in.
func writes(path string) landlock.Rule {
	return landlock.RWDirs(filepath.Dir(path)).WithRefer().IgnoreIfMissing()
}
