package door

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/yamux"

	"proofbox"
)

// answerTime bounds how long process 1 may take for an answer that takes it no
// work.
const answerTime = 20 * time.Second

// Door is the host's side. It may be used from many goroutines.
type Door struct {
	session *yamux.Session
	visits  chan struct{} // one for each visit that is open
}

// Open takes up the conversation with the process 1 at the other end of conn.
// The connection belongs to the door from then on, also after an error.
func Open(ctx context.Context, conn io.ReadWriteCloser) (*Door, error) {
	session, err := yamux.Client(conn, Multiplexing())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the door: %w", err), conn.Close())
	}
	d := &Door{session: session, visits: make(chan struct{}, MaxVisits)}
	var hello Hello
	if err := d.ask(ctx, Request{Op: OpHello}, &hello); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the door: %w", err), d.Close())
	}
	if hello.Version != Version {
		return nil, errors.Join(fmt.Errorf("opening the door: proofbox-init speaks version %d, not %d; build it anew", hello.Version, Version), d.Close())
	}
	return d, nil
}

// Close closes the door, which ends the box.
func (d *Door) Close() error { return d.session.Close() }

// Done is closed when the door is.
func (d *Door) Done() <-chan struct{} { return d.session.CloseChan() }

// begin opens a stream with a request.
func (d *Door) begin(r Request) (*yamux.Stream, error) {
	s, err := d.session.OpenStream()
	if err != nil {
		return nil, fmt.Errorf("opening a stream to the box: %w", err)
	}
	if err := WriteFrame(s, r); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// ask sends a request that is answered with one frame.
func (d *Door) ask(ctx context.Context, r Request, answer any) error {
	s, err := d.begin(r)
	if err != nil {
		return err
	}
	defer s.Close()
	return await(ctx, s, answer)
}

// await reads one answer in bounded time.
func await(ctx context.Context, s *yamux.Stream, answer any) error {
	if err := s.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return fmt.Errorf("awaiting an answer of the box: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { s.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := ReadFrame(s, MaxAnswer, answer); err != nil {
		return errors.Join(context.Cause(ctx), fmt.Errorf("awaiting an answer of the box: %w", err))
	}
	return s.SetReadDeadline(time.Time{})
}

// Setup lets process 1 restrict itself. It must come before any command.
func (d *Door) Setup(ctx context.Context, setup Setup) (Applied, error) {
	var applied Applied
	if err := d.ask(ctx, Request{Op: OpSetup, Setup: &setup}, &applied); err != nil {
		return applied, err
	}
	if applied.Error != "" {
		return applied, fmt.Errorf("process 1 could not restrict itself: %q", applied.Error)
	}
	return applied, nil
}

// Stdio is what a command reads and writes. A nil writer drops; a nil reader
// gives nothing. Stdin is read for as long as it blocks, even after the command
// has ended: what was read then is lost.
type Stdio struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Process is a command that was started in the box.
type Process struct {
	control *yamux.Stream
	output  sync.WaitGroup
	early   *Exit // set where it did not start

	mu       sync.Mutex
	writeErr error // why output could not be handed on, guarded by mu
}

// Start starts a command. That it could not be started is not an error: it is
// in what Wait gives, see [Process.Runs].
func (d *Door) Start(ctx context.Context, c Command, stdio Stdio) (*Process, error) {
	control, err := d.begin(Request{Op: OpStart, Command: &c})
	if err != nil {
		return nil, err
	}
	var start Start
	if err := await(ctx, control, &start); err != nil {
		return nil, errors.Join(err, control.Close())
	}
	p := &Process{control: control, early: start.Exit}
	if start.Exit != nil {
		return p, nil
	}
	if err := p.connect(d, start.Process, c, stdio); err != nil {
		return nil, errors.Join(err, control.Close())
	}
	return p, nil
}

// Runs says whether the command was started.
func (p *Process) Runs() bool { return p.early == nil }

func (p *Process) connect(d *Door, number int64, c Command, stdio Stdio) error {
	if err := p.carry(d, OpStdout, number, stdio.Stdout); err != nil {
		return err
	}
	if c.TTY == nil {
		if err := p.carry(d, OpStderr, number, stdio.Stderr); err != nil {
			return err
		}
	}
	if !c.Stdin || stdio.Stdin == nil {
		return nil
	}
	s, err := d.begin(Request{Op: OpStdin, Process: number})
	if err != nil {
		return err
	}
	go func() {
		// The process may stop reading whenever it likes; an error of the
		// reader ends its input, as the end of it does.
		_, _ = io.Copy(s, stdio.Stdin)
		_ = s.Close()
	}()
	return nil
}

// carry copies one output of the process to w.
func (p *Process) carry(d *Door, op string, number int64, w io.Writer) error {
	s, err := d.begin(Request{Op: op, Process: number})
	if err != nil {
		return err
	}
	if w == nil {
		w = io.Discard
	}
	p.output.Go(func() {
		defer s.Close()
		if _, err := io.Copy(w, s); err != nil {
			p.mu.Lock()
			p.writeErr = errors.Join(p.writeErr, err)
			p.mu.Unlock()
		}
	})
	return nil
}

// Wait waits until the command has ended and its output is handed on. An error
// means that the box has broken off.
func (p *Process) Wait() (Exit, error) {
	defer p.control.Close()
	if p.early != nil {
		return *p.early, nil
	}
	var exit Exit
	err := ReadFrame(p.control, MaxAnswer, &exit)
	p.output.Wait()
	if err != nil {
		return Exit{}, fmt.Errorf("waiting for the command to end: %w", err)
	}
	if exit.Code < 0 || exit.Code > 255 || exit.Signal < 0 || exit.Signal > 64 {
		return Exit{}, fmt.Errorf("the box says that the command ended with %+v", exit)
	}
	return exit, nil
}

// Signal sends a signal to the command and to what it has started in its
// process group. With a terminal, SIGINT, SIGQUIT and SIGTSTP are better typed.
func (p *Process) Signal(sig syscall.Signal) error {
	return WriteFrame(p.control, Control{Signal: int(sig)})
}

// Resize changes the size of the command's terminal.
func (p *Process) Resize(s proofbox.TerminalSize) error {
	return WriteFrame(p.control, Control{Resize: &s})
}

// ReadFile reads a file of the box, as the box's user sees it. An error can be
// compared with [fs.ErrNotExist] and its like.
func (d *Door) ReadFile(ctx context.Context, path string) (io.ReadCloser, error) {
	if err := absolute("open", path); err != nil {
		return nil, err
	}
	s, err := d.begin(Request{Op: OpRead, Path: path})
	if err != nil {
		return nil, err
	}
	var f File
	if err := await(ctx, s, &f); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if f.Errno != 0 || f.Error != "" {
		return nil, errors.Join(f.err("open", path), s.Close())
	}
	return s, nil
}

// WriteFile writes a file of the box, whole or not at all.
func (d *Door) WriteFile(ctx context.Context, path string, mode fs.FileMode, r io.Reader) error {
	if err := absolute("write", path); err != nil {
		return err
	}
	s, err := d.begin(Request{Op: OpWrite, Path: path, Mode: mode.Perm()})
	if err != nil {
		return err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	body := &chunkWriter{to: s}
	if _, err := io.Copy(body, r); err != nil {
		return fmt.Errorf("writing %q in the box: %w", path, err)
	}
	if err := body.end(); err != nil {
		return fmt.Errorf("writing %q in the box: %w", path, err)
	}
	var f File
	if err := await(ctx, s, &f); err != nil {
		return err
	}
	return f.err("write", path)
}

// absolute refuses a path that means nothing in a box: a box has no current
// folder.
func absolute(op, path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%s %q in the box: the path must be absolute, below /workspace, say", op, path)
	}
	return nil
}

func (f File) err(op, path string) error {
	switch {
	case f.Errno > 0:
		return &fs.PathError{Op: op, Path: path, Err: syscall.Errno(f.Errno)}
	case f.Error != "":
		return &fs.PathError{Op: op, Path: path, Err: fmt.Errorf("%q", f.Error)}
	}
	return nil
}
