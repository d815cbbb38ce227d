package seccomp_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"proofbox/internal/box/seccomp"
)

var update = flag.Bool("update", false, "write the files in testdata")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); look at it, then run the test with -update:\n%s", path, diff)
	}
}

func TestProfileGolden(t *testing.T) {
	t.Parallel()
	profile := seccomp.Profile()
	profile.Architectures = nil // the rest is the same everywhere
	text, err := json.MarshalIndent(profile, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "profile.json", append(text, '\n'))
}

func TestOneArchitecture(t *testing.T) {
	t.Parallel()
	want := map[string]specs.Arch{"amd64": specs.ArchX86_64, "arm64": specs.ArchAARCH64}[runtime.GOARCH]
	for _, p := range []*specs.LinuxSeccomp{seccomp.Profile(), seccomp.GvisorProfile()} {
		if diff := cmp.Diff([]specs.Arch{want}, p.Architectures); diff != "" {
			t.Error(diff)
		}
		if p.DefaultAction != specs.ActErrno || *p.DefaultErrnoRet != uint(unix.EPERM) {
			t.Errorf("default %v %d", p.DefaultAction, *p.DefaultErrnoRet)
		}
	}
}

var number = regexp.MustCompile(`(?m)^\s+SYS_(\w+)\s+=\s+(\d+)$`)

// TestTables holds the calls of each architecture in testdata, "name number"
// in each line, against those that golang.org/x/sys knows. The other tests use
// the files, so that they need no module cache.
func TestTables(t *testing.T) {
	t.Parallel()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		missing(t, "modules", "asking go for the folder of golang.org/x/sys: %v", err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		source := filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+arch+".go")
		text, err := os.ReadFile(source)
		if err != nil {
			missing(t, "modules", "reading the table of calls: %v", err)
		}
		var table strings.Builder
		for _, m := range number.FindAllStringSubmatch(string(text), -1) {
			fmt.Fprintln(&table, strings.ToLower(m[1]), m[2])
		}
		golden(t, "../calls_"+arch+".txt", []byte(table.String()))
	}
}

func readCalls(t *testing.T, arch string) map[string]uintptr {
	t.Helper()
	text, err := os.ReadFile("calls_" + arch + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]uintptr{}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(digits)
		if err != nil {
			t.Fatal(err)
		}
		calls[name] = uintptr(n)
	}
	delete(calls, "arch_specific_syscall") // where arm64 numbers begin, not a call
	return calls
}

// callNumbers gives the numbers of this architecture's calls.
func callNumbers(t *testing.T) map[string]uintptr { return readCalls(t, runtime.GOARCH) }

// TestEveryCallIsDecided holds the profile and the list of denials against all
// calls that Linux has: each is allowed, allowed by its arguments, or refused
// with a reason.
func TestEveryCallIsDecided(t *testing.T) {
	t.Parallel()
	plain, byArgs := map[string]bool{}, map[string]bool{}
	for _, s := range seccomp.Profile().Syscalls {
		for _, name := range s.Names {
			switch {
			case s.Action != specs.ActAllow:
			case len(s.Args) == 0:
				plain[name] = true
			default:
				byArgs[name] = true
			}
		}
	}
	refused, depends := map[string]bool{}, map[string]bool{}
	for _, d := range seccomp.Denied() {
		if d.Why == "" {
			t.Errorf("%s is refused without a reason", d.Syscall)
		}
		refused[d.Syscall] = refused[d.Syscall] || d.When == ""
		depends[d.Syscall] = depends[d.Syscall] || d.When != ""
	}
	for _, arch := range []string{"amd64", "arm64"} {
		for name := range readCalls(t, arch) {
			ways := []bool{plain[name], byArgs[name] && depends[name], refused[name]}
			ways = slices.DeleteFunc(ways, func(way bool) bool { return !way })
			if len(ways) != 1 {
				t.Errorf("%s on %s: allowed %v, by its arguments %v and %v, refused %v",
					name, arch, plain[name], byArgs[name], depends[name], refused[name])
			}
		}
	}
}

// TestRulesCompareOnce holds what runtimes need of rules with arguments, see
// conditions.go.
func TestRulesCompareOnce(t *testing.T) {
	t.Parallel()
	for _, s := range seccomp.Profile().Syscalls {
		seen := map[uint]bool{}
		for _, a := range s.Args {
			if seen[a.Index] || a.Op != specs.OpMaskedEqual || a.ValueTwo&^a.Value != 0 {
				t.Errorf("%v: %+v", s.Names, s.Args)
			}
			seen[a.Index] = true
		}
	}
}

// matches evaluates a rule as the specification defines it.
func matches(s specs.LinuxSyscall, call string, args [6]uint64) bool {
	return slices.Contains(s.Names, call) && !slices.ContainsFunc(s.Args, func(a specs.LinuxSeccompArg) bool {
		return args[a.Index]&a.Value != a.ValueTwo
	})
}

// TestRulesOverlapNowhere draws calls and finds that at most one action holds
// for each, and that ioctl is refused for its two requests alone.
func TestRulesOverlapNowhere(t *testing.T) {
	t.Parallel()
	rules := seccomp.Profile().Syscalls
	rapid.Check(t, func(t *rapid.T) {
		call := rapid.SampledFrom([]string{"ioctl", "socket", "socketpair", "clone", "mknod", "mknodat", "personality", "prctl", "madvise", "seccomp"}).Draw(t, "call")
		var args [6]uint64
		for i := range args {
			usual := rapid.SampledFrom([]uint64{0, 1, 2, 10, 16, 262, unix.TIOCSTI, unix.TIOCLINUX, 1<<32 | unix.TIOCSTI, lowWord})
			args[i] = rapid.OneOf(usual, rapid.Uint64(), rapid.Map(rapid.Uint32(), func(n uint32) uint64 { return uint64(n) })).Draw(t, "argument")
		}
		actions := map[specs.LinuxSeccompAction]bool{}
		for _, s := range rules {
			if matches(s, call, args) {
				actions[s.Action] = true
			}
		}
		if len(actions) > 1 {
			t.Fatalf("%s %x has the actions %v", call, args, actions)
		}
		request := args[1] & lowWord
		if call == "ioctl" && actions[specs.ActAllow] != (request != unix.TIOCSTI && request != unix.TIOCLINUX) {
			t.Fatalf("ioctl %x: %v", args, actions)
		}
	})
}

const lowWord = 0xffffffff
