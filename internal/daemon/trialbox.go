package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/box"
	"proofbox/internal/breakout"
	"proofbox/internal/door"
)

// trialBox is a run whose command waits while a trial makes its attempts.
type trialBox struct {
	session *session
	hold    io.Closer // the command's input, which ends it

	over chan struct{} // closed when the run has been torn down
	err  error         // of the supervision, once over is closed

	once sync.Once
}

var _ breakout.Box = (*trialBox)(nil)

// superviseTrial takes a run from its plan to the point where its command waits.
func superviseTrial(ctx context.Context, s *session, req proofbox.RunRequest) (*trialBox, error) {
	stdin, hold := io.Pipe()
	b := &trialBox{session: s, hold: hold, over: make(chan struct{})}
	running := make(chan struct{})
	go func() {
		defer close(b.over)
		b.err = s.supervise(context.WithoutCancel(ctx), req, api.Session{
			Stdin: stdin, Stdout: io.Discard, Stderr: io.Discard,
			Event: func(e proofbox.Event) {
				if e.Running {
					close(running)
				}
			},
			Drive: func(api.Driver) {},
		})
		stdin.Close()
	}()
	select {
	case <-running:
		return b, nil
	case <-b.over:
		err := errors.Join(b.err, s.daemon.store.forget(s.run.ID))
		if err == nil {
			err = errors.New("the box of the trial ended before its first attempt: " + s.run.Ended)
		}
		return nil, err
	case <-ctx.Done():
		remains, err := b.End()
		if err == nil {
			err = remains.Forget()
		}
		return nil, errors.Join(context.Cause(ctx), err)
	}
}

// Exec implements [breakout.Box].
func (b *trialBox) Exec(ctx context.Context, args []string, stdio breakout.Stdio) (proofbox.ExecResult, error) {
	s := b.session
	command := door.Command{
		Args: args, Env: s.environment(), Dir: box.Workdir, Stdin: stdio.Stdin != nil,
	}
	if s.weakness.Environment {
		command.Env = append(os.Environ(), command.Env...)
	}
	exit, err := s.startedBox().Exec(ctx, command, box.Stdio{Stdin: stdio.Stdin, Stdout: stdio.Stdout, Stderr: stdio.Stderr}, nil)
	if err != nil {
		b.awaitEnd() // so that its record says why it ended
		return proofbox.ExecResult{}, err
	}
	ended, code := box.ExitWords(exit)
	return proofbox.ExecResult{Ended: ended, ExitCode: code}, nil
}

// endTime bounds how long a box that has broken off takes to be torn down.
const endTime = 10 * time.Second

func (b *trialBox) awaitEnd() {
	select {
	case <-b.over:
	case <-time.After(endTime):
	}
}

// Processes implements [breakout.Box].
func (b *trialBox) Processes() ([]int, error) { return b.session.startedBox().Processes() }

// Scratch implements [breakout.Box].
func (b *trialBox) Scratch() *os.File { return b.session.startedBox().Scratch() }

func (b *trialBox) Upper() (*os.File, error) { return b.session.startedBox().Upper() }

// Deny implements [breakout.Box].
func (b *trialBox) Deny(ctx context.Context, host string) error {
	if b.session.gateway == nil {
		return nil
	}
	_, err := b.session.daemon.Deny(ctx, b.session.run.ID, proofbox.DenyRequest{Hosts: []string{host}})
	return err
}

// End implements [breakout.Box].
func (b *trialBox) End() (breakout.Remains, error) {
	b.once.Do(func() {
		b.hold.Close()
		b.session.stop(box.Stopped)
		<-b.over
	})
	return trialRemains{b.session.daemon, b.session.run}, b.err
}

// trialRemains is what is left of a trial's box.
type trialRemains struct {
	daemon *Daemon
	run    *proofbox.Run
}

// Run implements [breakout.Remains].
func (r trialRemains) Run() proofbox.Run { return *r.run }

// Diff implements [breakout.Remains].
func (r trialRemains) Diff(ctx context.Context) (proofbox.Diff, error) {
	return r.daemon.Diff(ctx, r.run.ID, proofbox.DiffRequest{})
}

// Keep implements [breakout.Remains].
func (r trialRemains) Keep(ctx context.Context, req proofbox.KeepRequest) (proofbox.KeepReceipt, error) {
	return r.daemon.Keep(ctx, r.run.ID, req)
}

// Kept implements [breakout.Remains].
func (r trialRemains) Kept() (int64, error) {
	info, err := os.Stat(filepath.Join(r.daemon.store.dir(r.run.ID), outputFile))
	if err != nil {
		return 0, fmt.Errorf("looking at the output that was kept: %w", err)
	}
	return info.Size(), nil
}

// Forget implements [breakout.Remains]. The run of a trial is in the audit log
// and not among the runs.
func (r trialRemains) Forget() error { return r.daemon.store.forget(r.run.ID) }
