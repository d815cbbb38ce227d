package cgroup_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"proofbox/internal/box/cgroup"
)

// group makes a group that is removed when the test ends, or skips where this
// user may make none.
func group(t *testing.T) (*cgroup.Layout, *cgroup.Group) {
	t.Helper()
	l := cgroup.Detect()
	if !l.Can(cgroup.Memory) || !l.Can(cgroup.Pids) || !l.Can(cgroup.CPU) {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "cgroups") {
			t.Fatalf("cgroups are required and not usable: %v", l.Why)
		}
		t.Skipf("no usable cgroups: %v", l.Why)
	}
	g := l.New(fmt.Sprintf("test-%d-%s", os.Getpid(), strings.ToLower(t.Name())))
	if err := g.Make(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, dir := range g.Folders() {
			if err := cgroup.Remove(context.Background(), dir); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q is still there", dir)
			}
		}
	})
	return l, g
}

// shell starts a shell that waits for a line on its standard input, moves it
// into the group and lets it go on with the script.
func shell(t *testing.T, g *cgroup.Group, script string) (out string, err error) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "read go; "+script)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := g.Enter(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if in, err := g.Holds(cmd.Process.Pid); err != nil || !in {
		t.Errorf("the group holds the process: %v, %v", in, err)
	}
	if _, err := fmt.Fprintln(stdin, "go"); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	return said.String(), err
}

func TestLimitsAreAppliedAndReadBack(t *testing.T) {
	_, g := group(t)
	limits := cgroup.Limits{Memory: 64<<20 + 5, CPUs: 0.5, Pids: 20}
	if err := g.Limit(limits); err != nil {
		t.Fatal(err)
	}
	applied := g.Applied(limits)
	if len(applied) < 3 {
		t.Errorf("only %d limits were read back: %+v", len(applied), applied)
	}
	for _, a := range applied {
		if !a.OK {
			t.Errorf("%s holds %q, want %q", a.File, a.Found, a.Want)
		}
	}
	for _, a := range g.Applied(cgroup.Limits{Memory: 128 << 20, CPUs: 0.25, Pids: 21}) {
		if a.OK && a.File != "cpu.cfs_period_us" && a.File != "memory.swap.max" && a.File != "memory.oom.group" {
			t.Errorf("%s was read back as %q though it is %q", a.File, a.Want, a.Found)
		}
	}
}

func TestPidsLimitHoldsAndIsCounted(t *testing.T) {
	_, g := group(t)
	if err := g.Limit(cgroup.Limits{Pids: 8}); err != nil {
		t.Fatal(err)
	}
	out, err := shell(t, g, `for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 30 >/dev/null 2>&1 & done; wait`)
	if err == nil || !strings.Contains(strings.ToLower(out), "fork") {
		t.Errorf("12 processes under a limit of 8: %v, %q", err, out)
	}
	if u := g.Usage(); u.PidsRefuse == 0 {
		t.Errorf("the refused fork was not counted: %+v", u)
	}
}

func TestMemoryLimitKillsAndIsCounted(t *testing.T) {
	_, g := group(t)
	if err := g.Limit(cgroup.Limits{Memory: 32 << 20}); err != nil {
		t.Fatal(err)
	}
	out, err := shell(t, g, `head -c 200m /dev/zero | tail -c 150m | wc -c`)
	if err == nil && strings.Contains(out, "157286400") {
		t.Errorf("150 MiB were held under a limit of 32 MiB: %q", out)
	}
	u := g.Usage()
	if u.OOMKills == 0 || u.PeakMemory < 16<<20 || u.PeakMemory > 33<<20 {
		t.Errorf("used %+v", u)
	}
}

func TestRemoveKillsWhatIsLeft(t *testing.T) {
	_, g := group(t)
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := g.Enter(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for _, dir := range g.Folders() {
		if err := cgroup.Remove(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err == nil {
		t.Error("the process in the group ended by itself")
	}
}

func TestUnusableSaysWhy(t *testing.T) {
	l := cgroup.Detect()
	for _, c := range []string{cgroup.Memory, cgroup.CPU, cgroup.Pids} {
		if l.Can(c) == (l.Why[c] != "") {
			t.Errorf("%s: usable %v, because %q", c, l.Can(c), l.Why[c])
		}
	}
}
