// Package boxtest is what every wall must do: a suite that is run against each
// [box.Runtime], with real boxes.
package boxtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"proofbox"
	"proofbox/internal/audit"
	"proofbox/internal/box"
	"proofbox/internal/box/cgroup"
	"proofbox/internal/box/jail"
	"proofbox/internal/door"
)

// Suite runs the tests against one runtime.
type Suite struct {
	Runtime box.Runtime
	// Bin is the folder of proofbox's own programs.
	Bin string
	// Root is what boxes boot from, with a shell and the usual small programs;
	// the host's system folders where it is empty.
	Root []jail.Step
	// RootKey is what [box.Config] says of it.
	RootKey string
	// State is where boxes keep what they share; a folder of the test's own
	// where it is empty.
	State string
}

// Run runs every test.
func (s Suite) Run(t *testing.T) {
	if s.State == "" {
		s.State = t.TempDir()
	}
	for name, test := range map[string]func(*testing.T){
		"streams":      s.streams,
		"exit":         s.exit,
		"terminal":     s.terminal,
		"signals":      s.signals,
		"files":        s.files,
		"exec":         s.exec,
		"posture":      s.posture,
		"writable":     s.writable,
		"limits":       s.limits,
		"kill of init": s.killOfInit,
		"teardown":     s.teardown,
		"failed start": s.failedStart,
	} {
		t.Run(name, test)
	}
}

// Missing skips a test for want of something, unless PROOFBOX_REQUIRE lists it.
func Missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), what) {
		t.Fatalf("%s is required and missing: %s", what, why)
	}
	t.Skipf("%s is missing: %s", what, why)
}

// trial is one box of a test.
type trial struct {
	*box.Box
	original string
}

// Host is what boxes are started with.
func (s Suite) Host(t *testing.T) *box.Host {
	t.Helper()
	key, err := audit.OpenKey(filepath.Join(s.State, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return &box.Host{
		State: s.State, Key: key, Jail: filepath.Join(s.Bin, "proofbox-jail"), Init: filepath.Join(s.Bin, "proofbox-init"),
		Cgroups: cgroup.Detect(),
	}
}

// Config declares a box.
func (s Suite) Config(t *testing.T, h *box.Host, limits proofbox.Limits) box.Config {
	t.Helper()
	dir, original := t.TempDir(), t.TempDir()
	journal, err := box.NewJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := journal.Close(); err != nil {
			t.Error(err)
		}
	})
	return box.Config{
		ID: "t" + strings.ToLower(filepath.Base(filepath.Dir(dir))+filepath.Base(dir)), Dir: dir, Journal: journal,
		Runtime: s.Runtime, Hostname: "box", Root: s.root(t), RootKey: s.RootKey,
		Workspace: &box.Workspace{Lower: original, UID: os.Getuid(), GID: os.Getgid()},
		Limits:    limits.Or(proofbox.DefaultLimits), Enforced: h.Enforcements(s.Runtime.Wall()),
	}
}

func (s Suite) root(t *testing.T) []jail.Step {
	if len(s.Root) > 0 {
		return s.Root
	}
	return system(t)
}

// system shows the host's system folders.
func system(t *testing.T) []jail.Step {
	t.Helper()
	steps := []jail.Step{{Bind: &jail.Bind{Source: "/usr", Target: "/usr", Folder: true}}}
	for _, dir := range []string{"/bin", "/lib", "/lib64", "/sbin"} {
		to, err := os.Readlink(dir)
		switch {
		case err == nil:
			steps = append(steps, jail.Step{Link: &jail.Link{Path: dir, Target: to}})
		case !errors.Is(err, fs.ErrNotExist):
			steps = append(steps, jail.Step{Bind: &jail.Bind{Source: dir, Target: dir, Folder: true}})
		}
	}
	return steps
}

// start starts a box that is closed when the test ends, with every object gone.
func (s Suite) start(t *testing.T, limits proofbox.Limits) *trial {
	t.Helper()
	if err := s.Runtime.Check(t.Context()); err != nil {
		Missing(t, string(s.Runtime.Wall()), err.Error())
	}
	h := s.Host(t)
	c := s.Config(t, h, limits)
	b, err := h.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		account, err := b.Close(context.Background())
		if err != nil || !box.Clean(account) {
			t.Errorf("left: %+v, %v", account, err)
		}
	})
	return &trial{b, c.Workspace.Lower}
}

var environment = []string{"PATH=/usr/bin:/bin", "HOME=/home/box"}

func command(script string) door.Command {
	return door.Command{Args: []string{"/bin/sh", "-c", script}, Env: environment, Dir: box.Workdir}
}

// run runs a script as the box's main command.
func (b *trial) run(t *testing.T, script string) (box.Outcome, string, string) {
	t.Helper()
	var out, errOut bytes.Buffer
	o := b.Run(t.Context(), command(script), box.Stdio{Stdout: &out, Stderr: &errOut}, nil)
	return o, out.String(), errOut.String()
}

func (s Suite) streams(t *testing.T) {
	b := s.start(t, proofbox.Limits{})
	var out, errOut bytes.Buffer
	c := command(`cat; echo err >&2`)
	c.Stdin = true
	o := b.Run(t.Context(), c, box.Stdio{Stdin: strings.NewReader(strings.Repeat("in", 100_000)), Stdout: &out, Stderr: &errOut}, nil)
	if o.ExitCode != 0 || out.String() != strings.Repeat("in", 100_000) || errOut.String() != "err\n" {
		t.Errorf("%+v, %d bytes, %q", o, out.Len(), errOut.String())
	}
}

func (s Suite) exit(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 42": 42, "kill -9 $$": 137, "exec no-such-program": 127} {
		if o, _, _ := s.start(t, proofbox.Limits{}).run(t, script); o.ExitCode != want {
			t.Errorf("%q ended %q with %d, want %d", script, o.Ended, o.ExitCode, want)
		}
	}
}

func (s Suite) terminal(t *testing.T) {
	b := s.start(t, proofbox.Limits{})
	var out bytes.Buffer
	c := command(`test -t 0 && echo terminal; stty size; exit 4`)
	c.TTY = &proofbox.TerminalSize{Rows: 12, Cols: 34}
	o := b.Run(t.Context(), c, box.Stdio{Stdout: &out}, nil)
	if o.ExitCode != 4 || !strings.Contains(out.String(), "terminal") || !strings.Contains(out.String(), "12 34") {
		t.Errorf("%+v, %q", o, out.String())
	}
}

func (s Suite) signals(t *testing.T) {
	b := s.start(t, proofbox.Limits{})
	r, w := io.Pipe()
	processes := make(chan *door.Process, 1)
	outcome := make(chan box.Outcome, 1)
	go func() {
		outcome <- b.Run(t.Context(), command(`trap 'exit 6' TERM; echo ready; while :; do sleep 0.1; done`),
			box.Stdio{Stdout: w}, func(p *door.Process) { processes <- p })
	}()
	if _, err := io.ReadFull(r, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	if err := (<-processes).Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if o := <-outcome; o.ExitCode != 6 {
		t.Errorf("%+v", o)
	}
}

func (s Suite) files(t *testing.T) {
	b := s.start(t, proofbox.Limits{})
	if err := b.Door.WriteFile(t.Context(), box.Workdir+"/f", 0o640, strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := b.Exec(t.Context(), command(`stat -c %a f; cat f; echo more >g`), box.Stdio{Stdout: &out}, nil); err != nil || out.String() != "640\ntext" {
		t.Errorf("%v, %q", err, out.String())
	}
	r, err := b.Door.ReadFile(t.Context(), box.Workdir+"/g")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "more\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := b.Door.ReadFile(t.Context(), box.Workdir+"/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func (s Suite) exec(t *testing.T) {
	b := s.start(t, proofbox.Limits{})
	var out bytes.Buffer
	exit, err := b.Exec(t.Context(), command(`echo further; exit 9`), box.Stdio{Stdout: &out}, nil)
	if err != nil || exit.Code != 9 || out.String() != "further\n" {
		t.Errorf("%+v, %v, %q", exit, err, out.String())
	}
}

func (s Suite) posture(t *testing.T) {
	b := s.start(t, proofbox.Limits{})
	if len(b.Controls) < 5 {
		t.Errorf("only %d protections were read back", len(b.Controls))
	}
	for _, c := range b.Controls {
		if !c.OK {
			t.Errorf("not in force: %+v", c)
		}
	}
	_, out, _ := b.run(t, `id -u; id -G; cat /proc/self/status; hostname; ls /sys/class/net 2>/dev/null; ls -d /proc/[0-9]* | wc -l`)
	for _, want := range []string{"1000\n1000\n", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "\nbox\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("inside there is no %q: %s", want, out)
		}
	}
}

// writable tries to write everywhere.
func (s Suite) writable(t *testing.T) {
	b := s.start(t, proofbox.Limits{})
	if err := os.WriteFile(filepath.Join(b.original, "original"), []byte("as it was"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, out, _ := b.run(t, `for d in / /usr /usr/bin /etc /run /run/proofbox /home /proc /bin/; do (echo x >$d/planted) 2>/dev/null && echo "written: $d"; done
for d in /workspace /tmp /home/box /dev/shm; do echo x >$d/planted || echo "not written: $d"; done
echo changed >original; rm -f /run/proofbox/door; exit 0`)
	if out != "" {
		t.Errorf("%s", out)
	}
	if text, err := os.ReadFile(filepath.Join(b.original, "original")); err != nil || string(text) != "as it was" {
		t.Errorf("the original is %q, %v", text, err)
	}
}

func (s Suite) limits(t *testing.T) {
	b := s.start(t, proofbox.Limits{Disk: 8 << 20})
	if o, _, _ := b.run(t, `head -c 30M /dev/zero >big`); o.Ended != "disk limit 8MiB" {
		t.Errorf("disk: %+v", o)
	}
	b = s.start(t, proofbox.Limits{Time: proofbox.Duration(500_000_000)})
	if o, _, _ := b.run(t, `sleep 1000`); o.ExitCode != proofbox.ExitTimeLimit {
		t.Errorf("time: %+v", o)
	}
}

// killOfInit lets a box try to end its process 1: it cannot, or the box ends.
func (s Suite) killOfInit(t *testing.T) {
	b := s.start(t, proofbox.Limits{})
	o, out, _ := b.run(t, `kill -TERM 1; kill -STOP 1; kill -9 1; echo alive`)
	alive := o.ExitCode == 0 && out == "alive\n"
	ended := o.ExitCode == proofbox.ExitFailed && out == ""
	if !alive && !ended {
		t.Errorf("%+v, %q", o, out)
	}
}

func (s Suite) teardown(t *testing.T) {
	b := s.start(t, proofbox.Limits{})
	o, _, _ := b.run(t, `setsid sleep 1000 & (setsid sleep 1000 &) ; echo left >left; exit 0`)
	if o.ExitCode != 0 {
		t.Errorf("%+v", o)
	}
	account := b.TakeDown(t.Context())
	kinds := map[string]bool{}
	for _, a := range account {
		kinds[a.Kind] = true
		if !a.Gone {
			t.Errorf("left: %+v", a)
		}
	}
	for _, kind := range []string{"process", "pid namespace", "socket"} {
		if !kinds[kind] {
			t.Errorf("the account names no %s", kind)
		}
	}
	if _, err := os.Stat(filepath.Join(b.original, "left")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the box wrote is in the original: %v", err)
	}
}

// failedStart starts a box that cannot start, and looks for what it left.
func (s Suite) failedStart(t *testing.T) {
	if err := s.Runtime.Check(t.Context()); err != nil {
		Missing(t, string(s.Runtime.Wall()), err.Error())
	}
	h := s.Host(t)
	c := s.Config(t, h, proofbox.Limits{})
	h.Init = "/bin/false"
	_, err := h.Start(t.Context(), c)
	failed, ok := errors.AsType[*box.StartError](err)
	if !ok {
		t.Fatalf("a box without its process 1: %v", err)
	}
	if len(failed.Teardown) == 0 || !box.Clean(failed.Teardown) {
		t.Errorf("left: %+v", failed.Teardown)
	}
}
