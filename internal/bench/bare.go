package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"proofbox/internal/box/microvm"
	"proofbox/internal/box/seccomp"
	"proofbox/internal/door"
)

// bareMachine is QEMU alone, with the command line that proofbox gives it and
// the files of one of its templates, on the host and in no jail.
type bareMachine struct {
	dir      string
	args     []string
	template string // its folder
	filter   []byte
}

// newBareMachine takes the command line from a machine that runs, and puts the
// host's paths in place of its jail's.
func (b *bench) newBareMachine(ctx context.Context, workspace string) (*bareMachine, error) {
	before := monitors()
	m, err := b.startMachine(ctx, workspace, "")
	if err != nil {
		return nil, err
	}
	var line []byte
	for pid := range monitors() {
		if !before[pid] {
			line, err = os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
		}
	}
	if err := errors.Join(err, m.end()); err != nil {
		return nil, err
	}
	state := filepath.Join(b.dir, "state", "cache")
	templates, _ := filepath.Glob(filepath.Join(state, "templates", "*", "manifest"))
	roots, _ := filepath.Glob(filepath.Join(state, "erofs", "*.erofs"))
	if len(line) == 0 || len(templates) != 1 || len(roots) != 1 {
		return nil, fmt.Errorf("looking for the only machine's parts: %d templates, %d roots", len(templates), len(roots))
	}
	bare := &bareMachine{dir: filepath.Join(b.dir, "bare"), template: filepath.Dir(templates[0])}
	bare.replace(strings.Split(strings.TrimRight(string(line), "\x00"), "\x00"), roots[0])
	bare.filter, err = seccomp.Compile(seccomp.Profile())
	return bare, errors.Join(err, os.Mkdir(bare.dir, 0o700))
}

// replace puts the host's paths into the command line, and drops the folder of
// firmware, for which QEMU has a default.
func (m *bareMachine) replace(line []string, root string) {
	paths := strings.NewReplacer(
		"file=/disks/root,", "file="+root+",",
		"file=/disks/work,", "file="+m.path("empty")+",",
		"file=/disks/data,", "file="+m.path("empty")+",",
		"file=/disks/scratch,", "file="+m.path("scratch")+",",
		"mem-path=/memory,", "mem-path="+filepath.Join(m.template, "memory")+",",
		"path=/door", "path="+m.path("door"),
		"path=/monitor", "path="+m.path("monitor"),
	)
	for i := 1; i < len(line); i++ {
		if line[i] == "-L" {
			i++
			continue
		}
		m.args = append(m.args, paths.Replace(line[i]))
	}
}

func (m *bareMachine) path(name string) string { return filepath.Join(m.dir, name) }

// firstByte continues the saved guest, wakes it, and gives the time from QEMU's
// start until a command in it says something.
func (m *bareMachine) firstByte(ctx context.Context) (took time.Duration, err error) {
	if err := m.disks(ctx); err != nil {
		return 0, err
	}
	doors, err := net.Listen("unix", m.path("door"))
	if err != nil {
		return 0, err
	}
	defer doors.Close()
	monitors, err := net.Listen("unix", m.path("monitor"))
	if err != nil {
		return 0, err
	}
	defer monitors.Close()
	qemu := exec.CommandContext(ctx, "/usr/bin/qemu-system-x86_64", m.args...)
	began := time.Now()
	if err := qemu.Start(); err != nil {
		return 0, err
	}
	defer qemu.Wait() // killed: its status says nothing
	defer qemu.Process.Kill()
	conn, err := doors.Accept()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	monitor, err := monitors.Accept()
	if err != nil {
		return 0, err
	}
	defer monitor.Close()
	err = m.speak(ctx, conn, monitor)
	return time.Since(began), err
}

// disks makes those that a box has for itself.
func (m *bareMachine) disks(ctx context.Context) error {
	empty, err := os.Create(m.path("empty"))
	if err == nil {
		err = errors.Join(empty.Truncate(1<<40), empty.Close())
	}
	return errors.Join(err, quietly(exec.CommandContext(ctx, "cp", "--sparse=always", filepath.Join(m.template, "scratch"), m.path("scratch"))))
}

// speak continues the guest and has it say something.
func (m *bareMachine) speak(ctx context.Context, conn, monitor net.Conn) error {
	device, err := os.Open(filepath.Join(m.template, "device"))
	if err != nil {
		return err
	}
	defer device.Close()
	if err := new(microvm.Runtime).Resume(ctx, monitor, device); err != nil {
		return err
	}
	entropy := make([]byte, door.MinEntropy)
	rand.Read(entropy)
	if _, err := door.Wake(ctx, conn, door.WakeUp{
		Entropy: entropy, Time: time.Now(), Hostname: "bare", Pids: 256, Memory: 256 << 20, Filter: m.filter,
	}); err != nil {
		return err
	}
	d, err := door.Open(ctx, conn)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Setup(ctx, door.Setup{}); err != nil {
		return err
	}
	said := make(first)
	if _, err := d.Start(ctx, door.Command{Args: []string{"/bin/sh", "-c", "echo first; read line"}, Dir: "/workspace"}, door.Stdio{Stdout: said}); err != nil {
		return err
	}
	select {
	case <-said:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// first is closed by the first write to it.
type first chan struct{}

func (f first) Write(p []byte) (int, error) {
	select {
	case <-f:
	default:
		close(f)
	}
	return len(p), nil
}
