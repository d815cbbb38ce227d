package breakout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"proofbox"
	"proofbox/internal/breakout/order"
)

// attemptTime bounds one attempt, and releaseTime how long the attack may take
// to end when the host has looked.
const (
	attemptTime = time.Minute
	releaseTime = 20 * time.Second
)

// errBroken says that the box cannot be used for a further attempt.
var errBroken = errors.New("the box did not survive the attempt")

// errLacking says that this host does not have what an oracle looks at, and a
// box cannot gain.
var errLacking = errors.New("this host does not have it")

// make carries out the attack, in the time that every attempt has.
func (a *attempt) make(ctx context.Context, p Probe) (evidence string, err error) {
	return a.makeWithin(ctx, p, attemptTime)
}

// makeWithin carries out the attack: it is started, reports and holds what it
// has, the oracle looks, and it is let go.
func (a *attempt) makeWithin(ctx context.Context, p Probe, limit time.Duration) (evidence string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
	defer cancel()
	a.context = ctx
	hold, release := io.Pipe()
	defer release.Close()
	heard := newHearing()
	ended := make(chan error, 1)
	go func() { ended <- a.exec(ctx, p, hold, heard) }()
	var endErr error
	over := false
	select {
	case <-heard.reported:
	case endErr = <-ended:
		over = true
	case <-ctx.Done():
		return "", fmt.Errorf("%w: %w", errBroken, context.Cause(ctx))
	}
	a.output, a.report = heard.sofar()
	if p.Oracle.look != nil {
		if evidence, err = p.Oracle.look(a); err != nil {
			err = fmt.Errorf("looking at the host: %w", err)
		}
	}
	if !over {
		release.Close()
		endErr, over = await(ended)
		if !over {
			return evidence, errors.Join(err, fmt.Errorf("%w: the attack does not end", errBroken))
		}
	}
	return evidence, errors.Join(err, endErr)
}

func await(ended <-chan error) (error, bool) {
	select {
	case err := <-ended:
		return err, true
	case <-time.After(releaseTime):
		return nil, false
	}
}

// exec runs the attack to its end. That the kernel has killed it is a way to be
// stopped; that it ended by itself without a report means that it was not made.
func (a *attempt) exec(ctx context.Context, p Probe, stdin io.Reader, heard *hearing) error {
	var problems bounded
	args := []string{AttackProgram}
	if a.session.sitting.as == asMonitor {
		args = append(args, order.Stay) // it has no input
	}
	result, err := a.box.Exec(ctx, append(args, a.words(p)...), Stdio{Stdin: stdin, Stdout: heard, Stderr: &problems})
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	if _, report := order.Find(heard.bytes()); report || killed(result) {
		return nil
	}
	return fmt.Errorf("the attack was not made: %s, %q", result.Ended, problems.text())
}

// words gives the attack with what the words in braces mean.
func (a *attempt) words(p Probe) []string {
	var words []string
	for _, word := range p.Attack {
		words = append(words, a.stage.word(strings.ReplaceAll(word, "{token}", a.token)))
	}
	return words
}

// killed says that a command was ended by a signal, as a shell counts.
func killed(r proofbox.ExecResult) bool { return r.ExitCode > 128 }

// hearing is what an attack writes, up to a bound. It says when there is a
// report.
type hearing struct {
	reported chan struct{}

	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
	said bool         // guarded by mu
}

func newHearing() *hearing { return &hearing{reported: make(chan struct{})} }

// Write never fails: what is beyond the bound is dropped.
func (h *hearing) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(p[:min(len(p), order.MaxLine-h.text.Len())])
	if !h.said {
		if _, found := order.Find(h.text.Bytes()); found {
			h.said = true
			close(h.reported)
		}
	}
	return len(p), nil
}

func (h *hearing) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.text.Bytes())
}

func (h *hearing) sofar() ([]byte, order.Report) {
	text := h.bytes()
	report, _ := order.Find(text) // an attack that was killed has none
	return text, report
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

const maxProblems = 2 << 10

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(p[:min(len(p), maxProblems-b.buf.Len())])
	return len(p), nil
}

func (b *bounded) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
