package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox/internal/contents"
)

// attempts are what a program that was taken over by what it reads would do.
var attempts = map[string]func(dir string) error{
	"read another file":   func(dir string) error { return second(os.ReadFile(filepath.Join(dir, "secret"))) },
	"list another folder": func(dir string) error { return second(os.ReadDir(filepath.Join(dir, "elsewhere"))) },
	"write to the set":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "set", "file"), nil, 0o600) },
	"write beside it":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "planted"), nil, 0o600) },
	"take the set away":   func(dir string) error { return os.Remove(filepath.Join(dir, "set", "gone")) },
	"start a program":     func(string) error { return exec.Command("/bin/true").Run() },
	"connect":             func(string) error { return second(net.Dial("tcp", os.Getenv("LISTENER"))) },
	"signal its parent":   func(string) error { return unix.Kill(os.Getppid(), 0) },
	"limit its parent":    func(string) error { return unix.Prlimit(os.Getppid(), unix.RLIMIT_CORE, nil, &unix.Rlimit{}) },
}

// calls are what Landlock does not stop.
var calls = map[string]func(dir string) error{
	"make a socket":             func(string) error { return second(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)) },
	"make memory for a program": func(string) error { return second(unix.MemfdCreate("program", 0)) },
	"read a process's memory":   func(string) error { return second(unix.ProcessVMReadv(os.Getpid(), nil, nil, 0)) },
	"have itself traced": func(string) error {
		if _, _, errno := unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0); errno != 0 {
			return errno
		}
		return nil
	},
	"take in orphans":               func(string) error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) },
	"signal itself by another call": func(string) error { return unix.Kill(os.Getpid(), 0) },
	"go to another folder":          func(string) error { return unix.Chdir("/") },
	"change its group":              func(string) error { return unix.Setpgid(0, 0) },
}

// uses are what it has to do.
var uses = map[string]func(dir string) error{
	"read the set": func(dir string) error { return second(os.ReadFile(filepath.Join(dir, "set", "file"))) },
	"list the set": func(dir string) error { return second(os.ReadDir(filepath.Join(dir, "set"))) },
}

func second[T any](_ T, err error) error { return err }

// TestMain is the program that was taken over, where a test starts it as that.
func TestMain(m *testing.M) {
	dir := os.Getenv("TAKEN_OVER")
	if dir == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("FREE") == "" {
		if err := confine([]string{contents.ScanOrder, filepath.Join(dir, "set")}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	list := map[string]map[string]func(string) error{"files": attempts, "calls": calls}[os.Getenv("ATTEMPTS")]
	for _, list := range []map[string]func(string) error{list, uses} {
		for name, do := range list {
			if err := do(dir); err == nil {
				fmt.Println("did:", name)
			} else if !errors.Is(err, fs.ErrPermission) {
				fmt.Printf("%s: %v\n", name, err)
			}
		}
	}
}

// TestConfined: what was taken over can read the set, and nothing else. Its twin, which
// was not confined, can do all that it tries.
func TestConfined(t *testing.T) {
	t.Parallel()
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || abi < 6 {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "landlock") {
			t.Fatalf("Landlock is required, and this kernel has version %d: %v", abi, errno)
		}
		t.Skipf("this kernel has no Landlock of version 6: %d, %v", abi, errno)
	}
	confined(t, "files", attempts)
}

// TestCalls: what was taken over can make no system call that reading does not need, whatever Landlock there is.
func TestCalls(t *testing.T) {
	t.Parallel()
	confined(t, "calls", calls)
}

// confined has a program that was taken over try what is on a list, and its twin that was not confined.
func confined(t *testing.T, list string, attempts map[string]func(string) error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, free := range []string{"", "yes"} {
		dir := t.TempDir()
		for _, d := range []string{"set", "elsewhere"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range []string{"set/file", "set/gone", "secret"} {
			if err := os.WriteFile(filepath.Join(dir, f), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "TAKEN_OVER="+dir, "LISTENER="+l.Addr().String(), "FREE="+free, "ATTEMPTS="+list)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got := strings.Split(strings.TrimSpace(string(out)), "\n")
		want := []string{}
		for name := range uses {
			want = append(want, "did: "+name)
		}
		for name := range attempts {
			if free != "" {
				want = append(want, "did: "+name)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("free %q: %q, want %q", free, got, want)
		}
	}
}
