// Package seccomp says which system calls a box may make of the kernel below
// it: an allow list, stricter than the one that container engines ship. What
// is not on it fails with EPERM. What programs try first and do without fails
// with ENOSYS, and so does what is newer than the list, where the runtime knows
// how (runc does).
package seccomp

import (
	"runtime"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Profile gives the filter for a box on the host's own kernel, in the form of
// the OCI runtime specification.
//
// It names one architecture only: a call by the 32-bit or the x32 table, where
// the numbers mean other calls, ends the thread that makes it. 32-bit programs
// therefore do not run in a box.
func Profile() *specs.LinuxSeccomp {
	rules := slices.Concat(conditions(), []specs.LinuxSyscall{
		{Names: allowed, Action: specs.ActAllow},
		{Names: unknown, Action: specs.ActErrno, ErrnoRet: new(uint(unix.ENOSYS))},
	})
	return filter(rules)
}

// uncounted makes memory that outlives every process that has it mapped, or
// that is nobody's while it is on its way from one to another.
var uncounted = []string{"memfd_create", "shmget"}

// CountedProfile gives the filter for a box on the host's own kernel whose
// memory no cgroup counts: it has no memory that cannot be found by looking at
// its processes.
func CountedProfile() *specs.LinuxSeccomp {
	counted := slices.DeleteFunc(slices.Clone(allowed), func(name string) bool { return slices.Contains(uncounted, name) })
	rules := slices.Concat(conditions(), []specs.LinuxSyscall{
		{Names: counted, Action: specs.ActAllow},
		{Names: slices.Concat(unknown, uncounted), Action: specs.ActErrno, ErrnoRet: new(uint(unix.ENOSYS))},
	})
	return filter(rules)
}

// GvisorProfile gives the filter for a box on gVisor's kernel. There clone3(2)
// is allowed, because runsc answers every refused call with EPERM, after which
// C libraries do not fall back, and no thread would start. The namespaces that
// clone3 can make are gVisor's, not the host's.
func GvisorProfile() *specs.LinuxSeccomp {
	rules := slices.Concat(conditions(), []specs.LinuxSyscall{
		{Names: append(slices.Clone(allowed), "clone3"), Action: specs.ActAllow},
	})
	return filter(rules)
}

func filter(rules []specs.LinuxSyscall) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction:   specs.ActErrno,
		DefaultErrnoRet: new(uint(unix.EPERM)),
		Architectures:   []specs.Arch{native()},
		Syscalls:        rules,
	}
}

func native() specs.Arch {
	switch runtime.GOARCH {
	case "amd64":
		return specs.ArchX86_64
	case "arm64":
		return specs.ArchAARCH64
	}
	panic("seccomp: no profile for " + runtime.GOARCH)
}
