package seccomp

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// monitor are the calls that QEMU makes to run a machine with disks in files,
// a serial port and a socket, once it is in its jail; and those that a program
// of Go makes to start another in its place.
var monitor = []string{
	// memory
	"brk", "mmap", "munmap", "mremap", "mprotect",
	// threads and their signals
	"futex", "get_robust_list", "set_robust_list", "rseq", "set_tid_address", "gettid", "getpid", "tgkill",
	"exit", "exit_group", "restart_syscall", "sched_yield", "sched_getaffinity", "membarrier", "getcpu",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending", "sigaltstack",
	// files that it has been given
	"open", "openat", "close", "read", "pread64", "readv", "preadv", "preadv2",
	"write", "pwrite64", "writev", "pwritev", "pwritev2", "lseek", "fallocate", "fadvise64", "ftruncate", "fsync", "fdatasync",
	"stat", "fstat", "lstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
	"readlink", "readlinkat", "getdents64", "fcntl", "dup", "dup2", "dup3", "getcwd", "chdir", "fchdir",
	// the door's socket
	"connect", "getsockname", "getpeername", "getsockopt", "setsockopt",
	"recvfrom", "recvmsg", "sendto", "sendmsg", "shutdown",
	// waiting and time
	"poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
	"eventfd2", "pipe2", "signalfd4", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday",
	"timer_create", "timer_settime", "timer_gettime", "timer_delete", "timerfd_create", "timerfd_settime", "timerfd_gettime",
	// who and where it is
	"uname", "sysinfo", "getrandom", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrlimit", "prlimit64", "get_mempolicy",
	"arch_prctl",
	// becoming QEMU, and then QEMU's own list, which refuses this and more
	"execve", "seccomp",
}

// MonitorProfile gives the filter for the monitor of a virtual machine. It has
// nothing of what a box may have beside files and time: no process but its own,
// no socket but those of its own family and nobody to wait for at one.
func MonitorProfile() *specs.LinuxSeccomp {
	return filter(slices.Concat(clones(), families(), memories(), monitorRequests(), []specs.LinuxSyscall{
		{Names: monitor, Action: specs.ActAllow},
		allow("socket", equal(0, unix.AF_UNIX)),
		{Names: []string{"clone3", "io_uring_setup", "memfd_create", "set_mempolicy", "mbind"}, Action: specs.ActErrno, ErrnoRet: new(uint(unix.ENOSYS))},
	}))
}

// monitorRequests allows the requests of kvm(4), which has a number of its own
// for its devices, and asking whether a file is a terminal.
func monitorRequests() []specs.LinuxSyscall {
	const kvm, typeMask = 0xae << 8, 0xff << 8
	return []specs.LinuxSyscall{
		allow("ioctl", masked(1, lowWord&typeMask, kvm)),
		allow("ioctl", equal(1, unix.TCGETS)),
	}
}
