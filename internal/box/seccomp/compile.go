package seccomp

import (
	"embed"
	"encoding/binary"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// tables are the system calls of each architecture, "name number" in a line.
//
//go:embed calls_amd64.txt calls_arm64.txt
var tables embed.FS

// Where struct seccomp_data has what a filter looks at; see seccomp(2).
const (
	offCall = 0
	offArch = 4
	offArgs = 16
)

// x32 is set in the numbers of amd64's x32 table.
const x32 = 0x40000000

// Compile makes of a profile the program that seccomp(2) takes: struct
// sock_filter, 8 bytes each, in this machine's byte order. It is for processes
// that no OCI runtime starts. As with runc, a call by another table ends the
// thread that makes it, and one that is newer than the tables here is unknown.
func Compile(profile *specs.LinuxSeccomp) ([]byte, error) {
	program, err := assemble(profile)
	if err != nil {
		return nil, fmt.Errorf("compiling the list of system calls: %w", err)
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("compiling the list of system calls: %w", err)
	}
	if len(raw) > unix.BPF_MAXINSNS {
		return nil, fmt.Errorf("compiling the list of system calls: it has %d instructions, more than %d", len(raw), unix.BPF_MAXINSNS)
	}
	var out []byte
	for _, i := range raw {
		out = binary.NativeEndian.AppendUint16(out, i.Op)
		out = append(out, i.Jt, i.Jf)
		out = binary.NativeEndian.AppendUint32(out, i.K)
	}
	return out, nil
}

// assemble tries the rules of each call in the order of their numbers.
func assemble(profile *specs.LinuxSeccomp) ([]bpf.Instruction, error) {
	calls, last, err := callTable()
	if err != nil {
		return nil, err
	}
	rules := map[uint32][]specs.LinuxSyscall{}
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			if number, ok := calls[name]; ok {
				rules[number] = append(rules[number], rule)
			}
		}
	}
	refused, err := verdict(profile.DefaultAction, profile.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	otherwise := bpf.RetConstant{Val: refused}
	program := prologue(last)
	for number := range last + 1 {
		if program, err = appendCall(program, number, rules[number], otherwise); err != nil {
			return nil, err
		}
	}
	return append(program, otherwise), nil
}

// callTable reads this architecture's table, and the highest number in it.
func callTable() (calls map[string]uint32, last uint32, err error) {
	text, err := tables.ReadFile("calls_" + runtime.GOARCH + ".txt")
	if err != nil {
		return nil, 0, err
	}
	calls = map[string]uint32{}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return nil, 0, fmt.Errorf("the table of calls has %q: %w", line, err)
		}
		calls[name] = uint32(n)
		last = max(last, uint32(n))
	}
	return calls, last, nil
}

// prologue ends whoever calls by another table, and lets newer calls be
// unknown. The number of the call stays loaded.
func prologue(last uint32) []bpf.Instruction {
	arch := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_THREAD},
		bpf.LoadAbsolute{Off: offCall, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_THREAD},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: last, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	}
}

// appendCall adds the rules of one call, and the profile's own verdict where none
// of them decides: an argument is loaded then, and not the call any more.
func appendCall(program []bpf.Instruction, number uint32, rules []specs.LinuxSyscall, otherwise bpf.Instruction) ([]bpf.Instruction, error) {
	var body []bpf.Instruction
	for _, rule := range rules {
		decided, err := verdict(rule.Action, rule.ErrnoRet)
		if err != nil {
			return nil, err
		}
		some, err := match(rule.Args, decided)
		if err != nil {
			return nil, fmt.Errorf("the rule for %q: %w", rule.Names, err)
		}
		body = append(body, some...)
	}
	if len(body) == 0 {
		return program, nil
	}
	body = append(body, otherwise)
	// A conditional jump reaches 255 instructions far, an unconditional one
	// any number.
	program = append(program,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: number, SkipTrue: 1},
		bpf.Jump{Skip: uint32(len(body))})
	program = append(program, body...)
	return program, nil
}

// match gives the verdict where all arguments are as the rule has them, else it
// goes on after itself.
func match(args []specs.LinuxSeccompArg, verdict uint32) ([]bpf.Instruction, error) {
	var tests []bpf.Instruction
	for _, a := range args {
		if a.Op != specs.OpMaskedEqual {
			return nil, fmt.Errorf("the comparison %s is not among those that the rules use", a.Op)
		}
		tests = append(tests, test(a)...)
	}
	for i, t := range tests {
		if jump, ok := t.(bpf.JumpIf); ok {
			jump.SkipFalse = uint8(len(tests) - i) // over the rest and the verdict
			tests[i] = jump
		}
	}
	return append(tests, bpf.RetConstant{Val: verdict}), nil
}

// test compares the bits of an argument that its mask selects, one 32-bit half
// after the other. Both architectures have the low half first.
func test(a specs.LinuxSeccompArg) []bpf.Instruction {
	var tests []bpf.Instruction
	for half := range uint(2) {
		mask, want := uint32(a.Value>>(32*half)), uint32(a.ValueTwo>>(32*half))
		if mask == 0 {
			continue
		}
		tests = append(tests,
			bpf.LoadAbsolute{Off: uint32(offArgs + 8*a.Index + 4*half), Size: 4},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: want})
	}
	return tests
}

// verdict is what a filter gives back for an action.
func verdict(action specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	switch {
	case action == specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, nil
	case action == specs.ActErrno && errno != nil:
		return unix.SECCOMP_RET_ERRNO | uint32(*errno)&unix.SECCOMP_RET_DATA, nil
	}
	return 0, fmt.Errorf("the action %s is not among those that the profiles use", action)
}
