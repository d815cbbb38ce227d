package seccomp

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The rules of this file allow calls by their arguments. They hold three
// invariants that runtimes need:
//
//   - Rules of one call never overlap with different actions, because which of
//     them wins differs between runtimes.
//   - A rule compares an argument at most once, because runtimes take two
//     comparisons of one argument for alternatives.
//   - Arguments that the kernel takes as int are compared in their low 32 bits,
//     because a caller may put anything into the rest.

// conditions are all rules that look at arguments.
func conditions() []specs.LinuxSyscall {
	return slices.Concat(sockets(), clones(), families(), memories(), ioctls(), nodes(), personalities(), filters())
}

const lowWord = 0xffffffff

func allow(call string, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: []string{call}, Action: specs.ActAllow, Args: args}
}

// masked compares the bits of an argument that mask selects.
func masked(arg uint, mask, value uint64) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: arg, Value: mask, ValueTwo: value, Op: specs.OpMaskedEqual}
}

func equal(arg uint, value uint64) specs.LinuxSeccompArg { return masked(arg, lowWord, value) }

// sockets allows what a box without a network can use: its own sockets, TCP and
// UDP on loopback, and asking the kernel about interfaces and routes, which C
// libraries do. Multipath TCP is answered as by a kernel without it, so that
// Go's net package uses TCP from then on.
func sockets() []specs.LinuxSyscall {
	const (
		typeMask    = 0xf // without SOCK_CLOEXEC and SOCK_NONBLOCK, see net/socket.c
		multipath   = 262 // IPPROTO_MPTCP
		unspecified = 0
	)
	rules := []specs.LinuxSyscall{
		allow("socket", equal(0, unix.AF_UNIX)),
		allow("socketpair", equal(0, unix.AF_UNIX)),
		allow("socket", equal(0, unix.AF_NETLINK), equal(2, unix.NETLINK_ROUTE)),
	}
	for _, family := range []uint64{unix.AF_INET, unix.AF_INET6} {
		for _, protocol := range []uint64{unspecified, unix.IPPROTO_TCP} {
			rules = append(rules, allow("socket", equal(0, family), masked(1, typeMask, unix.SOCK_STREAM), equal(2, protocol)))
		}
		for _, protocol := range []uint64{unspecified, unix.IPPROTO_UDP} {
			rules = append(rules, allow("socket", equal(0, family), masked(1, typeMask, unix.SOCK_DGRAM), equal(2, protocol)))
		}
		rules = append(rules, specs.LinuxSyscall{
			Names: []string{"socket"}, Action: specs.ActErrno, ErrnoRet: new(uint(unix.EPROTONOSUPPORT)),
			Args: []specs.LinuxSeccompArg{equal(0, family), masked(1, typeMask, unix.SOCK_STREAM), equal(2, multipath)},
		})
	}
	return rules
}

// newNamespaces are the flags of clone(2) that make namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

// clones allows processes and threads, no namespaces, and no child but one's own.
func clones() []specs.LinuxSyscall {
	return []specs.LinuxSyscall{allow("clone", masked(0, newNamespaces|unix.CLONE_PARENT, 0))}
}

// families allows every request to prctl(2) but to have one's memory merged, see
// memories, and to take in the orphans of one's
// children. So a process has the parent that has made it, until that one ends,
// and then the box's process 1: package provenance goes by that.
func families() []specs.LinuxSyscall {
	return except("prctl", 0, []uint64{unix.PR_SET_CHILD_SUBREAPER, unix.PR_SET_MEMORY_MERGE})
}

// memories allows every advice about memory but to merge it with that of others,
// who could then tell by their timing what is in it, and be told.
func memories() []specs.LinuxSyscall {
	return except("madvise", 2, []uint64{unix.MADV_MERGEABLE})
}

// ioctls allows every request but those that push characters back into a
// terminal, which whoever reads it afterwards would take for typed.
func ioctls() []specs.LinuxSyscall {
	return except("ioctl", 1, []uint64{unix.TIOCSTI, unix.TIOCLINUX})
}

// except allows a call unless the low 32 bits of an argument are one of the
// values. No operator says that directly, so the rules cover everything else:
// each holds for the numbers that leave the tree of the values at one bit.
func except(call string, arg uint, values []uint64) []specs.LinuxSyscall {
	var rules []specs.LinuxSyscall
	var descend func(bit int, prefix, mask uint64)
	descend = func(bit int, prefix, mask uint64) {
		below := slices.ContainsFunc(values, func(v uint64) bool { return v&mask == prefix })
		switch {
		case !below:
			rules = append(rules, allow(call, masked(arg, mask, prefix)))
		case bit >= 0:
			descend(bit-1, prefix, mask|1<<bit)
			descend(bit-1, prefix|1<<bit, mask|1<<bit)
		}
	}
	descend(31, 0, 0)
	return rules
}

// nodes allows what mknod(2) makes without being a device: files, pipes and
// sockets. Its mode has 16 bits.
func nodes() []specs.LinuxSyscall {
	var rules []specs.LinuxSyscall
	for _, kind := range []uint64{0, unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK} {
		rules = append(rules,
			allow("mknod", masked(1, unix.S_IFMT, kind)),
			allow("mknodat", masked(2, unix.S_IFMT, kind)))
	}
	return rules
}

// personalities allows asking, and the usual Linux personality.
func personalities() []specs.LinuxSyscall {
	return []specs.LinuxSyscall{
		allow("personality", equal(0, 0)),
		allow("personality", equal(0, lowWord)),
	}
}

// filters allows a box to filter its own calls further, not to answer them.
func filters() []specs.LinuxSyscall {
	return []specs.LinuxSyscall{allow("seccomp", masked(1, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, 0))}
}
