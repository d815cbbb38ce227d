package seccomp

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// reader are the calls of a program of Go that reads files and writes some. Which files, is not a question of calls.
var reader = []string{
	// memory
	"brk", "mmap", "munmap", "mremap", "mprotect",
	// threads and their signals
	"futex", "get_robust_list", "set_robust_list", "rseq", "set_tid_address", "gettid", "getpid",
	"exit", "exit_group", "restart_syscall", "sched_yield", "sched_getaffinity", "membarrier", "getcpu",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
	// files
	"open", "openat", "openat2", "close", "read", "pread64", "readv", "preadv", "write", "pwrite64", "writev", "pwritev",
	"copy_file_range", "lseek", "fadvise64", "ftruncate", "fsync", "fdatasync", "flock", "fcntl",
	"stat", "fstat", "lstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
	"readlink", "readlinkat", "getdents64", "getcwd", "umask",
	"mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "fchmod", "fchmodat", "fchmodat2",
	// waiting and time
	"poll", "ppoll", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "pipe2",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday",
	// who and where it is
	"uname", "sysinfo", "getrandom", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrlimit", "getrusage",
	"arch_prctl",
}

// nameMemory is the request of prctl(2) by which Go's runtime names its memory.
const nameMemory = 0x53564d41 // PR_SET_VMA

// ReaderProfile gives the filter for the program of a process ID that looks at hostile data: no program, no process but
// threads of its own, no socket, no signal to another, and none of the kernel's rarer parts.
func ReaderProfile(pid int) *specs.LinuxSeccomp {
	return filter(slices.Concat(memories(), []specs.LinuxSyscall{
		{Names: reader, Action: specs.ActAllow},
		// A program that was linked with C's library makes its threads by clone where this is unknown.
		{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: new(uint(unix.ENOSYS))},
		allow("clone", masked(0, newNamespaces|unix.CLONE_PARENT|unix.CLONE_THREAD, unix.CLONE_THREAD)),
		allow("tgkill", equal(0, uint64(pid))),
		allow("prlimit64", equal(0, 0)), // its own
		allow("prctl", equal(0, nameMemory)),
		allow("ioctl", equal(1, unix.TCGETS)),
	}))
}
