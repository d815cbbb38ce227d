package seccomp

import "slices"

// Denial is a system call that a box may not make, and why.
type Denial struct {
	Syscall string
	// When says with which arguments the call is refused; empty where it
	// always is.
	When string
	Why  string
	// Unknown is true where the call is answered with ENOSYS, as by a kernel
	// that does not have it, and not with EPERM.
	Unknown bool
}

// Denied lists what [Profile] refuses of the calls that Linux has on amd64 and
// arm64.
func Denied() []Denial {
	list := slices.Clone(conditional)
	for _, g := range refusals {
		for _, name := range g.calls {
			list = append(list, Denial{Syscall: name, Why: g.why, Unknown: slices.Contains(unknown, name)})
		}
	}
	return list
}

// unknown are answered with ENOSYS: programs try them first and fall back to
// an older call, for which EPERM would not let them.
var unknown = []string{
	"clone3", "file_getattr", "file_setattr", "listmount", "listns", "lsm_get_self_attr",
	"lsm_list_modules", "lsm_set_self_attr", "open_tree_attr", "statmount",
}

// conditional are calls that depend on their arguments; see conditions.go for
// the rules.
var conditional = []Denial{
	{Syscall: "clone", When: "with a flag that makes a namespace", Why: "a namespace of one's own opens kernel code that is written for administrators"},
	{Syscall: "clone", When: "CLONE_PARENT", Why: "a process that is not its maker's child hides who has written what it writes"},
	{Syscall: "ioctl", When: "TIOCSTI", Why: "types into the terminal that the box was started from"},
	{Syscall: "ioctl", When: "TIOCLINUX", Why: "pastes into the console that the box was started from"},
	{Syscall: "madvise", When: "MADV_MERGEABLE", Why: "memory that is merged with that of others tells by its timing what is in theirs"},
	{Syscall: "mknod", When: "a device", Why: "devices lead out of the box"},
	{Syscall: "mknodat", When: "a device", Why: "devices lead out of the box"},
	{Syscall: "personality", When: "anything but asking and the usual one", Why: "switches off protections of memory, and on code kept for old binaries"},
	{Syscall: "prctl", When: "PR_SET_CHILD_SUBREAPER", Why: "orphans that come to another than process 1 hide who has written what they write"},
	{Syscall: "prctl", When: "PR_SET_MEMORY_MERGE", Why: "memory that is merged with that of others tells by its timing what is in theirs"},
	{Syscall: "seccomp", When: "with a listener", Why: "a supervisor of calls is a kernel interface that no ordinary program needs"},
	{Syscall: "socket", When: "any family but Unix, IPv4, IPv6 and route netlink", Why: "AF_ALG, AF_PACKET, AF_VSOCK and the rest are old or privileged kernel code, and AF_VSOCK leads to the hypervisor"},
	{Syscall: "socket", When: "IPv4 or IPv6 beside TCP and UDP", Why: "raw sockets forge packets; SCTP, DCCP and the rest load kernel modules"},
	{Syscall: "socketpair", When: "any family but Unix", Why: "AF_TIPC and the rest are old kernel code"},
}

// refusals groups the calls that are refused whatever their arguments.
var refusals = []struct {
	why   string
	calls []string
}{
	{"runs kernel code beside the calls that a filter sees", []string{"io_uring_enter", "io_uring_register", "io_uring_setup"}},
	{"loads programs into the kernel", []string{"bpf"}},
	{"holds the kernel still at a place of the caller's choice, which many exploits need", []string{"userfaultfd"}},
	{"the kernel's key store is not divided by namespace", []string{"add_key", "keyctl", "request_key"}},
	{"watches the processor and through it other processes", []string{"perf_event_open", "lookup_dcookie"}},
	{"changes what is mounted", []string{
		"chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount",
		"open_tree", "open_tree_attr", "pivot_root", "umount2",
	}},
	{"lists mounts beside /proc, where they are confined", []string{"listmount", "listns", "statmount"}},
	{"makes or enters namespaces", []string{"setns", "unshare"}},
	{"takes its flags from memory, where a filter cannot look for namespaces", []string{"clone3"}},
	{"replaces the kernel or extends it", []string{
		"create_module", "delete_module", "finit_module", "get_kernel_syms", "init_module",
		"kexec_file_load", "kexec_load", "query_module", "reboot",
	}},
	{"reads or writes another process without being its debugger", []string{
		"kcmp", "pidfd_getfd", "process_madvise", "process_mrelease", "process_vm_readv", "process_vm_writev",
	}},
	{"opens files past the folders that lead to them", []string{"name_to_handle_at", "open_by_handle_at"}},
	{"watches every file of a mount", []string{"fanotify_init", "fanotify_mark"}},
	{"memory that the host cannot see", []string{"memfd_secret"}},
	{"settings of the whole host", []string{
		"acct", "adjtimex", "clock_adjtime", "clock_settime", "quotactl", "quotactl_fd", "setdomainname",
		"sethostname", "settimeofday", "swapoff", "swapon", "syslog", "vhangup",
	}},
	{"talks to hardware", []string{"ioperm", "iopl"}},
	{"code segments of the 16-bit age, often a way into the kernel", []string{"modify_ldt"}},
	{"places memory on nodes of the host", []string{
		"get_mempolicy", "mbind", "migrate_pages", "move_pages", "set_mempolicy", "set_mempolicy_home_node",
	}},
	{"questions for security modules, which the host has set up", []string{
		"lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr",
	}},
	{"new, and programs fall back to an ioctl", []string{"file_getattr", "file_setattr"}},
	{"given up by Linux", []string{
		"_sysctl", "afs_syscall", "epoll_ctl_old", "epoll_wait_old", "get_thread_area", "getpmsg",
		"nfsservctl", "putpmsg", "remap_file_pages", "security", "set_thread_area", "sysfs",
		"tuxcall", "uselib", "ustat", "vserver",
	}},
}
