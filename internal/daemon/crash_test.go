package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/box/boxtest"
	"proofbox/internal/daemon"
	"proofbox/internal/debian"
)

// Variables that make this test binary a supervisor of one run; see
// TestKilledSupervisorIsCleanedUpAfter.
const (
	superviseHome = "PROOFBOX_TEST_HOME"
	superviseWall = "PROOFBOX_TEST_WALL"
	proveRun      = "PROOFBOX_TEST_PROVE" // instead, prove the keep of this run
	keepReady     = "PROOFBOX_TEST_READY" // the run is short, and a box is kept ready after it
)

func TestMain(m *testing.M) {
	if home := os.Getenv(superviseHome); home != "" {
		fmt.Fprintln(os.Stderr, supervise(home, proofbox.Wall(os.Getenv(superviseWall))))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func supervise(home string, wall proofbox.Wall) error {
	d, err := daemon.Open(home)
	if err != nil {
		return err
	}
	quiet := api.Session{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Event: func(proofbox.Event) {}, Drive: func(api.Driver) {}}
	if run := os.Getenv(proveRun); run != "" {
		_, err = d.Prove(context.Background(), run, proofbox.ProofRequest{Keep: proofbox.KeepRequest{All: true}, Command: []string{"sleep", "300"}}, quiet)
		return err
	}
	command := "echo started >f; setsid sleep 300 & sleep 300"
	if os.Getenv(keepReady) != "" {
		d.KeepReady(1, func(text string) { fmt.Println(text) })
		command = "true"
	}
	_, err = d.Run(context.Background(), proofbox.RunRequest{
		Spec:    proofbox.Spec{Wall: wall, Workspace: proofbox.Workspace{Original: filepath.Join(filepath.Dir(home), "ws")}},
		Command: []string{"sh", "-c", command},
	}, quiet)
	if err == nil && command == "true" {
		select {} // until it is killed
	}
	return err
}

// TestKilledProofLeavesNoRun: the box of a proof is nothing that a person means
// by "last", and when its supervisor was killed, nothing at all.
func TestKilledProofLeavesNoRun(t *testing.T) {
	d, ws := open(t), t.TempDir()
	home := daemon.HomeOf(d)
	write(t, ws, map[string]string{"f": "as it was"})
	run := run(t, d, proofbox.Spec{Workspace: proofbox.Workspace{Original: ws}}, "echo new >f").Run
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), superviseHome+"="+home, proveRun+"="+run.ID)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for running := 0; running == 0 && t.Context().Err() == nil; {
		runs, err := d.Runs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			if r.Proves == run.ID && r.State == proofbox.Running {
				running++
			}
		}
	}
	if last, err := d.Show(t.Context(), "last"); err != nil || last.ID != run.ID {
		t.Errorf("the last run is %s, %v", last.ID, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for tries := 0; ; tries++ {
		again, err := daemon.Open(home)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := again.Runs(t.Context())
		if err := errors.Join(err, again.Close()); err != nil {
			t.Fatal(err)
		}
		if len(runs) == 1 {
			break
		}
		if tries == 1000 {
			t.Fatalf("%d runs are left", len(runs))
		}
	}
	check(t, ws, map[string]string{"f": "as it was"})
}

// TestKilledSupervisorIsCleanedUpAfter kills a supervisor after each entry of
// its run's journal, and some while after the last, and lets the next one clean
// up.
func TestKilledSupervisorIsCleanedUpAfter(t *testing.T) {
	open(t) // sets PROOFBOX_BIN, or skips
	for _, wall := range walls {
		for entries := range 12 {
			t.Run(fmt.Sprintf("%s/%d", wall, entries), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				home := filepath.Join(dir, "state")
				write(t, filepath.Join(dir, "ws"), map[string]string{"f": "as it was"})
				killAfter(t, home, wall, entries)
				cleaned(t, home)
				check(t, filepath.Join(dir, "ws"), map[string]string{"f": "as it was"})
			})
		}
	}
}

// needGuests leaves a test out where there is no base to boot guests from.
func needGuests(t *testing.T) {
	t.Helper()
	if dir, err := debian.Dir(); err != nil {
		boxtest.Missing(t, "base", err.Error())
	} else if _, err := debian.Open(dir); err != nil {
		boxtest.Missing(t, "base", err.Error())
	}
}

// TestKilledSupervisorOfAMachine does the same where a guest is being saved, and
// where one runs.
func TestKilledSupervisorOfAMachine(t *testing.T) {
	open(t)
	needGuests(t)
	for _, entries := range []int{8, 99} {
		t.Run(fmt.Sprint(entries), func(t *testing.T) {
			dir := t.TempDir()
			home := filepath.Join(dir, "state")
			write(t, filepath.Join(dir, "ws"), map[string]string{"f": "as it was"})
			killAfter(t, home, proofbox.MicroVM, entries)
			cleaned(t, home)
			check(t, filepath.Join(dir, "ws"), map[string]string{"f": "as it was"})
		})
	}
}

// killAfter starts a supervisor and kills it once its journal has a number of
// entries; a number that it never reaches means once the command runs.
func killAfter(t *testing.T, home string, wall proofbox.Wall, entries int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), superviseHome+"="+home, superviseWall+"="+string(wall))
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for t.Context().Err() == nil && !reached(home, entries) {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid)); err != nil {
			t.Fatalf("the supervisor ended: %s", said.String())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the supervisor ended by itself")
	}
}

func reached(home string, entries int) bool {
	journals, _ := filepath.Glob(filepath.Join(home, "runs", "*", "journal"))
	records, _ := filepath.Glob(filepath.Join(home, "runs", "*", "run.json"))
	if len(journals) == 0 || len(records) == 0 {
		return false
	}
	journal, _ := os.ReadFile(journals[0])
	record, _ := os.ReadFile(records[0])
	return strings.Count(string(journal), "\n") >= entries && entries < 9 || strings.Contains(string(record), `"state": "running"`)
}

// reaped opens the state folder until the run has ended: a process that the
// supervisor was just starting holds the run's lock until it, too, has noticed.
func reaped(t *testing.T, home string) (*daemon.Daemon, proofbox.Run) {
	t.Helper()
	for tries := 0; ; tries++ {
		d, err := daemon.Open(home)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := d.Runs(t.Context())
		if err != nil || len(runs) != 1 {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		if runs[0].State == proofbox.Ended || tries == 1000 {
			return d, runs[0]
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// cleaned opens the state folder, which takes down what is left, and looks for
// anything that still is.
func cleaned(t *testing.T, home string) {
	t.Helper()
	d, run := reaped(t, home)
	if run.State != proofbox.Ended || run.Teardown == nil || !run.Teardown.Clean || run.Teardown.By != "reaper" {
		t.Errorf("state %s, ended %q, teardown %+v", run.State, run.Ended, run.Teardown)
	}
	left, err := filepath.Glob(filepath.Join(home, "live", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("live marks %q, %v", left, err)
	}
	for _, name := range []string{"door", "monitor", "control.sock", "scratch.ext4", "workspace.erofs", "template", "written", "base"} {
		if _, err := os.Lstat(filepath.Join(home, "runs", run.ID, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
	if groups, err := filepath.Glob("/sys/fs/cgroup/*/proofbox/proofbox-" + run.ID); err != nil || len(groups) > 0 {
		t.Errorf("cgroups %q, %v", groups, err)
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), run.ID) {
		t.Errorf("a mount is left, %v", err)
	}
	if report, err := d.VerifyLog(t.Context()); err != nil || !report.OK {
		t.Errorf("the log: %+v, %v", report, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
