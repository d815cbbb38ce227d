package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestEndedTrialLeavesNothing ends a trial in its middle. A signal that can be
// heard has it clean up before it exits; after one that cannot, the next command
// of the same state folder does.
func TestEndedTrialLeavesNothing(t *testing.T) {
	bin := programs(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			trial := newTrial(t, bin)
			trial.endBy(t, sig)
			if sig != syscall.SIGKILL {
				if left := trial.left(t); left != "" {
					t.Errorf("left: %s", left)
				}
				return
			}
			if trial.left(t) == "" {
				t.Fatal("a trial that was killed has left nothing, so that there is nothing to clean up")
			}
			for tries := 0; trial.left(t) != ""; tries++ { // what was killed with it may hold its mark for a moment
				if out, err := trial.command("runs").CombinedOutput(); err != nil || tries == 1000 {
					t.Fatalf("proofbox runs: %v, %s; left: %s", err, out, trial.left(t))
				}
			}
		})
	}
}

// endableTrial is a trial with folders of its own for all that it plants.
type endableTrial struct {
	bin, state, home, temp string
	cmd                    *exec.Cmd
	planted                []string // in the home folder
}

// newTrial starts a trial and returns when it attacks.
func newTrial(t *testing.T, bin string) *endableTrial {
	t.Helper()
	dir := t.TempDir()
	e := &endableTrial{bin: bin, state: filepath.Join(dir, "state"), home: filepath.Join(dir, "home"), temp: filepath.Join(dir, "temp")}
	if err := errors.Join(os.Mkdir(e.home, 0o755), os.Mkdir(e.temp, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	e.cmd = e.command("breakout", "run", "--wall", "container", "--only", "[A-J]*")
	var said bytes.Buffer
	e.cmd.Stdout, e.cmd.Stderr = &said, &said
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for t.Context().Err() == nil && !e.attacks() {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/exe", e.cmd.Process.Pid)); err != nil {
			t.Fatalf("the trial ended by itself: %s", &said)
		}
	}
	e.planted = matching(t, e.home, ".proofbox-flag-*")
	if len(e.planted) == 0 {
		t.Fatal("the trial has planted nothing in the home folder")
	}
	return e
}

func (e *endableTrial) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(e.bin, "proofbox"), args...)
	cmd.Env = append(os.Environ(), "PROOFBOX_BIN="+e.bin, "PROOFBOX_HOME="+e.state, "HOME="+e.home, "TMPDIR="+e.temp)
	return cmd
}

// attacks says whether a box of the trial runs.
func (e *endableTrial) attacks() bool {
	records, _ := filepath.Glob(filepath.Join(e.state, "runs", "*", "run.json"))
	for _, r := range records {
		if text, err := os.ReadFile(r); err == nil && strings.Contains(string(text), `"state": "running"`) {
			return true
		}
	}
	return false
}

func (e *endableTrial) endBy(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := e.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if err := e.cmd.Wait(); err == nil {
		t.Fatal("a trial that was ended says that it went well")
	}
}

// left names what the trial has left on the host.
func (e *endableTrial) left(t *testing.T) string {
	t.Helper()
	var left []string
	for dir, pattern := range map[string]string{e.home: ".proofbox-flag-*", e.temp: "*", filepath.Join(e.state, "runs"): "*", filepath.Join(e.state, "live"): "*"} {
		left = append(left, matching(t, dir, pattern)...)
	}
	for _, planted := range e.planted { // of the same name
		left = append(left, matching(t, "/tmp", strings.TrimPrefix(filepath.Base(planted), ".")+"*")...)
	}
	return strings.Join(left, " ")
}

func matching(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
