package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"

	"proofbox"
	"proofbox/internal/terminal"
)

// session is the caller's end of a running command: its streams, signals and
// terminal.
type session struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	size           *proofbox.TerminalSize // nil without a terminal
	signals        chan syscall.Signal
	sizes          chan proofbox.TerminalSize

	tty     *os.File    // nil without a terminal of its own
	begun   atomic.Bool // the command runs
	once    sync.Once
	closers []io.Closer // filters that may hold bytes back
	back    func() error
	stderrT io.Writer
}

// errInterrupted is why the context of a command ends when the caller has
// interrupted it.
var errInterrupted = errors.New("interrupted")

// session takes up the caller's streams. With tty, the caller must be at a
// terminal, which is in raw mode from begin until restore.
func (a *app) session(tty bool) (*session, error) {
	s := &session{
		stdin: a.stdin, stdout: a.stdout, stderr: a.stderr, stderrT: a.stderr,
		signals: make(chan syscall.Signal, 8), sizes: make(chan proofbox.TerminalSize, 8),
		back: func() error { return nil },
	}
	if tty {
		return s, s.atTerminal(a)
	}
	// A command without a terminal of its own does not read from the caller's:
	// it would be stopped in the background, and nothing says that it waits.
	if isTerminal(a.stdin) {
		s.stdin = nil
	}
	s.stdout, s.stderr = s.filter(a.stdout), s.filter(a.stderr)
	return s, nil
}

// filter makes a command's output harmless where it goes to a terminal.
func (s *session) filter(w io.Writer) io.Writer {
	if !isTerminal(w) {
		return w
	}
	live := terminal.NewLive(w)
	s.closers = append(s.closers, live)
	return live
}

func (s *session) atTerminal(a *app) error {
	f, ok := terminalOf(a.stdin)
	if !ok {
		return errors.New("--tty needs a terminal to type at; leave it out")
	}
	size, err := sizeOf(f)
	if err != nil {
		return err
	}
	s.tty, s.size = f, &size
	return nil
}

// begin is called when the command runs. Until then the terminal's keys are the
// caller's own, and an interrupt stops the run; from then on they are the
// command's.
func (s *session) begin() error {
	s.begun.Store(true)
	if s.tty == nil {
		return nil
	}
	state, err := term.MakeRaw(int(s.tty.Fd()))
	if err != nil {
		return fmt.Errorf("preparing the terminal: %w", err)
	}
	s.back = func() error { return term.Restore(int(s.tty.Fd()), state) }
	return nil
}

func sizeOf(f *os.File) (proofbox.TerminalSize, error) {
	cols, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return proofbox.TerminalSize{}, fmt.Errorf("asking for the terminal's size: %w", err)
	}
	return proofbox.TerminalSize{Rows: uint16(rows), Cols: uint16(cols)}, nil
}

// restore gives the terminal back. It may be called more than once.
func (s *session) restore() {
	s.once.Do(func() {
		err := s.back()
		for _, c := range s.closers {
			err = errors.Join(err, c.Close())
		}
		if err != nil {
			fmt.Fprintln(s.stderrT, "proofbox:", err)
		}
	})
}

// forward hands the caller's signals to the command until the context ends. The
// first interrupt is the command's to deal with, where it runs already; the
// second, or the passing of the grace time, stops the run.
func (s *session) forward(ctx context.Context, stop context.CancelCauseFunc) {
	incoming := make(chan os.Signal, 8)
	signal.Notify(incoming, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(incoming)
	var grace <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-grace:
			stop(errInterrupted)
			return
		case sig := <-incoming:
			if sig == syscall.SIGWINCH {
				s.resize()
				continue
			}
			if sig == syscall.SIGINT && (grace != nil || !s.begun.Load()) {
				stop(errInterrupted)
				return
			}
			if sig == syscall.SIGINT {
				grace = time.After(graceTime)
			}
			offer(s.signals, sig.(syscall.Signal))
		}
	}
}

func (s *session) resize() {
	if s.tty == nil {
		return
	}
	if size, err := sizeOf(s.tty); err == nil {
		offer(s.sizes, size)
	}
}

// offer hands a value on unless nobody takes any: then the command has not
// begun, or has ended.
func offer[T any](to chan<- T, v T) {
	select {
	case to <- v:
	default:
	}
}
