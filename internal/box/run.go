package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/box/cgroup"
	"proofbox/internal/door"
)

// Cause is why a box was ended from outside.
type Cause struct {
	Ended    string // in words, as [proofbox.Run.Ended] has it
	ExitCode int
}

// Causes that are not a limit.
var (
	Stopped    = Cause{"stopped", proofbox.ExitKilled}
	ClientGone = Cause{"stopped: its caller went away", proofbox.ExitKilled}
)

// Outcome is how a run's command ended and what it used.
type Outcome struct {
	Ended    string
	ExitCode int
	Started  time.Time
	Finish   time.Time
	Usage    proofbox.Usage
	Warnings []string
}

// Stdio is what a command reads and writes. With a terminal, Stderr is unused.
type Stdio struct {
	Stdin          io.Reader // nil for none
	Stdout, Stderr io.Writer
}

// Run runs the box's one main command and holds the box to its limits. It
// returns when the command has ended or a limit, [Box.End] or the context has
// ended the box. started is called once the command runs, unless it could not be
// started, with a handle for its signals and its terminal's size.
func (b *Box) Run(ctx context.Context, cmd door.Command, stdio Stdio, started func(*door.Process)) Outcome {
	o := Outcome{Started: time.Now()}
	stop := context.AfterFunc(ctx, func() { b.End(ClientGone) })
	defer stop()
	limit := time.AfterFunc(time.Duration(b.config.Limits.Time), func() {
		b.End(Cause{"time limit " + b.config.Limits.Time.String(), proofbox.ExitTimeLimit})
	})
	defer limit.Stop()

	exit, err := b.exec(ctx, cmd, stdio, started)
	o.Finish = time.Now()
	b.look(1) // with the command itself, which has just ended
	b.judge(&o, cmd, exit, err)
	return o
}

// Exec runs a further command in the box.
func (b *Box) Exec(ctx context.Context, cmd door.Command, stdio Stdio, started func(*door.Process)) (door.Exit, error) {
	return b.exec(ctx, cmd, stdio, started)
}

func (b *Box) exec(ctx context.Context, cmd door.Command, stdio Stdio, started func(*door.Process)) (door.Exit, error) {
	p, err := b.Door.Start(ctx, cmd, door.Stdio{
		Stdin: stdio.Stdin, Stdout: b.metered(stdio.Stdout), Stderr: b.metered(stdio.Stderr),
	})
	if err != nil {
		return door.Exit{}, err
	}
	if started != nil && p.Runs() {
		started(p)
	}
	return p.Wait()
}

// judge says what ended the run.
func (b *Box) judge(o *Outcome, cmd door.Command, exit door.Exit, err error) {
	used := b.used()
	o.Usage = proofbox.Usage{
		Wall:       proofbox.Duration(o.Finish.Sub(o.Started)),
		CPU:        proofbox.Duration(used.CPU),
		PeakMemory: proofbox.Size(used.PeakMemory),
		Output:     proofbox.Size(b.meter.bytes.Load()),
	}
	cause := b.endedBy()
	failed := err != nil || exit.Code != 0 || exit.Signal != 0
	switch {
	case cause != nil:
		o.Ended, o.ExitCode = cause.Ended, cause.ExitCode
	case used.OOMKills > 0 && failed:
		o.Ended, o.ExitCode = "memory limit "+b.config.Limits.Memory.String(), proofbox.ExitKilled
	case used.PidsRefuse > 0 && err != nil: // gVisor does not survive it
		o.Ended, o.ExitCode = fmt.Sprintf("pids limit %d", b.config.Limits.Pids), proofbox.ExitKilled
	case err != nil:
		o.Ended, o.ExitCode = "the box was lost: "+b.lost(err).Error(), proofbox.ExitFailed
	default:
		o.Ended, o.ExitCode = ExitWords(exit)
		b.blame(o, used.PidsRefuse, failed)
	}
	if used.OOMKills > 0 && !failed {
		o.Warnings = append(o.Warnings, fmt.Sprintf("the memory limit %s killed %d processes of the box", b.config.Limits.Memory, used.OOMKills))
	}
}

// used is what the box has used. A guest's kernel counts for itself, and the
// host's sees the whole machine.
func (b *Box) used() cgroup.Usage {
	used := b.group.Usage()
	if b.guest == nil || b.Door == nil {
		return used
	}
	inside, err := b.Door.Usage(context.Background())
	if err != nil {
		return used // the guest has broken off, which ends the run with a reason of its own
	}
	if inside.DiskFree < fullBelow || inside.FilesFree == 0 {
		b.meter.diskFull.Store(true)
	}
	used.PeakMemory = inside.PeakMemory
	used.OOMKills += inside.OOMKills
	used.PidsRefuse = inside.PidsRefused
	return used
}

// blame names the limit that a failed command has run into, where one was
// touched: such a limit ends nothing by itself, it lets calls fail.
func (b *Box) blame(o *Outcome, refused int64, failed bool) {
	touched := ""
	switch {
	case b.guest == nil && full(b.jail.Scratch) || b.meter.diskFull.Load():
		touched = "disk limit " + b.config.Limits.Disk.String()
	case refused > 0 || b.meter.pidsFull.Load():
		touched = fmt.Sprintf("pids limit %d", b.config.Limits.Pids)
	default:
		return
	}
	if failed {
		o.Ended = touched
		return
	}
	o.Warnings = append(o.Warnings, "the command ran into its "+touched+" and went on")
}

// ExitWords says how a command ended, in words and as an exit status.
func ExitWords(exit door.Exit) (string, int) {
	switch {
	case exit.NotStarted != "":
		return "not started: " + exit.NotStarted, exit.Code
	case exit.Signal != 0:
		return strings.TrimSuffix(fmt.Sprintf("signal %d (%s)", exit.Signal, unix.SignalName(syscall.Signal(exit.Signal))), " ()"), 128 + exit.Signal
	default:
		return fmt.Sprintf("exit status %d", exit.Code), exit.Code
	}
}

// lost says why a box broke off.
func (b *Box) lost(err error) error {
	b.jail.Kill()
	<-b.jail.Gone()
	if b.guest != nil {
		err = fmt.Errorf("%w; its console ends with %q", err, b.guest.console.lastLine())
	}
	return errors.Join(err, b.jail.Fault())
}

// End ends the box for a cause. Only the first cause counts.
func (b *Box) End(c Cause) {
	b.mu.Lock()
	if b.cause == nil {
		b.cause = &c
	}
	b.mu.Unlock()
	b.halt()
}

func (b *Box) endedBy() *Cause {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause
}

// meter counts what a box does that is not counted by the kernel.
type meter struct {
	bytes    atomic.Int64 // written to standard output and error
	diskFull atomic.Bool  // the scratch was full once
	pidsFull atomic.Bool  // the box once had all the tasks that it may
}

// metered counts what goes to w and ends the box when the output limit is
// passed. What is within the limit is written, what is beyond is not.
func (b *Box) metered(w io.Writer) io.Writer {
	if w == nil {
		return nil
	}
	return &meteredWriter{box: b, to: w}
}

type meteredWriter struct {
	box *Box
	to  io.Writer
	mu  sync.Mutex
}

var errOutputLimit = errors.New("the output limit is passed")

func (m *meteredWriter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := int64(m.box.config.Limits.Output)
	after := m.box.meter.bytes.Add(int64(len(p)))
	if after <= limit {
		return m.to.Write(p)
	}
	m.box.End(Cause{"output limit " + m.box.config.Limits.Output.String(), proofbox.ExitKilled})
	allowed := max(0, int64(len(p))-(after-limit))
	n, err := m.to.Write(p[:allowed])
	return n, errors.Join(err, errOutputLimit)
}
