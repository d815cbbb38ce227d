package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"time"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/box"
	"proofbox/internal/door"
)

// Runs lists every run, the newest first.
func (d *Daemon) Runs(context.Context) ([]proofbox.Run, error) { return d.store.all() }

// Show gives a run's record.
func (d *Daemon) Show(_ context.Context, name string) (proofbox.Run, error) {
	id, err := d.store.resolve(name)
	if err != nil {
		return proofbox.Run{}, err
	}
	run, err := d.store.load(id)
	if err != nil {
		return proofbox.Run{}, err
	}
	run.Staged, err = d.staged(id, false)
	return *run, err
}

// Logs gives what a run's command wrote.
func (d *Daemon) Logs(ctx context.Context, name string, follow bool) iter.Seq2[proofbox.Output, error] {
	return func(yield func(proofbox.Output, error) bool) {
		id, err := d.store.resolve(name)
		if err != nil {
			yield(proofbox.Output{}, err)
			return
		}
		path := filepath.Join(d.store.dir(id), outputFile)
		for at, last := int64(0), false; ; {
			next, more, err := readOutput(path, at, func(o proofbox.Output) bool { return yield(o, nil) })
			if err != nil {
				yield(proofbox.Output{}, err)
				return
			}
			at = next
			if !more || !follow || last {
				return
			}
			// What was written before the end is read once more.
			if last, err = d.ended(ctx, id); err != nil {
				yield(proofbox.Output{}, err)
				return
			}
			if !last && !wait(ctx, followEvery) {
				return
			}
		}
	}
}

// ended says whether a run has ended, also by the death of its supervisor.
func (d *Daemon) ended(ctx context.Context, id string) (bool, error) {
	if err := d.reap(ctx); err != nil {
		return false, err
	}
	run, err := d.store.load(id)
	if err != nil {
		return false, err
	}
	return run.State == proofbox.Ended, nil
}

func wait(ctx context.Context, t time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(t):
		return true
	}
}

// running finds the session of a run that this process supervises and whose
// command has begun.
func (d *Daemon) running(name string) (*session, *box.Box, error) {
	id, err := d.store.resolve(name)
	if err != nil {
		return nil, nil, err
	}
	s := d.session(id)
	if s == nil {
		return nil, nil, &StateError{Run: id, Why: "it has ended"}
	}
	b := s.startedBox()
	if b == nil {
		return s, nil, &StateError{Run: id, Why: "its box has not started yet"}
	}
	return s, b, nil
}

// StateError says that a run is in no state for what was asked.
type StateError struct{ Run, Why string }

func (e *StateError) Error() string { return fmt.Sprintf("run %s: %s", e.Run, e.Why) }

// Conflict marks the error for the API.
func (e *StateError) Conflict() bool { return true }

// Exec runs a further command in a running box.
func (d *Daemon) Exec(ctx context.Context, name string, r proofbox.ExecRequest, io api.Session) (proofbox.ExecResult, error) {
	s, b, err := d.running(name)
	if err != nil {
		return proofbox.ExecResult{}, err
	}
	if len(r.Command) == 0 {
		return proofbox.ExecResult{}, errors.New("there is no command to run; put it after --")
	}
	if err := d.note(ctx, "exec", s.run.ID, r.Command); err != nil {
		return proofbox.ExecResult{}, err
	}
	command := door.Command{
		Args: r.Command, Env: s.environment(), Dir: box.Workdir, TTY: r.TTY, Stdin: r.Stdin,
	}
	for k, v := range r.Env {
		command.Env = append(command.Env, k+"="+v)
	}
	if r.TTY != nil && r.Term != "" {
		command.Env = append(command.Env, "TERM="+r.Term)
	}
	s.writers.Expect()
	exit, err := b.Exec(ctx, command, box.Stdio{Stdin: s.incoming("standard input of exec", io.Stdin), Stdout: io.Stdout, Stderr: io.Stderr},
		func(p *door.Process) { io.Drive(p) })
	if refused := s.alarmed(); refused != nil {
		return proofbox.ExecResult{}, refused // the box was ended for it
	}
	if err != nil && closed(b.Door) {
		err = &StateError{Run: s.run.ID, Why: "its box ended while the command ran; `proofbox show " + s.run.ID + "` says how"}
	}
	if err != nil {
		return proofbox.ExecResult{}, err
	}
	ended, code := box.ExitWords(exit)
	return proofbox.ExecResult{Ended: ended, ExitCode: code}, nil
}

// closeTime is how much later the end of a door may be seen than that of a stream
// in it.
const closeTime = 2 * time.Second

// closed says whether a door is, or is about to be.
func closed(d *door.Door) bool {
	select {
	case <-d.Done():
		return true
	case <-time.After(closeTime):
		return false
	}
}

// Stop ends a run and waits until it has been torn down.
func (d *Daemon) Stop(ctx context.Context, name string) (proofbox.Run, error) {
	id, err := d.store.resolve(name)
	if err != nil {
		return proofbox.Run{}, err
	}
	s := d.session(id)
	if s == nil {
		run, err := d.Show(ctx, id)
		if err == nil && run.State != proofbox.Ended {
			err = &StateError{Run: id, Why: "its supervisor does not answer"}
		}
		return run, err
	}
	s.stop(box.Stopped)
	select {
	case <-s.done:
	case <-ctx.Done():
		return proofbox.Run{}, context.Cause(ctx)
	}
	return d.Show(ctx, id)
}

// ReadFile reads a file of a running box.
func (d *Daemon) ReadFile(ctx context.Context, name, path string) (io.ReadCloser, error) {
	_, b, err := d.running(name)
	if err != nil {
		return nil, err
	}
	return b.Door.ReadFile(ctx, path)
}

// WriteFile writes a file of a running box.
func (d *Daemon) WriteFile(ctx context.Context, name, path string, mode fs.FileMode, r io.Reader) error {
	_, b, err := d.running(name)
	if err != nil {
		return err
	}
	return b.Door.WriteFile(ctx, path, mode, r)
}
