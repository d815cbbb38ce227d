package seccomp_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"proofbox/internal/box/seccomp"
)

// machine runs a compiled profile in Go.
func machine(t *testing.T, profile *specs.LinuxSeccomp) *bpf.VM {
	t.Helper()
	program, err := seccomp.Compile(profile)
	if err != nil {
		t.Fatal(err)
	}
	var raw []bpf.RawInstruction
	for i := range slices.Chunk(program, 8) {
		raw = append(raw, bpf.RawInstruction{
			Op: binary.NativeEndian.Uint16(i), Jt: i[2], Jf: i[3], K: binary.NativeEndian.Uint32(i[4:]),
		})
	}
	instructions, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the program has instructions that nobody knows")
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// data is struct seccomp_data, with words as a packet has them.
func data(arch, call uint32, args [6]uint64) []byte {
	out := binary.BigEndian.AppendUint32(nil, call)
	out = binary.BigEndian.AppendUint32(out, arch)
	out = binary.BigEndian.AppendUint64(out, 0) // the instruction pointer
	for _, a := range args {
		out = binary.BigEndian.AppendUint32(out, uint32(a))
		out = binary.BigEndian.AppendUint32(out, uint32(a>>32))
	}
	return out
}

func nativeArch() uint32 {
	return map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
}

// meant is what a profile says of a call, by the words of the OCI runtime
// specification: the rule whose arguments all match, else the default.
func meant(profile *specs.LinuxSeccomp, name string, args [6]uint64) int {
	for _, rule := range profile.Syscalls {
		matches := slices.Contains(rule.Names, name)
		for _, a := range rule.Args {
			matches = matches && args[a.Index]&a.Value == a.ValueTwo
		}
		switch {
		case matches && rule.Action == specs.ActAllow:
			return unix.SECCOMP_RET_ALLOW
		case matches:
			return unix.SECCOMP_RET_ERRNO | int(*rule.ErrnoRet)
		}
	}
	return unix.SECCOMP_RET_ERRNO | int(*profile.DefaultErrnoRet)
}

// TestCompiledMeansTheProfile: whatever the call and its arguments, the program
// decides as the profile says.
func TestCompiledMeansTheProfile(t *testing.T) {
	t.Parallel()
	for _, profile := range []*specs.LinuxSeccomp{seccomp.Profile(), seccomp.CountedProfile(), seccomp.GvisorProfile()} {
		vm := machine(t, profile)
		calls := callNumbers(t)
		var names []string
		for name := range calls {
			names = append(names, name)
		}
		slices.Sort(names)
		arg := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 300), rapid.SampledFrom([]uint64{
			unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCSTI | 1<<32, unix.CLONE_NEWUSER, 17, unix.S_IFCHR | 0o600, unix.S_IFIFO, 0xffffffff, 1<<64 - 1,
		}))
		check := func(t *rapid.T, name string, args [6]uint64) {
			got, err := vm.Run(data(nativeArch(), uint32(calls[name]), args))
			if err != nil {
				t.Fatal(err)
			}
			if want := meant(profile, name, args); got != want {
				t.Errorf("%s%x gives %#x, and the profile says %#x", name, args, got, want)
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			var args [6]uint64
			for i := range args {
				args[i] = arg.Draw(t, "argument")
			}
			check(t, rapid.SampledFrom(names).Draw(t, "call"), args)
			check(t, rapid.SampledFrom([]string{"socket", "clone", "ioctl", "mknod", "personality", "prctl", "madvise", "seccomp"}).Draw(t, "call with conditions"), args)
		})
	}
}

// TestCompiledTables: calls by another table end the thread, and newer ones are
// unknown.
func TestCompiledTables(t *testing.T) {
	t.Parallel()
	vm := machine(t, seccomp.Profile())
	for _, c := range []struct {
		name       string
		arch, call uint32
		want       int
	}{
		{"i386", unix.AUDIT_ARCH_I386, 4, unix.SECCOMP_RET_KILL_THREAD},
		{"x32", nativeArch(), 0x40000000 | 1, unix.SECCOMP_RET_KILL_THREAD},
		{"newer", nativeArch(), 4000, unix.SECCOMP_RET_ERRNO | int(unix.ENOSYS)},
	} {
		got, err := vm.Run(data(c.arch, c.call, [6]uint64{}))
		if err != nil || got != c.want {
			t.Errorf("%s: %#x, %v; want %#x", c.name, got, err, c.want)
		}
	}
}

// victimOfProgram makes this test binary install the compiled profile and then
// try what it must refuse.
const victimOfProgram = "SECCOMP_TEST_PROGRAM"

// TestCompiledHolds: the kernel takes the program. Without it the call works.
func TestCompiledHolds(t *testing.T) {
	t.Parallel()
	if os.Getenv(victimOfProgram) != "" {
		os.Exit(runVictim(os.Getenv(victimOfProgram) == "filtered"))
	}
	for mode, want := range map[string]int{"filtered": int(unix.EPERM), "free": 0} {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestCompiledHolds$")
		cmd.Env = append(os.Environ(), victimOfProgram+"="+mode)
		out, err := cmd.CombinedOutput()
		exit := 0
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			exit = e.ExitCode()
		}
		if exit != want {
			t.Errorf("%s: it ended with %d (%v): %s", mode, exit, err, out)
		}
	}
}

// runVictim gives the error number of opening a netlink socket, which needs no
// privilege, after installing the program or not.
func runVictim(filtered bool) int {
	runtime.LockOSThread()
	if filtered {
		program, err := seccomp.Compile(seccomp.Profile())
		if err != nil {
			panic(err)
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			panic(err)
		}
		fprog := unix.SockFprog{Len: uint16(len(program) / 8), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
		if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&fprog))); errno != 0 {
			panic(errno)
		}
	}
	fd, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT)
	if errno == 0 {
		_ = unix.Close(int(fd))
	}
	return int(errno)
}
