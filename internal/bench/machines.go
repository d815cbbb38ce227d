package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"proofbox"
)

// How often a box is continued from a saved guest to be measured, and to see
// what is left.
const (
	machineRounds = 9
	machineCycles = 200
)

// machines measures a microVM from the start of `proofbox run` to the first byte
// of its command, continued from a saved guest, against a bare QEMU that does the
// same and against booting and saving one first; what an idle one has of the
// host's memory; and what many leave.
func (b *bench) machines(ctx context.Context) error {
	empty := filepath.Join(b.dir, "empty")
	if err := os.MkdirAll(empty, 0o755); err != nil {
		return err
	}
	if _, err := b.firstByte(ctx, empty); err != nil { // packs the image
		return err
	}
	templates := filepath.Join(b.dir, "state", "cache", "templates")
	if err := os.RemoveAll(templates); err != nil {
		return err
	}
	cold, err := b.firstByte(ctx, empty)
	if err != nil {
		return err
	}
	bare, err := b.newBareMachine(ctx, empty)
	if err != nil {
		return err
	}
	warm, rival, err := alternate(machineRounds,
		func() (time.Duration, error) { return b.firstByte(ctx, empty) },
		func() (time.Duration, error) { return bare.firstByte(ctx) })
	if err != nil {
		return err
	}
	b.add(target{
		what: "microvm, continued to first output / bare QEMU", got: float64(warm) / float64(rival), unit: "x", limit: 1.5,
		how: fmt.Sprintf("%v / %v, medians of %d; the same template, guest and command", warm.Round(time.Millisecond), rival.Round(time.Millisecond), machineRounds),
	})
	b.add(target{
		what: "microvm, continued to first output / booted and saved", got: float64(warm) / float64(cold), unit: "x", limit: 0.1,
		how: fmt.Sprintf("%v / %v, median of %d", warm.Round(time.Millisecond), cold.Round(time.Millisecond), machineRounds),
	})
	if err := b.readyMachines(ctx, empty, rival); err != nil {
		return err
	}
	if err := b.idleMachine(ctx, empty); err != nil {
		return err
	}
	return b.left(ctx, proofbox.MicroVM, machineCycles, 4)
}

// firstByte runs a command in a microVM and gives the time until it says
// something.
func (b *bench) firstByte(ctx context.Context, workspace string) (time.Duration, error) {
	m, err := b.startMachine(ctx, workspace, "")
	if err != nil {
		return 0, err
	}
	return m.took, m.end()
}

// readyMachines measures the same where a server has a box ready, against the
// bare QEMU that has none.
func (b *bench) readyMachines(ctx context.Context, workspace string, rival time.Duration) error {
	server := exec.CommandContext(ctx, filepath.Join(b.bin, "proofbox"), "serve", "--ready", "1")
	server.Env = append(os.Environ(), "PROOFBOX_HOME="+filepath.Join(b.dir, "state"))
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	said := bufio.NewScanner(out)
	took, err := b.servedBytes(ctx, workspace, said)
	if err := errors.Join(err, server.Process.Signal(os.Interrupt), server.Wait()); err != nil {
		return fmt.Errorf("proofbox serve --ready 1: %w", err)
	}
	b.add(target{
		what: "microvm, ready, to first output", got: float64(took) / float64(time.Millisecond), unit: "ms", limit: 15,
		how: fmt.Sprintf("median of %d; bare QEMU, not ready: %v", machineRounds, rival.Round(time.Millisecond)),
	})
	return nil
}

// servedBytes is how long a server's boxes take until the first byte, once each
// has been said to be ready. The first one is not.
func (b *bench) servedBytes(ctx context.Context, workspace string, said *bufio.Scanner) (time.Duration, error) {
	var took []time.Duration
	host := ""
	for range machineRounds + 1 {
		for said.Scan() {
			if at, ok := strings.CutPrefix(said.Text(), "PROOFBOX_HOST="); ok {
				host = at
			}
			if len(took) == 0 || strings.HasPrefix(said.Text(), "a box is ready") {
				break
			}
		}
		m, err := b.startMachine(ctx, workspace, host)
		if err != nil {
			return 0, err
		}
		took = append(took, m.took)
		if err := m.end(); err != nil {
			return 0, err
		}
	}
	return middle(took[1:]), said.Err()
}

// machine is a command that runs in a microVM until its input ends.
type machine struct {
	cmd   *exec.Cmd
	input io.Closer
	said  bytes.Buffer
	took  time.Duration // until its first byte
}

// startMachine starts a command in a microVM, of a server where host names one,
// and returns when it says something.
func (b *bench) startMachine(ctx context.Context, workspace, host string) (*machine, error) {
	m := &machine{cmd: exec.CommandContext(ctx, filepath.Join(b.bin, "proofbox"), "run", "--wall", "microvm",
		"--memory", "256MiB", "--workspace", workspace, "--", "sh", "-c", "echo first; read line")}
	m.cmd.Env = append(os.Environ(), "PROOFBOX_HOME="+filepath.Join(b.dir, "state"), "PROOFBOX_HOST="+host)
	m.cmd.Stderr = &m.said
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if m.input, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	_, err = out.Read(make([]byte, 64))
	m.took = time.Since(began)
	if err != nil {
		return nil, errors.Join(err, m.end())
	}
	return m, nil
}

// end lets the command end. Its status is that of a read at the end of input.
func (m *machine) end() error {
	err := errors.Join(m.input.Close(), m.cmd.Wait())
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return nil
	}
	return fmt.Errorf("proofbox run --wall microvm: %w: %s", err, m.said.String())
}

// idleMachine measures what an idle box of 256 MiB has in memory of its own,
// beside the pages of the template that it shares with others.
func (b *bench) idleMachine(ctx context.Context, workspace string) error {
	before := monitors()
	m, err := b.startMachine(ctx, workspace, "")
	if err != nil {
		return err
	}
	own := 0.0
	for pid := range monitors() {
		if !before[pid] {
			own += private(pid)
		}
	}
	if err := m.end(); err != nil {
		return err
	}
	if own == 0 {
		return errors.New("the monitor of an idle box was not found")
	}
	b.add(target{
		what: "microvm of 256 MiB, idle, memory of its own", got: own / (1 << 10), unit: "M", limit: 64,
		how: "anonymous pages of QEMU, in smaps_rollup",
	})
	return nil
}

// monitors are the processes that run QEMU.
func monitors() map[string]bool {
	found := map[string]bool{}
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(text), "qemu-system") {
			found[filepath.Base(filepath.Dir(name))] = true
		}
	}
	return found
}

// private is how much memory a process has that is in no file, as the template
// and its program are, in KiB; see proc_pid_smaps(5).
func private(pid string) (sum float64) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "smaps_rollup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var size float64
		name, value, _ := strings.Cut(line, ":")
		if name == "Anonymous" {
			if _, err := fmt.Sscanf(value, "%f kB", &size); err == nil {
				sum += size
			}
		}
	}
	return sum
}
