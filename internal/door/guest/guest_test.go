package guest_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"proofbox"
	"proofbox/internal/box/initramfs"
	"proofbox/internal/box/seccomp"
	"proofbox/internal/door"
	"proofbox/internal/door/guest"
)

// missing skips a test for want of something, unless it is required.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), what) {
		t.Fatalf("%s is required and missing: %s", what, why)
	}
	t.Skipf("%s is missing: %s", what, why)
}

// program finds a program of the host.
func program(t *testing.T, what, name string) string {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH") + ":/usr/sbin:/sbin") {
		if path := filepath.Join(dir, name); exec.Command("test", "-x", path).Run() == nil {
			return path
		}
	}
	missing(t, what, name+" is not installed")
	return ""
}

func runQuiet(name string, args ...string) ([]byte, error) {
	return exec.Command(name, args...).CombinedOutput()
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := runQuiet(name, args...); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

// kernel gives the base's kernel and the folder of its modules.
func kernel(t *testing.T) (image, modules string) {
	t.Helper()
	dir := os.Getenv("PROOFBOX_BASE")
	if dir == "" {
		dir = "/var/lib/proofbox/base"
	}
	image = filepath.Join(dir, "kernel", "vmlinuz")
	found, _ := filepath.Glob(filepath.Join(dir, "kernel", "modules", "*"))
	if _, err := os.Stat(image); err != nil || len(found) != 1 {
		missing(t, "base", fmt.Sprintf("no kernel in %q; run `proofbox setup`", dir))
	}
	return image, found[0]
}

// parts are the files of a machine that tests share.
type parts struct{ dir, kernel, initramfs, root, scratch string }

var (
	partsOnce sync.Once
	shared    parts
)

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.dir != "" {
		if err := os.RemoveAll(shared.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// scratchSize is the disk limit of the machines here.
const scratchSize = 32 << 20

// machineParts makes them once.
func machineParts(t *testing.T) parts {
	t.Helper()
	image, modules := kernel(t)
	mkfs, erofs := program(t, "qemu", "mkfs.ext4"), program(t, "qemu", "mkfs.erofs")
	partsOnce.Do(func() {
		dir, err := os.MkdirTemp("", "guest-test-")
		if err != nil {
			t.Fatal(err)
		}
		shared = parts{dir, image, filepath.Join(dir, "initramfs"), filepath.Join(dir, "root.erofs"), filepath.Join(dir, "scratch.ext4")}
		init := filepath.Join(dir, "init")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", init, "proofbox/cmd/proofbox-init")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if bin := os.Getenv("PROOFBOX_BIN"); bin != "" {
			init = filepath.Join(bin, "proofbox-init")
		} else if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building proofbox-init: %v: %s", err, out)
		}
		writeInitramfs(t, shared.initramfs, initramfs.Config{Init: init, Modules: modules})
		tree := filepath.Join(dir, "root")
		makeRoot(t, tree)
		run(t, erofs, "-T0", "--all-root", shared.root, tree)
		makeScratch(t, mkfs, shared.scratch)
	})
	if t.Failed() || shared.root == "" {
		t.Fatal("the parts of a machine could not be made")
	}
	return shared
}

func writeInitramfs(t *testing.T, path string, c initramfs.Config) {
	t.Helper()
	var archive bytes.Buffer
	if err := initramfs.Write(&archive, c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func makeScratch(t *testing.T, mkfs, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, scratchSize); err != nil {
		t.Fatal(err)
	}
	run(t, mkfs, "-q", "-F", "-m", "0", "-i", "8192", "-O", "^has_journal", path)
}

// tools are the programs of the host that the machines' root has.
var tools = []string{"sh", "cat", "chmod", "cp", "dd", "echo", "head", "id", "ln", "ls", "mkdir", "mkfifo", "mv", "rm", "sleep", "sort", "stty", "tail", "touch", "truncate", "tty", "uname", "wc", "date", "ps", "kill", "od", "stat", "grep", "true"}

var library = regexp.MustCompile(`/\S+`)

// makeRoot makes a small root with the tools and their libraries.
func makeRoot(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"proc", "dev", "tmp", "run/proofbox", "workspace", "home/box", "bin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "run/proofbox/canary"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools {
		path := program(t, "qemu", tool)
		copyFile(t, path, filepath.Join(root, "bin", tool))
		libraries, err := exec.Command("ldd", path).Output()
		if err != nil {
			t.Fatalf("ldd %s: %v", path, err)
		}
		for _, lib := range library.FindAllString(string(libraries), -1) {
			copyFile(t, lib, filepath.Join(root, lib))
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// options change how a machine is started.
type options struct {
	workspace string   // an erofs image, none where it is empty
	args      []string // further ones for QEMU
	without   string   // a serial number that no disk gets
}

// machine is a guest that waits to be woken, or has been.
type machine struct {
	conn    net.Conn
	console *console
	ended   chan struct{}
}

// console keeps what a guest says.
type console struct {
	ready chan struct{} // closed when it says that it is

	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
	said bool         // that it is ready, guarded by mu
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.text.Write(p)
	if !c.said && strings.Contains(c.text.String(), guest.ReadyLine) {
		c.said = true
		close(c.ready)
	}
	return n, err
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// start boots a machine under an emulator without a jail.
func start(t *testing.T, o options) *machine {
	t.Helper()
	qemu := program(t, "qemu", "qemu-system-x86_64")
	p := machineParts(t)
	dir := t.TempDir()
	scratch := filepath.Join(dir, "scratch.ext4")
	copyFile(t, p.scratch, scratch)
	socket := filepath.Join(dir, "door")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	args := []string{
		"-M", "microvm", "-accel", "tcg", "-smp", "1", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none",
		"-no-reboot", "-serial", "stdio", "-kernel", p.kernel, "-initrd", p.initramfs,
		"-append", "console=ttyS0 quiet loglevel=3 panic=-1 reboot=t no_timer_check tsc_early_khz=" + frequency(t),
		"-device", "virtio-serial-device", "-chardev", "socket,id=door,path=" + socket,
		"-device", "virtserialport,chardev=door,name=" + guest.PortName,
	}
	args = append(args, drive(o, "root", p.root, "on")...)
	args = append(args, drive(o, "scratch", scratch, "off")...)
	if o.workspace != "" {
		args = append(args, drive(o, "work", o.workspace, "on")...)
	}
	m := &machine{console: &console{ready: make(chan struct{})}, ended: make(chan struct{})}
	cmd := exec.Command(qemu, append(args, o.args...)...)
	cmd.Stdout, cmd.Stderr = m.console, m.console
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that is killed takes it along
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // however it ends
		close(m.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-m.ended
		if t.Failed() {
			t.Logf("the console: %s", m.console)
		}
	})
	if m.conn, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.conn.Close() }) // the door may have closed it
	return m
}

var megahertz = regexp.MustCompile(`cpu MHz\s*: (\d+)\.(\d{3})`)

// frequency is that of the time stamp counter, in kHz. An emulated kernel on a
// busy host cannot measure it.
func frequency(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	m := megahertz.FindSubmatch(text)
	if m == nil {
		missing(t, "qemu", "/proc/cpuinfo has no frequency")
	}
	return string(m[1]) + string(m[2])
}

func drive(o options, name, path, readOnly string) []string {
	serial := "proofbox-" + name
	if o.without == serial {
		serial = "other"
	}
	return []string{
		"-drive", "if=none,id=" + name + ",format=raw,file=" + path + ",readonly=" + readOnly,
		"-device", "virtio-blk-device,drive=" + name + ",serial=" + serial,
	}
}

// wakeUp is what the machines are woken with.
func wakeUp(t *testing.T) door.WakeUp {
	t.Helper()
	filter, err := seccomp.Compile(seccomp.Profile())
	if err != nil {
		t.Fatal(err)
	}
	w := door.WakeUp{
		Entropy: make([]byte, door.MinEntropy), Time: time.Now(), Hostname: "sleeper", Pids: 24, Memory: 24 << 20, Filter: filter,
	}
	if _, err := rand.Read(w.Entropy); err != nil {
		t.Fatal(err)
	}
	return w
}

// await waits until the machine can be woken.
func (m *machine) await(t *testing.T) {
	t.Helper()
	select {
	case <-m.console.ready:
	case <-m.ended:
		t.Fatal("the machine has ended before it could be woken")
	}
}

// open wakes a machine and opens its door, as the host does.
func (m *machine) open(t *testing.T, w door.WakeUp) *door.Door {
	t.Helper()
	m.await(t)
	if woken, err := door.Wake(t.Context(), m.conn, w); err != nil {
		t.Fatalf("%v (%+v)", err, woken)
	}
	d, err := door.Open(t.Context(), m.conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	applied, err := d.Setup(t.Context(), setup("/run/proofbox/canary"))
	if err != nil {
		t.Fatal(err)
	}
	if applied.LandlockABI == 0 {
		t.Error("the guest has no Landlock")
	}
	return d
}

// setup is what the box's process 1 is told to do with itself.
func setup(canary string) door.Setup {
	return door.Setup{Landlock: &door.LandlockRules{
		Writable: []string{"/workspace", "/tmp", "/home/box", "/dev", "/proc"}, Canary: canary,
	}}
}

// shell runs a script and gives what it printed, errors last.
func shell(t *testing.T, d *door.Door, script string) (door.Exit, string) {
	t.Helper()
	var out, errOut bytes.Buffer
	p, err := d.Start(t.Context(), door.Command{
		Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin"}, Dir: "/workspace",
	}, door.Stdio{Stdout: &out, Stderr: &errOut})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return exit, out.String() + errOut.String()
}

// TestGuest boots one machine, because that takes seconds, and tries what the
// door is for.
func TestGuest(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "guest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, dir) })
	base, image := frozen(t, dir)
	m := start(t, options{workspace: image})
	w := wakeUp(t)
	w.Workspace = true
	w.Time = time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	d := m.open(t, w)
	for _, c := range []struct {
		name, script, want string
		code               int
	}{
		{"identity", "id -u; id -g; id -G; uname -n", "1000\n1000\n1000\nsleeper\n", 0},
		{"clock", "date -u +%Y-%m-%d", "2031-02-03\n", 0},
		{"exit status", "exit 7", "", 7},
		{"signal", "kill -9 $$", "", 137},
		{"rights", "grep -E '^(CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status", "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n", 0},
		{"home", "cd /home/box && echo there >x && cat x && stat -c %u:%a . /tmp", "there\n1000:700\n1000:1777\n", 0},
		{"copy", "cat a d/deep/z && echo one >1 && mkdir b && mv 1 b/1 && cat b/1 && rm -r b", "beforezone\n", 0},
		{"read-only root", "touch /x 2>/dev/null", "", 1},
		{"canary", "echo >/run/proofbox/canary", "sh: 1: cannot create /run/proofbox/canary: Permission denied\n", 2},
		{"devices", "echo lost >/dev/null; head -c 3 /dev/zero | od -An -c; test -c /dev/urandom", "  \\0  \\0  \\0\n", 0},
		{"no other devices", "ls /dev", "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n", 0},
		{"masked", "cat /proc/kallsyms /proc/kcore", "", 0},
		{"protected", "echo 1 >/proc/sys/kernel/hostname", "sh: 1: cannot create /proc/sys/kernel/hostname: Read-only file system\n", 2},
		{"alone", "ls /proc | grep -c '^[0-9]'", "4\n", 0}, // process 1, sh, ls, grep
		{"process 1", "kill -9 1; kill -TERM 1; kill -SEGV 1; echo $?", "0\n", 0},
		{"killable", "cat /proc/self/oom_score_adj; echo -1 >/proc/self/oom_score_adj", "0\nsh: 1: echo: echo: I/O error\n", 1},
		{"group", "cat /proc/self/cgroup", "0::/\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			exit, out := shell(t, d, c.script)
			if exit.Code != c.code || out != c.want {
				t.Errorf("%q: %+v, %q; want %d, %q", c.script, exit, out, c.code, c.want)
			}
		})
	}
	t.Run("input", func(t *testing.T) { tryInput(t, d) })
	t.Run("terminal", func(t *testing.T) { tryTerminal(t, d) })
	t.Run("interrupt", func(t *testing.T) { trySignal(t, d) })
	t.Run("files", func(t *testing.T) { tryFiles(t, d) })
	t.Run("limits", func(t *testing.T) { tryLimits(t, d, w) })
	t.Run("changes", func(t *testing.T) { tryChanges(t, d, base, dir) })
}

// tryInput sends more than a port's buffers hold through the box and back.
func tryInput(t *testing.T, d *door.Door) {
	sent := make([]byte, 1<<20)
	if _, err := rand.Read(sent); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	p, err := d.Start(t.Context(), door.Command{Args: []string{"/bin/cat"}, Dir: "/", Stdin: true},
		door.Stdio{Stdin: bytes.NewReader(sent), Stdout: &got})
	if err != nil {
		t.Fatal(err)
	}
	if exit, err := p.Wait(); err != nil || exit.Code != 0 {
		t.Fatalf("%+v, %v", exit, err)
	}
	if !bytes.Equal(got.Bytes(), sent) {
		t.Errorf("%d bytes came back, and not those that were sent", got.Len())
	}
}

func tryTerminal(t *testing.T, d *door.Door) {
	var out bytes.Buffer
	p, err := d.Start(t.Context(), door.Command{
		Args: []string{"sh", "-c", "tty; stty size; read x; echo got $x"}, Env: []string{"PATH=/bin"}, Dir: "/",
		TTY: &proofbox.TerminalSize{Rows: 33, Cols: 77}, Stdin: true,
	}, door.Stdio{Stdin: strings.NewReader("typed\n"), Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait()
	if want := "/dev/pts/0\r\n33 77\r\n"; err != nil || exit.Code != 0 || !strings.Contains(out.String(), want) || !strings.HasSuffix(out.String(), "got typed\r\n") {
		t.Errorf("%+v, %v, %q", exit, err, out.String())
	}
}

func trySignal(t *testing.T, d *door.Door) {
	out, w := io.Pipe()
	p, err := d.Start(t.Context(), door.Command{
		Args: []string{"sh", "-c", "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 1; done"}, Env: []string{"PATH=/bin"}, Dir: "/",
	}, door.Stdio{Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("%q", lines.Text())
	}
	if err := p.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || lines.Text() != "caught" {
		t.Errorf("%q", lines.Text())
	}
	if exit, err := p.Wait(); err != nil || exit.Code != 3 {
		t.Errorf("%+v, %v", exit, err)
	}
}

// tryFiles writes and reads as the box's user: what that may not, the door
// cannot either.
func tryFiles(t *testing.T, d *door.Door) {
	if err := d.WriteFile(t.Context(), "/tmp/put", 0o640, strings.NewReader("put here")); err != nil {
		t.Fatal(err)
	}
	if _, out := shell(t, d, "cat /tmp/put; stat -c ' %u %a' /tmp/put"); out != "put here 1000 640\n" {
		t.Errorf("%q", out)
	}
	r, err := d.ReadFile(t.Context(), "/tmp/put")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "put here" {
		t.Errorf("%q, %v", text, err)
	}
	for _, path := range []string{"/proc/1/mem", "/proc/1/environ"} {
		if _, err := d.ReadFile(t.Context(), path); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s of process 1 can be read: %v", path, err)
		}
	}
	if err := d.WriteFile(t.Context(), "/proofbox", 0o644, strings.NewReader("")); err == nil {
		t.Error("the root can be written to")
	}
}

// tryLimits runs into each limit that the guest's kernel holds. Before, its
// counters are at nought.
func tryLimits(t *testing.T, d *door.Door, w door.WakeUp) {
	u, err := d.Usage(t.Context())
	if err != nil || u.OOMKills != 0 || u.PidsRefused != 0 || u.CPU <= 0 || u.PeakMemory <= 0 || u.DiskFree <= 0 || u.FilesFree <= 0 {
		t.Errorf("before: %+v, %v", u, err)
	}
	// One shell and as many that sleep as fit.
	script := fmt.Sprintf("i=1; while [ $i -lt %d ]; do sleep 1000 & i=$((i+1)); done; echo all; sleep 1000 & wait", w.Pids)
	if exit, out := shell(t, d, script); exit.Code == 0 || !strings.HasPrefix(out, "all\n") || !strings.Contains(out, "Cannot fork") {
		t.Errorf("tasks: %+v, %q", exit, out)
	}
	if exit, out := shell(t, d, "kill -9 -1"); exit.Code != 0 {
		t.Errorf("ending them: %+v, %q", exit, out)
	}
	if exit, out := shell(t, d, "head -c 40m /dev/zero | tail"); exit.Code != 137 {
		t.Errorf("memory: %+v, %q", exit, out)
	}
	if exit, out := shell(t, d, "dd if=/dev/zero of=/tmp/large bs=1M 2>&1"); exit.Code == 0 || !strings.Contains(out, "No space left") {
		t.Errorf("disk: %+v, %q", exit, out)
	}
	// The kernel charges a processor's pages 64 at a time, and may count as many
	// beyond the limit before it takes them back; see MEMCG_CHARGE_BATCH.
	const batch = 64 * 4096
	u, err = d.Usage(t.Context())
	if err != nil || u.OOMKills != 1 || u.PidsRefused == 0 || u.PeakMemory > w.Memory+batch || u.DiskFree > 1<<20 {
		t.Errorf("after: %+v, %v", u, err)
	}
	if exit, out := shell(t, d, "rm /tmp/large; echo fine"); exit.Code != 0 || out != "fine\n" {
		t.Errorf("the box after its limits: %+v, %q", exit, out)
	}
}

// TestBootFails: a machine that lacks something says so in one line and ends.
// With it, it gets as far as waiting for its host, see TestGuest.
func TestBootFails(t *testing.T) {
	t.Parallel()
	m := start(t, options{without: "proofbox-root"})
	<-m.ended
	want := "proofbox: boot: the machine has no disk with the serial number proofbox-root\r\n"
	if said := m.console.String(); !strings.Contains(said, want) || strings.Contains(said, "panic") {
		t.Errorf("the console has %q; want %q", said, want)
	}
}

// TestWakeRefused: a guest does not become what it cannot be, says why, and ends
// with its host.
func TestWakeRefused(t *testing.T) {
	t.Parallel()
	m := start(t, options{})
	m.await(t)
	w := wakeUp(t)
	w.Workspace = true
	_, err := door.Wake(t.Context(), m.conn, w)
	if err == nil || !strings.Contains(err.Error(), "no disk with the serial number proofbox-work") {
		t.Errorf("the answer: %v", err)
	}
	if err := m.conn.Close(); err != nil {
		t.Fatal(err)
	}
	<-m.ended
}
