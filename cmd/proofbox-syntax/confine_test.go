package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// attempts are what a program that was taken over by a text would do.
var attempts = map[string]func(dir string) error{
	"read a file":       func(dir string) error { return second(os.ReadFile(filepath.Join(dir, "file"))) },
	"list a folder":     func(dir string) error { return second(os.ReadDir(dir)) },
	"write a file":      func(dir string) error { return os.WriteFile(filepath.Join(dir, "planted"), nil, 0o600) },
	"start a program":   func(string) error { return exec.Command("/bin/true").Run() },
	"connect":           func(string) error { return second(net.Dial("tcp", os.Getenv("LISTENER"))) },
	"signal its parent": func(string) error { return unix.Kill(os.Getppid(), 0) },
	"limit its parent":  func(string) error { return unix.Prlimit(os.Getppid(), unix.RLIMIT_CORE, nil, &unix.Rlimit{}) },
}

func second[T any](_ T, err error) error { return err }

// TestMain is the program that was taken over, where a test starts it as that.
func TestMain(m *testing.M) {
	dir := os.Getenv("TAKEN_OVER")
	if dir == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("FREE") == "" {
		if err := confine(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	for name, do := range attempts {
		if err := do(dir); err == nil {
			fmt.Println(name)
		} else if !errors.Is(err, fs.ErrPermission) {
			fmt.Printf("%s: %v\n", name, err)
		}
	}
}

// TestConfined: what was taken over can do nothing of that. Its twin, which was not
// confined, can do it all.
func TestConfined(t *testing.T) {
	t.Parallel()
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || abi < 6 {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "landlock") {
			t.Fatalf("Landlock is required, and this kernel has version %d: %v", abi, errno)
		}
		t.Skipf("this kernel has no Landlock of version 6: %d, %v", abi, errno)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for free, want := range map[string][]string{"": nil, "yes": slices.Sorted(maps.Keys(attempts))} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "TAKEN_OVER="+dir, "LISTENER="+l.Addr().String(), "FREE="+free)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got := strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("free %q: did %q, want %q", free, got, want)
		}
	}
}
