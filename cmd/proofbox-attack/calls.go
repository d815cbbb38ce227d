package main

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var calls = map[string]attack{
	"io-uring":      ioURing,
	"bpf-map":       bpfMap,
	"bpf-program":   bpfProgram,
	"userfaultfd":   userfaultfd,
	"add-key":       addKey,
	"join-session":  joinSession,
	"perf":          perf,
	"compat":        func([]string) order.Report { return heardOf("compat-now") },
	"compat-now":    compat,
	"x32":           func([]string) order.Report { return heardOf("x32-now") },
	"x32-now":       x32,
	"personality":   personality,
	"listener":      listener,
	"write-canary":  writeCanary,
	"fanotify":      fanotify,
	"secret-memory": secretMemory,
	"kernel-log":    kernelLog,
}

// call makes a system call and gives its error.
func call(number uintptr, args ...uintptr) unix.Errno {
	_, errno := answer(number, args...)
	return errno
}

// answer makes a system call and gives what it answers.
func answer(number uintptr, args ...uintptr) (uintptr, unix.Errno) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	return r, errno
}

// errorOf gives a system call's error as an error, nil where there is none.
func errorOf(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// addressOf is where a mapping begins.
func addressOf(m []byte) int64 { return int64(uintptr(unsafe.Pointer(&m[0]))) }

// ringParams is as large as struct io_uring_params.
type ringParams [120]byte

func ioURing([]string) order.Report {
	var params ringParams
	return without(errorOf(call(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)))), "io_uring", unix.ENOSYS)
}

// bpfMap makes an array of one number; see bpf(2).
func bpfMap([]string) order.Report {
	attr := struct{ kind, key, value, entries, flags uint32 }{unix.BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0}
	errno := call(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	return without(errorOf(errno), "bpf", unix.ENOSYS)
}

// bpfProgram loads a program that answers 0.
func bpfProgram([]string) order.Report {
	program := [2]uint64{0xb7, 0x95} // r0 = 0; exit
	license := []byte("GPL\x00")
	attr := struct {
		kind, count       uint32
		program, license  uint64
		level, size       uint32
		log               uint64
		version, flags    uint32
		name              [16]byte
		device, attachFor uint32
	}{
		kind: unix.BPF_PROG_TYPE_SOCKET_FILTER, count: 2,
		program: uint64(uintptr(unsafe.Pointer(&program))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
	}
	errno := call(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	return without(errorOf(errno), "bpf", unix.ENOSYS)
}

func userfaultfd([]string) order.Report {
	const userModeOnly = 1
	return without(errorOf(call(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|userModeOnly)), "userfaultfd", unix.ENOSYS)
}

// visible lets everybody see a key.
func visible(key uintptr) error {
	const all = 0x3f3f3f3f
	return errorOf(call(unix.SYS_KEYCTL, unix.KEYCTL_SETPERM, key, all))
}

// addKey puts a key into the keyring of the process: NAME.
func addKey(args []string) order.Report {
	kind, name, value := []byte("user\x00"), []byte(args[0]+"\x00"), []byte("secret")
	process := unix.KEY_SPEC_PROCESS_KEYRING
	key, errno := answer(unix.SYS_ADD_KEY, uintptr(unsafe.Pointer(&kind[0])), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(&value[0])), uintptr(len(value)), uintptr(process))
	if errno != 0 {
		return without(errno, "keys", unix.ENOSYS)
	}
	return said(visible(key), "added a key")
}

// joinSession makes a keyring: NAME.
func joinSession(args []string) order.Report {
	name := []byte(args[0] + "\x00")
	key, errno := answer(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, uintptr(unsafe.Pointer(&name[0])))
	if errno != 0 {
		return without(errno, "keys", unix.ENOSYS)
	}
	return said(visible(key), "made a keyring")
}

// perf counts nothing in this process's own code, which is the least that there
// is to ask for.
func perf([]string) order.Report {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_DUMMY,
		Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
	}
	attr.Size = uint32(unsafe.Sizeof(attr))
	_, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	return without(err, "performance events", unix.ENOSYS)
}

// personality switches off the randomness of addresses.
func personality([]string) order.Report {
	const noRandomness = 0x0040000
	return said(errorOf(call(unix.SYS_PERSONALITY, noRandomness)), "switched off a protection")
}

// listener asks to answer a call of its own: a filter that allows everything,
// with a listener.
func listener([]string) order.Report {
	filter := []unix.SockFilter{{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW}}
	program := unix.SockFprog{Len: 1, Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return said(err, "")
	}
	errno := call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	return without(errorOf(errno), "seccomp listeners", unix.ENOSYS)
}

// writeCanary writes what Landlock must keep from being written: PATH TEXT.
func writeCanary(args []string) order.Report {
	return said(appendTo(args[0], args[1]), "wrote it")
}

func fanotify([]string) order.Report {
	_, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_FID|unix.FAN_CLOEXEC, unix.O_RDONLY)
	return without(err, "fanotify", unix.ENOSYS)
}

func secretMemory([]string) order.Report {
	return without(errorOf(call(unix.SYS_MEMFD_SECRET, 0)), "memfd_secret", unix.ENOSYS)
}

// kernelLog reads the end of the kernel's log.
func kernelLog([]string) order.Report {
	const readAll = 3
	buf := make([]byte, 64<<10)
	n, err := unix.Klogctl(readAll, buf)
	if err != nil {
		return said(err, "")
	}
	return order.Report{Got: []string{string(buf[:n])}}
}
