package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"proofbox"
	"proofbox/client"
)

// TestMain points the tests at the programs that `make build` makes.
func TestMain(m *testing.M) {
	bin := os.Getenv("PROOFBOX_BIN")
	if bin == "" {
		bin, _ = filepath.Abs("../bin")
		os.Setenv("PROOFBOX_BIN", bin)
	}
	for _, program := range []string{"proofbox", "proofbox-jail", "proofbox-init", "runc"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err == nil {
			continue
		}
		fmt.Printf("%s is missing; `make build` makes it\n", program)
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), program) {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// open gives a client with a state folder of its own, and a workspace.
func open(t *testing.T) (c *client.Client, workspace string) {
	t.Helper()
	c = &client.Client{Home: filepath.Join(t.TempDir(), "state")}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, t.TempDir()
}

func in(workspace string) proofbox.Spec {
	return proofbox.Spec{
		Workspace: proofbox.Workspace{Original: workspace},
		Limits:    proofbox.Limits{Time: proofbox.Duration(time.Minute)}, // so that a test that fails does not hang
	}
}

// background runs a command that goes on, and returns when it runs.
func background(t *testing.T, c *client.Client, spec proofbox.Spec, args ...string) (id string, wait func() proofbox.Run) {
	t.Helper()
	running := make(chan string, 1)
	ended := make(chan proofbox.Run, 1)
	go func() {
		var id string
		run, err := c.Run(t.Context(), client.Command{Spec: spec, Args: args, Event: func(e proofbox.Event) {
			if e.Started != "" {
				id = e.Started
			}
			if e.Running {
				running <- id
			}
		}})
		if err != nil {
			t.Errorf("running %q: %v", args, err)
			close(running)
		}
		ended <- run
	}()
	id = <-running
	if id == "" {
		t.FailNow()
	}
	return id, func() proofbox.Run { return <-ended }
}

func TestFilesOfARunningBox(t *testing.T) {
	c, ws := open(t)
	id, wait := background(t, c, in(ws), "sh", "-c", "until test -e stop; do sleep 0.02; done; cat given")
	if err := c.WriteFile(t.Context(), id, "/workspace/given", 0o600, strings.NewReader("from outside\n")); err != nil {
		t.Fatal(err)
	}
	r, err := c.ReadFile(t.Context(), id, "/workspace/given")
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil || string(data) != "from outside\n" {
		t.Errorf("it reads %q: %v", data, err)
	}
	if _, err := c.ReadFile(t.Context(), id, "/workspace/none"); err == nil {
		t.Error("a file that is not there was read")
	}
	if err := c.WriteFile(t.Context(), id, "/usr/bin/planted", 0o755, strings.NewReader("x")); err == nil {
		t.Error("a file of the read-only image was written")
	}
	if err := c.WriteFile(t.Context(), id, "/workspace/stop", 0o600, strings.NewReader("")); err != nil {
		t.Fatal(err)
	}
	if run := wait(); run.ExitCode != 0 || run.Changes.Added != 2 {
		t.Errorf("it ended %q with %+v", run.Ended, run.Changes)
	}
	if _, err := c.ReadFile(t.Context(), id, "/workspace/given"); err == nil {
		t.Error("a file was read in a box that is gone")
	}
}

func TestTerminalIsResized(t *testing.T) {
	c, ws := open(t)
	sizes := make(chan proofbox.TerminalSize, 1)
	typed, typing := io.Pipe()
	var out bytes.Buffer
	ready := writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("ready")) {
			sizes <- proofbox.TerminalSize{Rows: 50, Cols: 132}
		}
		return out.Write(p)
	})
	run, err := c.Run(t.Context(), client.Command{
		Spec: in(ws), Stdin: typed, Stdout: ready, Sizes: sizes, Term: "xterm",
		TTY:  &proofbox.TerminalSize{Rows: 24, Cols: 80},
		Args: []string{"sh", "-c", `stty size; trap 'stty size; exit 4' WINCH; echo ready; while :; do sleep 0.02; done`},
	})
	if err := errors.Join(err, typing.Close()); err != nil {
		t.Fatal(err)
	}
	if run.ExitCode != 4 || !strings.HasPrefix(out.String(), "24 80") || !strings.Contains(out.String(), "50 132") {
		t.Errorf("it ended %q and wrote %q", run.Ended, out.String())
	}
}

func TestSignalsReachTheCommand(t *testing.T) {
	c, ws := open(t)
	signals := make(chan syscall.Signal, 1)
	ready := writerFunc(func(p []byte) (int, error) {
		signals <- syscall.SIGUSR1
		return len(p), nil
	})
	run, err := c.Run(t.Context(), client.Command{
		Spec: in(ws), Stdout: ready, Signals: signals,
		Args: []string{"sh", "-c", "trap 'exit 6' USR1; echo ready; while :; do sleep 0.05; done"},
	})
	if err != nil || run.ExitCode != 6 {
		t.Errorf("it ended %q: %v", run.Ended, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestEndOfTheContextStopsTheRun(t *testing.T) {
	c, ws := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	var id string
	_, err := c.Run(ctx, client.Command{Spec: in(ws), Args: []string{"sleep", "1000"}, Event: func(e proofbox.Event) {
		if e.Started != "" {
			id = e.Started
		}
		if e.Running {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	// Stop waits for the teardown, whoever has begun it.
	run, err := c.Stop(t.Context(), id)
	if err != nil || run.State != proofbox.Ended || !run.Teardown.Clean {
		t.Errorf("it is %+v: %v", run.Teardown, err)
	}
}

func TestRefusalsKeepTheirWords(t *testing.T) {
	c, ws := open(t)
	spec := in(ws)
	spec.Risk.Code, spec.Wall = proofbox.Generated, proofbox.Container
	_, err := c.Run(t.Context(), client.Command{Spec: spec, Args: []string{"true"}})
	refusal, ok := errors.AsType[*proofbox.Refusal](err)
	if !ok || refusal.Rule == "" || refusal.Reason == "" || refusal.Repair == "" {
		t.Errorf("the error is %#v", err)
	}
	if _, err := c.Show(t.Context(), "nosuchrun"); err == nil || !strings.Contains(err.Error(), "proofbox runs") {
		t.Errorf("an unknown run is %v", err)
	}
	runs, err := c.Runs(t.Context())
	if err != nil || len(runs) != 0 {
		t.Errorf("a refused run is listed: %v, %v", runs, err)
	}
}

func TestManyRunsOfOneClient(t *testing.T) {
	c, ws := open(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			var out bytes.Buffer
			run, err := c.Run(t.Context(), client.Command{
				Spec: in(ws), Stdout: &out, Args: []string{"sh", "-c", fmt.Sprintf("echo %d | tee mine; exit %d", i, i)},
			})
			if err != nil || run.ExitCode != i || out.String() != fmt.Sprintf("%d\n", i) || run.Changes.Added != 1 {
				t.Errorf("run %d ended %q and wrote %q: %v", i, run.Ended, out.String(), err)
			}
		})
	}
	all.Wait()
	report, err := c.VerifyLog(t.Context())
	if err != nil || !report.OK || report.Entries != 8*4 {
		t.Errorf("the log: %+v, %v", report, err)
	}
}

func TestCloseStopsWhatRuns(t *testing.T) {
	c, ws := open(t)
	_, wait := background(t, c, in(ws), "sleep", "1000")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if run := wait(); run.Ended != "stopped" || !run.Teardown.Clean {
		t.Errorf("it ended %q: %+v", run.Ended, run.Teardown)
	}
	if _, err := c.Runs(t.Context()); err == nil {
		t.Error("a closed client answers")
	}
}

// TestNoRunIsNamed asks about a run without saying which.
func TestNoRunIsNamed(t *testing.T) {
	c, _ := open(t)
	ctx := t.Context()
	for verb, ask := range map[string]func() error{
		"show":       func() error { _, err := c.Show(ctx, ""); return err },
		"deny":       func() error { _, err := c.Deny(ctx, "", proofbox.DenyRequest{}); return err },
		"stop":       func() error { _, err := c.Stop(ctx, ""); return err },
		"diff":       func() error { _, err := c.Diff(ctx, "", proofbox.DiffRequest{}); return err },
		"keep":       func() error { _, err := c.Keep(ctx, "", proofbox.KeepRequest{All: true}); return err },
		"discard":    func() error { _, err := c.Discard(ctx, ""); return err },
		"read file":  func() error { _, err := c.ReadFile(ctx, "", "/etc/passwd"); return err },
		"write file": func() error { return c.WriteFile(ctx, "", "/tmp/x", 0o644, strings.NewReader("x")) },
		"exec":       func() error { _, err := c.Exec(ctx, "", client.Command{Args: []string{"true"}}); return err },
		"exchanges": func() (last error) {
			for _, err := range c.Exchanges(ctx, "") {
				last = err
			}
			return last
		},
		"logs": func() (last error) {
			for _, err := range c.Logs(ctx, "", false) {
				last = err
			}
			return last
		},
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), "no run is named") {
			t.Errorf("%s answers %v", verb, err)
		}
	}
}
