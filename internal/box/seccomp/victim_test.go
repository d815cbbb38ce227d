package seccomp_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"proofbox/internal/box/seccomp"
)

// TestMain makes the test binary its own victim, which runs in the containers.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "victim" {
		victim()
		return
	}
	os.Exit(m.Run())
}

// attempt is one call that the victim makes.
type attempt struct {
	Label  string
	Number uintptr
	Args   [6]uintptr
}

// victim makes the calls that it reads from its standard input and writes the
// number of the error that each was answered with; 0 for none.
func victim() {
	runtime.LockOSThread()
	var attempts []attempt
	if err := json.NewDecoder(os.Stdin).Decode(&attempts); err != nil {
		panic(err)
	}
	answers := map[string]syscall.Errno{}
	for _, a := range attempts {
		_, _, answers[a.Label] = syscall.RawSyscall6(a.Number, a.Args[0], a.Args[1], a.Args[2], a.Args[3], a.Args[4], a.Args[5])
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}

// answers lets a victim make the attempts in a container.
func answers(t *testing.T, c container, attempts []attempt) map[string]syscall.Errno {
	t.Helper()
	input, err := json.Marshal(attempts)
	if err != nil {
		t.Fatal(err)
	}
	c.stdin, c.args = string(input), []string{"/victim", "victim"}
	got := c.run(t)
	answers := map[string]syscall.Errno{}
	if err := json.Unmarshal([]byte(got.stdout), &answers); err != nil {
		t.Fatalf("exit status %d, %v\n%s%s", got.status, err, got.stdout, got.stderr)
	}
	return answers
}

// mark stands in for EPERM in a profile, where a test must tell the filter's
// answer from the kernel's own. No call of the kernel gives it.
const mark = syscall.Errno(1234)

func marked(p *specs.LinuxSeccomp) *specs.LinuxSeccomp {
	p.DefaultErrnoRet = new(uint(mark))
	return p
}

// everyDenial attempts each call that is refused whatever its arguments.
func everyDenial(t *testing.T) (attempts []attempt, want map[string]syscall.Errno) {
	t.Helper()
	numbers := callNumbers(t)
	want = map[string]syscall.Errno{}
	for _, d := range seccomp.Denied() {
		number, ok := numbers[d.Syscall]
		if d.When != "" || !ok {
			continue
		}
		attempts = append(attempts, attempt{Label: d.Syscall, Number: number})
		want[d.Syscall] = unix.EPERM
		if d.Unknown {
			want[d.Syscall] = unix.ENOSYS
		}
	}
	return attempts, want
}

// TestDenied makes every refused call under the real profile and looks at the
// answer; then with the answer marked, which shows that it was the filter's;
// then without the profile, where the mark must not show and calls that need
// no privilege must get through to the kernel.
func TestDenied(t *testing.T) {
	t.Parallel()
	attempts, want := everyDenial(t)
	if len(attempts) < 80 {
		t.Fatalf("only %d calls attempted", len(attempts))
	}
	real := answers(t, container{profile: seccomp.Profile()}, attempts)
	shown := answers(t, container{profile: marked(seccomp.Profile()), caps: true}, attempts)
	twin := answers(t, container{caps: true}, attempts)
	for _, a := range attempts {
		expect(t, "the profile", a.Label, real[a.Label], want[a.Label])
		if want[a.Label] == unix.EPERM {
			expect(t, "the marked profile", a.Label, shown[a.Label], mark)
		}
		if twin[a.Label] == mark {
			t.Errorf("%s got the mark without a profile", a.Label)
		}
	}
	reached := 0
	for _, e := range twin {
		if e != unix.EPERM && e != unix.ENOSYS {
			reached++
		}
	}
	if reached < 30 || twin["mount"] == unix.EPERM || twin["unshare"] == unix.EPERM {
		t.Errorf("the twin without a profile reaches the kernel with %d calls only: %v", reached, twin)
	}
}

func expect(t *testing.T, under, call string, got, want syscall.Errno) {
	t.Helper()
	if got != want {
		t.Errorf("under %s, %s was answered %d (%v), want %d (%v)", under, call, got, got, want, want)
	}
}

// conditional are attempts whose arguments decide, and whether the profile
// refuses them. No refused one would do anything in the twin: they name no
// file, or an open file that does not exist, or have a thread without its
// signal handlers, which clone(2) does not make.
func conditional() (refused, passed []attempt) {
	const none = ^uintptr(0) // a descriptor that is not open
	const high = uintptr(1) << 32
	refuse := func(label string, number uintptr, args ...uintptr) {
		refused = append(refused, newAttempt(label, number, args))
	}
	pass := func(label string, number uintptr, args ...uintptr) {
		passed = append(passed, newAttempt(label, number, args))
	}
	for _, family := range []uintptr{unix.AF_ALG, unix.AF_PACKET, unix.AF_VSOCK, unix.AF_BLUETOOTH, unix.AF_TIPC, unix.AF_KEY, unix.AF_XDP, unix.AF_CAN, unix.AF_RDS, unix.AF_SMC, unix.AF_KCM, unix.AF_NFC} {
		for _, upper := range []uintptr{0, high} {
			refuse(fmt.Sprintf("socket family %d+%x", family, upper), unix.SYS_SOCKET, family|upper, unix.SOCK_DGRAM)
			refuse(fmt.Sprintf("socketpair family %d+%x", family, upper), unix.SYS_SOCKETPAIR, family|upper, unix.SOCK_DGRAM)
		}
	}
	for _, family := range []uintptr{unix.AF_INET, unix.AF_INET6} {
		for _, kind := range []uintptr{unix.SOCK_RAW, unix.SOCK_RDM, unix.SOCK_SEQPACKET, unix.SOCK_DCCP, unix.SOCK_PACKET, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.SOCK_RAW | high} {
			refuse(fmt.Sprintf("socket family %d type %x", family, kind), unix.SYS_SOCKET, family, kind)
		}
		refuse(fmt.Sprintf("socket family %d sctp", family), unix.SYS_SOCKET, family, unix.SOCK_STREAM, unix.IPPROTO_SCTP)
		refuse(fmt.Sprintf("socket family %d smc", family), unix.SYS_SOCKET, family, unix.SOCK_STREAM, 256)
		refuse(fmt.Sprintf("socket family %d udplite", family), unix.SYS_SOCKET, family, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE)
		pass(fmt.Sprintf("socket family %d tcp", family), unix.SYS_SOCKET, family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
		pass(fmt.Sprintf("socket family %d tcp by default", family), unix.SYS_SOCKET, family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		pass(fmt.Sprintf("socket family %d udp", family), unix.SYS_SOCKET, family, unix.SOCK_DGRAM)
	}
	for protocol := uintptr(1); protocol < 23; protocol++ {
		refuse(fmt.Sprintf("netlink protocol %d", protocol), unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, protocol)
	}
	pass("netlink route", unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	pass("unix socket", unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_SEQPACKET)
	for _, flag := range []uintptr{unix.CLONE_NEWNS, unix.CLONE_NEWCGROUP, unix.CLONE_NEWUTS, unix.CLONE_NEWIPC, unix.CLONE_NEWUSER, unix.CLONE_NEWPID, unix.CLONE_NEWNET} {
		refuse(fmt.Sprintf("clone flag %x", flag), unix.SYS_CLONE, flag|unix.CLONE_THREAD)
		refuse(fmt.Sprintf("clone flag %x and more", flag), unix.SYS_CLONE, flag|unix.CLONE_THREAD|unix.CLONE_VM|high)
	}
	pass("clone of a thread", unix.SYS_CLONE, unix.CLONE_THREAD)
	for _, request := range []uintptr{unix.TIOCSTI, unix.TIOCLINUX} {
		refuse(fmt.Sprintf("ioctl %x", request), unix.SYS_IOCTL, none, request)
		refuse(fmt.Sprintf("ioctl %x and high bits", request), unix.SYS_IOCTL, none, request|high)
		for bit := range 32 {
			if near := request ^ 1<<bit; near != unix.TIOCSTI && near != unix.TIOCLINUX {
				pass(fmt.Sprintf("ioctl %x, bit %d of %x", near, bit, request), unix.SYS_IOCTL, none, near)
			}
		}
	}
	for _, kind := range []uintptr{unix.S_IFCHR, unix.S_IFBLK} {
		refuse(fmt.Sprintf("mknodat %o", kind), unix.SYS_MKNODAT, none, 0, kind|0o600)
	}
	pass("mkfifo", unix.SYS_MKNODAT, none, 0, unix.S_IFIFO|0o600)
	refuse("personality 32 bit", unix.SYS_PERSONALITY, 8)
	refuse("personality without random addresses", unix.SYS_PERSONALITY, 0x40000)
	refuse("personality read implies exec", unix.SYS_PERSONALITY, 0x400000|high)
	pass("personality asked for", unix.SYS_PERSONALITY, 0xffffffff)
	refuse("seccomp listener", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	pass("seccomp filter", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0)
	pass("landlock", unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 0)
	return refused, passed
}

func newAttempt(label string, number uintptr, args []uintptr) attempt {
	a := attempt{Label: label, Number: number}
	copy(a.Args[:], args)
	return a
}

// TestConditional makes calls that the profile refuses for their arguments,
// and others like them that it must not refuse.
func TestConditional(t *testing.T) {
	t.Parallel()
	refused, passed := conditional()
	multipath := newAttempt("multipath", unix.SYS_SOCKET, []uintptr{unix.AF_INET, unix.SOCK_STREAM, 262})
	all := slices.Concat(refused, passed, []attempt{multipath})
	shown := answers(t, container{profile: marked(seccomp.Profile())}, all)
	twin := answers(t, container{}, all)
	for _, a := range refused {
		expect(t, "the marked profile", a.Label, shown[a.Label], mark)
	}
	for _, a := range passed {
		expect(t, "the marked profile as without", a.Label, shown[a.Label], twin[a.Label])
	}
	expect(t, "the profile", "multipath TCP", shown["multipath"], unix.EPROTONOSUPPORT)
	if slices.Contains(slices.Collect(maps.Values(twin)), mark) {
		t.Error("something got the mark without a profile")
	}
}

// TestGvisor shows that runsc takes the profile and that calls are refused by
// it in gVisor's kernel too, while threads start.
func TestGvisor(t *testing.T) {
	t.Parallel()
	refused, _ := conditional()
	real := answers(t, container{profile: seccomp.GvisorProfile(), runsc: true}, refused)
	for _, a := range refused {
		expect(t, "gVisor's profile", a.Label, real[a.Label], unix.EPERM)
	}
	twin := answers(t, container{runsc: true}, refused)
	if e := twin["ioctl 5412"]; e == unix.EPERM {
		t.Errorf("without a profile gVisor answers ioctl TIOCSTI with %v too", e)
	}
	got := container{profile: seccomp.GvisorProfile(), runsc: true, args: []string{"/usr/bin/python3", "-c", threads}}.run(t)
	if got.status != 0 || strings.TrimSpace(got.stdout) != "worked" {
		t.Errorf("threads in gVisor: exit status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
}
