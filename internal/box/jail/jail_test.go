package jail_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"proofbox/internal/box/jail"
)

var (
	buildOnce sync.Once
	binary    string
	buildErr  error
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "jail-test-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "proofbox-jail")
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// jailBinary gives cmd/proofbox-jail: the one that PROOFBOX_BIN names, else one
// that is built here.
func jailBinary(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PROOFBOX_BIN"); dir != "" {
		return filepath.Join(dir, "proofbox-jail")
	}
	buildOnce.Do(func() {
		cmd := exec.Command("go", "build", "-o", binary, "proofbox/cmd/proofbox-jail")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("%s", out)
			buildErr = err
		}
	})
	if buildErr != nil {
		t.Fatalf("building proofbox-jail: %v", buildErr)
	}
	return binary
}

func identity(t *testing.T) *jail.Identity {
	t.Helper()
	var id *jail.Identity
	var err error
	if os.Geteuid() == 0 {
		id, err = jail.RootIdentity(t.TempDir())
	} else {
		id, err = jail.UserIdentity()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := id.Release(); err != nil {
			t.Error(err)
		}
	})
	return id
}

// shellPlan is a jail with the host's system folders in which a shell runs a
// script.
func shellPlan(script string, more ...jail.Step) jail.Plan {
	steps := []jail.Step{
		{Bind: &jail.Bind{Source: "/usr", Target: "/usr", Folder: true}},
		{Link: &jail.Link{Path: "/bin", Target: "usr/bin"}},
		{Link: &jail.Link{Path: "/lib", Target: "usr/lib"}},
		{Link: &jail.Link{Path: "/lib64", Target: "usr/lib64"}},
		{Bind: &jail.Bind{Source: "/dev/null", Target: "/dev/null", Devices: true, Writable: true}},
		{Tmpfs: &jail.Tmpfs{Target: "/scratch", Size: 1 << 20, Inodes: 100, Mode: 0o755}},
	}
	return jail.Plan{
		Steps: append(steps, more...), Scratch: "/scratch",
		Program: jail.Program{Path: "/usr/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin"}},
	}
}

// fixed is a plan that needs no mounts of its own.
func fixed(p jail.Plan) func() (jail.Plan, []*os.File, error) {
	return func() (jail.Plan, []*os.File, error) { return p, nil, nil }
}

// start starts a jail that is killed when the test ends.
func start(t *testing.T, plan jail.Plan, log *bytes.Buffer) *jail.Jail {
	t.Helper()
	j, err := jail.Start(t.Context(), jail.Config{
		Binary: jailBinary(t), Identity: identity(t), Plan: fixed(plan), Log: log,
	})
	if err != nil {
		t.Fatalf("starting the jail: %v\n%s", err, log)
	}
	t.Cleanup(func() {
		j.Kill()
		<-j.Gone()
		if err := j.Scratch.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// run runs a script in a jail and gives what it said and its exit status.
func run(t *testing.T, script string, more ...jail.Step) (string, int) {
	t.Helper()
	var log bytes.Buffer
	j := start(t, shellPlan(script, more...), &log)
	status := <-j.Status()
	j.Kill()
	<-j.Gone()
	return log.String(), status
}

func TestJailShowsOnlyThePlan(t *testing.T) {
	t.Parallel()
	out, status := run(t, `ls -A /; cat /proc/1/comm; ls /proc | grep -c '^[0-9]'; exit 7`)
	want := "bin\ndev\nlib\nlib64\nproc\nscratch\nusr\n"
	if !strings.HasPrefix(out, want) || status != 7 {
		t.Errorf("status %d, said %q, want it to begin with %q", status, out, want)
	}
	if !strings.Contains(out, "proofbox-jail") {
		t.Errorf("process 1 is not the jail's own: %q", out)
	}
}

func TestJailHasNoNetwork(t *testing.T) {
	t.Parallel()
	out, _ := run(t, `cat /proc/net/route /proc/net/dev`)
	for line := range strings.Lines(out) {
		name, counters, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) != "lo" && strings.ContainsAny(counters, "123456789") {
			t.Errorf("the jail has the interface %q", line)
		}
	}
}

func TestBindIsReadOnlyAndWritableWhereAsked(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t)
	source := func(s string) jail.Step {
		return jail.Step{Bind: &jail.Bind{Source: dir, Target: s, Folder: true, Writable: s == "/rw"}}
	}
	out, _ := run(t, `echo x >/ro/f && echo ro written; echo x >/rw/g && echo rw written`, source("/ro"), source("/rw"))
	if strings.Contains(out, "ro written") || !strings.Contains(out, "rw written") {
		t.Errorf("said %q", out)
	}
}

// sharedDir is a folder that every user can reach and write, because a jail
// that root starts runs as somebody else.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "jail-shared-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStepNeverFollowsALink(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t)
	for _, step := range []jail.Step{
		{File: &jail.File{Path: "/escape/planted", Mode: 0o644}},
		{Dir: &jail.Dir{Path: "/escape/planted", Mode: 0o755}},
		{Link: &jail.Link{Path: "/escape/planted", Target: "x"}},
		{Bind: &jail.Bind{Source: dir, Target: "/escape/planted", Folder: true}},
		{Bind: &jail.Bind{Source: dir, Target: "/escape", Folder: true}},
	} {
		plan := shellPlan("true", jail.Step{Link: &jail.Link{Path: "/escape", Target: dir}}, step)
		j, err := jail.Start(t.Context(), jail.Config{Binary: jailBinary(t), Identity: identity(t), Plan: fixed(plan)})
		if err == nil {
			j.Kill()
			t.Errorf("step %+v went through a link", step)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("outside the jail there is %v, %v", entries, err)
	}
}

func TestOverlayKeepsTheLowerAndWhitesOut(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t)
	for _, name := range []string{"kept", "hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	j := start(t, shellPlan(`cd /copy; ls; cat kept >again; echo new >hidden`,
		jail.Step{Bind: &jail.Bind{Source: dir, Target: "/lower", Folder: true}},
		jail.Step{Whiteout: &jail.Whiteout{Path: "/mask/hidden"}},
		jail.Step{Dir: &jail.Dir{Path: "/scratch/upper", Mode: 0o755}},
		jail.Step{Dir: &jail.Dir{Path: "/scratch/work", Mode: 0o755}},
		jail.Step{Overlay: &jail.Overlay{
			Lower: []string{"/mask", "/lower"}, Upper: "/scratch/upper", Work: "/scratch/work", Target: "/copy",
		}},
	), &log)
	<-j.Status()
	j.Kill()
	<-j.Gone()
	if log.String() != "kept\n" {
		t.Errorf("the copy shows %q, want only the file that is not hidden", log.String())
	}
	if got, err := os.ReadFile(filepath.Join(dir, "hidden")); err != nil || string(got) != "hidden" {
		t.Errorf("the original holds %q, %v", got, err)
	}
	upper, err := os.OpenInRoot(j.Scratch.Name(), "upper")
	if err == nil {
		upper.Close()
		t.Error("the scratch was reachable by a path on the host")
	}
	names := scratchNames(t, j)
	if strings.Join(names, " ") != "again hidden" {
		t.Errorf("the upper layer holds %q", names)
	}
}

func TestKillTakesEverythingDown(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	j := start(t, shellPlan(`setsid sleep 600 & setsid sleep 600 & sleep 600`), &log)
	family := waitForChildren(t, j.PID, 3)
	j.Kill()
	<-j.Gone()
	for _, pid := range family {
		if _, err := os.Stat("/proc/" + pid + "/ns/pid"); err == nil {
			t.Errorf("process %s of the jail is still there", pid)
		}
	}
}

func TestContextEndsTheBuilding(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := jail.Start(ctx, jail.Config{
		Binary: jailBinary(t), Identity: identity(t), Plan: fixed(shellPlan("true")),
		Started: func(int) error { cancel(); <-ctx.Done(); return ctx.Err() },
	})
	if err == nil {
		t.Error("a jail whose start was cancelled has started")
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := jail.Start(t.Context(), jail.Config{
		Binary: jailBinary(t), Identity: identity(t),
		Plan: fixed(shellPlan("true", jail.Step{Bind: &jail.Bind{Source: "/does/not/exist", Target: "/x"}})),
	})
	if err == nil || !strings.Contains(err.Error(), `"/does/not/exist"`) {
		t.Errorf("got %v, want the missing source named", err)
	}
}

// TestStartOfAJailThatEnds: a jail that is killed before it has said anything is
// not waited for.
func TestStartOfAJailThatEnds(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	_, err := jail.Start(t.Context(), jail.Config{
		Binary: jailBinary(t), Identity: identity(t), Plan: fixed(shellPlan(`true`)), Log: &log,
		Started: func(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) },
	})
	if err == nil {
		t.Error("a jail that was killed has started")
	}
}

// TestProcessors: a program gets as many processors as it may have, and not always
// those that every other one gets, too.
func TestProcessors(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 64 {
		plan := shellPlan(`nproc; grep Cpus_allowed_list /proc/self/status`)
		plan.Program.CPUs = 1
		var log bytes.Buffer
		status := <-start(t, plan, &log).Status()
		if !strings.HasPrefix(log.String(), "1\n") || status != 0 {
			t.Fatalf("status %d, %q", status, &log)
		}
		if seen[log.String()] = true; len(seen) == min(2, runtime.NumCPU()) {
			return
		}
	}
	t.Errorf("64 programs all got %v", seen)
}
