package door_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"proofbox"
	"proofbox/internal/door"
)

var (
	buildOnce sync.Once
	buildErr  error
	program   = filepath.Join(os.TempDir(), fmt.Sprintf("door-test-%d-init", os.Getpid()))
)

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.Remove(program) // it may not have been built
	os.Exit(code)
}

// initProgram gives cmd/proofbox-init.
func initProgram(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PROOFBOX_BIN"); dir != "" {
		return filepath.Join(dir, "proofbox-init")
	}
	buildOnce.Do(func() {
		cmd := exec.Command("go", "build", "-o", program, "proofbox/cmd/proofbox-init")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("%w: %s", err, out)
		}
	})
	if buildErr != nil {
		t.Fatalf("building proofbox-init: %v", buildErr)
	}
	return program
}

// open starts proofbox-init as process 1 of a PID namespace of its own, on the
// host's files, and opens its door.
func open(t *testing.T) (*door.Door, *exec.Cmd) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "door")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := exec.Command(initProgram(t), "--door", path)
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		missing(t, "jail", err.Error())
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended with its door
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("proofbox-init said %q", said.String())
		}
	})
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	d, err := door.Open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d, cmd
}

// missing skips a test for want of something, unless it is required.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), what) {
		t.Fatalf("%s is required and missing: %s", what, why)
	}
	t.Skipf("%s is missing: %s", what, why)
}

var environment = []string{"PATH=/usr/bin:/bin"}

// shell runs a script.
func shell(t *testing.T, d *door.Door, script string, stdin io.Reader) (door.Exit, string, string) {
	t.Helper()
	var out, errOut bytes.Buffer
	p, err := d.Start(t.Context(), door.Command{
		Args: []string{"sh", "-c", script}, Env: environment, Dir: "/", Stdin: stdin != nil,
	}, door.Stdio{Stdin: stdin, Stdout: &out, Stderr: &errOut})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return exit, out.String(), errOut.String()
}

func TestCommandRuns(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	exit, out, errOut := shell(t, d, `echo out; echo err >&2; cat; exit 7`, strings.NewReader("in"))
	if exit.Code != 7 || out != "out\nin" || errOut != "err\n" {
		t.Errorf("%+v, %q, %q", exit, out, errOut)
	}
	if exit, _, _ := shell(t, d, `kill -9 $$`, nil); exit.Signal != 9 || exit.Code != 137 {
		t.Errorf("killed: %+v", exit)
	}
	if exit, out, _ := shell(t, d, `cat`, nil); exit.Code != 0 || out != "" {
		t.Errorf("without input: %+v, %q", exit, out)
	}
}

func TestCommandsThatDoNotStart(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "odd"), []byte("\x7fELF rubbish"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		dir  string
		code int
		says string
	}{
		{[]string{"no-such-thing"}, "/", 127, `"no-such-thing"`},
		{[]string{"/no/such/thing"}, "/", 127, `"/no/such/thing"`},
		{[]string{"./text"}, dir, 126, "not executable"},
		{[]string{"./odd"}, dir, 126, "./odd"},
		{[]string{dir}, "/", 126, "folder"},
		{[]string{"true"}, "/no/such/folder", 126, "/no/such/folder"},
		{nil, "/", 127, "no command"},
		{[]string{""}, "/", 127, "no command"},
		{[]string{"true", "a\x00b"}, "/", 126, "invalid"},
		{[]string{"true", strings.Repeat("x", 1<<20)}, "/", 126, "too long"},
	} {
		p, err := d.Start(t.Context(), door.Command{Args: c.args, Env: environment, Dir: c.dir}, door.Stdio{})
		if err != nil {
			t.Fatalf("%.40q: %v", c.args, err)
		}
		exit, err := p.Wait()
		if err != nil || exit.Code != c.code || !strings.Contains(exit.NotStarted, c.says) {
			t.Errorf("%.40q in %s: %+v, %v, want %d with %q", c.args, c.dir, exit, err, c.code, c.says)
		}
	}
}

func TestNoByteOfOutputIsLost(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	const size = 50 << 20
	h := sha256.New()
	p, err := d.Start(t.Context(), door.Command{
		Args: []string{"sh", "-c", "head -c 52428800 /dev/zero | tr '\\0' x"}, Env: environment, Dir: "/",
	}, door.Stdio{Stdout: h})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	want := sha256.New()
	for range size / 1024 {
		want.Write(bytes.Repeat([]byte("x"), 1024))
	}
	if !bytes.Equal(h.Sum(nil), want.Sum(nil)) {
		t.Error("the output is not what was written")
	}
}

// stalled is a writer that takes nothing until it is opened.
type stalled struct {
	open  chan struct{}
	count int
}

func (s *stalled) Write(p []byte) (int, error) {
	<-s.open
	s.count += len(p)
	return len(p), nil
}

func TestSlowReaderHoldsTheWriterBack(t *testing.T) {
	t.Parallel()
	d, cmd := open(t)
	dir := t.TempDir()
	progress := filepath.Join(dir, "progress")
	s := &stalled{open: make(chan struct{})}
	p, err := d.Start(t.Context(), door.Command{
		Args: []string{"sh", "-c", `i=0; while [ $i -lt 200 ]; do head -c 100000 /dev/zero; i=$((i+1)); echo $i >` + progress + `; done`},
		Env:  environment, Dir: "/",
	}, door.Stdio{Stdout: s})
	if err != nil {
		t.Fatal(err)
	}
	// The writer comes to rest long before its end: it is blocked in the pipe.
	last, same := "", 0
	for same < 2000 && t.Context().Err() == nil {
		now, err := os.ReadFile(progress)
		if err == nil && len(now) > 0 && string(now) == last {
			same++
		} else {
			last, same = string(now), 0
		}
		runtime.Gosched()
		if _, err := d.ReadFile(t.Context(), progress); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err) // the door still answers
		}
	}
	if strings.TrimSpace(last) == "200" {
		t.Error("20 MB were taken in although nobody reads")
	}
	if rss := residentKiB(t, cmd.Process.Pid); rss > 64<<10 {
		t.Errorf("process 1 holds %d KiB", rss)
	}
	close(s.open)
	if _, err := p.Wait(); err != nil || s.count != 20_000_000 {
		t.Errorf("%d bytes arrived, %v", s.count, err)
	}
}

func residentKiB(t *testing.T, pid int) (kib int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
		}
	}
	return kib
}

func TestLeftOverProcessDoesNotHoldTheEnd(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	exit, out, _ := shell(t, d, `sleep 600 & echo done`, nil)
	if exit.Code != 0 || out != "done\n" {
		t.Errorf("%+v, %q", exit, out)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	for range 20 {
		if exit, _, _ := shell(t, d, `(sleep 0 & sleep 0 &) ; (setsid sh -c 'sleep 0 &' &); exit 3`, nil); exit.Code != 3 {
			t.Errorf("%+v", exit)
		}
	}
	// Without its own /proc the shell sees the host's; zombies have no command
	// line, and process 1 of this namespace is their parent.
	exit, out, _ := shell(t, d, `for i in 1 2 3 4 5 6 7 8 9 10; do n=$(ps -o stat= --ppid $(ps -o ppid= -p $$) 2>/dev/null | grep -c Z); [ "$n" = 0 ] && break; done; echo $n`, nil)
	if exit.Code != 0 || strings.TrimSpace(out) != "0" {
		t.Errorf("%s zombies are left (%+v)", strings.TrimSpace(out), exit)
	}
}

func TestSignalReachesTheWholeGroup(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	r, w := io.Pipe()
	p, err := d.Start(t.Context(), door.Command{
		Args: []string{"sh", "-c", `trap 'echo got; exit 5' TERM; sleep 600 & echo ready; wait`}, Env: environment, Dir: "/",
	}, door.Stdio{Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 6)
	if _, err := io.ReadFull(r, said); err != nil || string(said) != "ready\n" {
		t.Fatalf("%q, %v", said, err)
	}
	go io.Copy(io.Discard, r)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if exit, err := p.Wait(); err != nil || exit.Code != 5 {
		t.Errorf("%+v, %v", exit, err)
	}
}

func TestSignalsFromInsideDoNotEndTheBox(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	shell(t, d, `for s in TERM INT HUP QUIT USR1 USR2 PIPE ALRM; do kill -$s 1; done`, nil)
	if exit, out, _ := shell(t, d, `echo alive`, nil); exit.Code != 0 || out != "alive\n" {
		t.Errorf("%+v, %q", exit, out)
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	var out bytes.Buffer
	p, err := d.Start(t.Context(), door.Command{
		Args: []string{"sh", "-c", `test -t 0 && test -t 1 && echo tty; stty size; read x; stty size; exit 4`},
		Env:  environment, Dir: "/", TTY: &proofbox.TerminalSize{Rows: 11, Cols: 22}, Stdin: true,
	}, door.Stdio{Stdin: strings.NewReader("\n"), Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Resize(proofbox.TerminalSize{Rows: 33, Cols: 44}); err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if exit.NotStarted != "" && strings.Contains(exit.NotStarted, "terminal") {
		missing(t, "terminals", exit.NotStarted)
	}
	if exit.Code != 4 || !strings.Contains(out.String(), "tty") || !strings.Contains(out.String(), "33 44") && !strings.Contains(out.String(), "11 22") {
		t.Errorf("%+v, %q", exit, out.String())
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	text := strings.Repeat("0123456789", 100_000)
	if err := d.WriteFile(t.Context(), path, 0o640, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	r, err := d.ReadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != text {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := d.ReadFile(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := d.ReadFile(t.Context(), dir); err == nil {
		t.Error("a folder was read")
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadFile(t.Context(), filepath.Join(dir, "fifo")); err == nil {
		t.Error("a FIFO was read")
	}
	broken := io.MultiReader(strings.NewReader("half"), failing{})
	if err := d.WriteFile(t.Context(), filepath.Join(dir, "g"), 0o600, broken); err == nil {
		t.Error("half a file was written")
	}
	if _, err := os.Stat(filepath.Join(dir, "g")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file is there: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestLandlock(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	dir := t.TempDir()
	inside, canary := filepath.Join(dir, "inside"), filepath.Join(dir, "canary")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(canary, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	applied, err := d.Setup(t.Context(), door.Setup{Landlock: &door.LandlockRules{Writable: []string{inside, "/dev", filepath.Join(dir, "none")}, Canary: canary}})
	if err != nil {
		t.Fatal(err)
	}
	if applied.LandlockABI == 0 {
		missing(t, "landlock", "this kernel has none")
	}
	exit, out, errOut := shell(t, d, `echo x >`+inside+`/f && cat `+inside+`/f; echo y >`+canary+` && echo written; rm `+canary+` && echo removed; echo >/dev/null && echo null; cat /etc/hostname >/dev/null && echo read`, nil)
	if exit.Code != 0 || out != "x\nnull\nread\n" {
		t.Errorf("%+v, %q, %q", exit, out, errOut)
	}
}

func TestEndOfTheDoorEndsTheBox(t *testing.T) {
	t.Parallel()
	d, cmd := open(t)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_, _ = cmd.Process.Wait()
		close(done)
	}()
	<-done
}

func TestThousandCommandsLeaveNothing(t *testing.T) {
	d, cmd := open(t)
	shell(t, d, "true", nil)
	before := descriptors(t, cmd.Process.Pid)
	routines := runtime.NumGoroutine()
	for range 1000 {
		p, err := d.Start(t.Context(), door.Command{Args: []string{"true"}, Env: environment, Dir: "/"}, door.Stdio{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if after := descriptors(t, cmd.Process.Pid); after > before+8 {
		t.Errorf("process 1 had %d descriptors and has %d", before, after)
	}
	if after := runtime.NumGoroutine(); after > routines+8 {
		t.Errorf("there were %d goroutines and there are %d", routines, after)
	}
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestHostileBoxIsRefused talks to the host with bytes that are no protocol.
func TestHostileBoxIsRefused(t *testing.T) {
	t.Parallel()
	for name, bytesOf := range map[string][]byte{
		"nothing":      nil,
		"rubbish":      []byte(strings.Repeat("rubbish", 100)),
		"zeros":        make([]byte, 4096),
		"yamux header": {0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff},
		"go away":      {0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := net.Pipe()
			go func() {
				go io.Copy(io.Discard, theirs)
				_, _ = theirs.Write(bytesOf)
				_ = theirs.Close()
			}()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if d, err := door.Open(ctx, ours); err == nil {
				_ = d.Close()
				t.Error("a door was opened to nobody")
			}
		})
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var exit door.Exit
		_ = door.ReadFrame(bytes.NewReader(data), door.MaxAnswer, &exit) // it must not panic or take much
		var out bytes.Buffer
		_ = door.ReadChunks(&out, bytes.NewReader(data))
		if out.Len() > len(data) {
			t.Errorf("%d bytes became %d", len(data), out.Len())
		}
	})
}
