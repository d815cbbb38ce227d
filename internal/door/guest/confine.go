package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
	"proofbox/internal/door/inside"
)

// Box is the box's process 1. It builds the box's root and moves into it, gives
// up every right, and serves the door once the machine is awake. It returns the
// reason why it could not, or that the door has closed. The arguments are what a
// trial leaves out.
func Box(args []string) error {
	weak, err := readWeakArgs(args)
	if err != nil {
		return err
	}
	socket := os.NewFile(boxSocket, "machine")
	conn, err := net.FileConn(socket)
	if err != nil {
		return fmt.Errorf("finding the machine's process 1: %w", err)
	}
	if err := errors.Join(socket.Close(), answer(conn, settle(weak))); err != nil {
		return err
	}
	var w word
	if err := door.ReadFrame(conn, door.MaxFrame, &w); err != nil {
		return err
	}
	if err := answer(conn, confine(w.Filter, weak)); err != nil {
		return err
	}
	return inside.Serve(conn)
}

// answer says whether something has worked.
func answer(conn net.Conn, err error) error {
	w := word{}
	if err != nil {
		w.Error = err.Error()
	}
	return errors.Join(err, door.WriteFrame(conn, w))
}

// settle makes this process one of the box's user in the box's root.
func settle(weak door.Weak) error {
	if err := buildRoot(weak); err != nil {
		return err
	}
	if err := limits(); err != nil {
		return err
	}
	if weak.Root {
		return nil
	}
	return dropRights()
}

// limits sets those that the box's processes start with. How many tasks there
// may be is the group's matter.
func limits() error {
	const files = 1 << 16 // as behind the other walls
	for resource, n := range map[int]uint64{
		unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: files, unix.RLIMIT_NPROC: unix.RLIM_INFINITY,
	} {
		// Go's own call also has it give this limit of files to what it starts.
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("setting a limit: %w", err)
		}
	}
	return nil
}

// dropRights takes every capability from all threads and everything that they
// will start, for good. Having been somebody else makes the process one that
// those it starts cannot trace.
func dropRights() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		if errno != 0 && errno != unix.EINVAL { // the kernel has no such capability
			return fmt.Errorf("dropping capability %d: %w", c, errno)
		}
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leaving all groups: %w", err)
	}
	if err := syscall.Setresgid(boxUser, boxUser, boxUser); err != nil {
		return fmt.Errorf("becoming the group %d: %w", boxUser, err)
	}
	if err := syscall.Setresuid(boxUser, boxUser, boxUser); err != nil {
		return fmt.Errorf("becoming the user %d: %w", boxUser, err)
	}
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("setting no new privileges: %w", errno)
	}
	return nil
}

// confine installs the filter, which only a trial may leave out.
func confine(filter []byte, weak door.Weak) error {
	if weak.Unfiltered && len(filter) == 0 {
		return nil
	}
	return install(filter)
}

// install puts all threads, and everything that they will start, behind a
// filter of system calls. See seccomp(2).
func install(filter []byte) error {
	const instruction = 8 // bytes of struct sock_filter
	if len(filter) == 0 || len(filter)%instruction != 0 || len(filter)/instruction > unix.BPF_MAXINSNS {
		return fmt.Errorf("a filter of %d bytes is none", len(filter))
	}
	program := unix.SockFprog{Len: uint16(len(filter) / instruction), Filter: (*unix.SockFilter)(unsafe.Pointer(&filter[0]))}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("installing the filter: %w", errno)
	}
	if thread != 0 {
		return fmt.Errorf("installing the filter: thread %d has another one", thread)
	}
	return nil
}
