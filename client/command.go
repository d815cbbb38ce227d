package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"

	"proofbox"
	"proofbox/internal/attach"
)

// Command is a command to run in a box, with the caller's ends of it.
type Command struct {
	Spec proofbox.Spec
	Args []string
	// Certify tries the wall first, where the code demands a certificate and the
	// wall has none that counts. That takes a minute or more.
	Certify bool

	// Stdin is what the command reads; nil for nothing. It is read ahead: what
	// the command leaves is lost.
	Stdin          io.Reader
	Stdout, Stderr io.Writer // nil drops

	// TTY gives the command a terminal of this size; then Stderr is unused.
	TTY *proofbox.TerminalSize
	// Term is the terminal's type, as in $TERM.
	Term string

	// Event, where it is set, hears what goes on before and while the command
	// runs. It is called by one goroutine at a time.
	Event func(proofbox.Event)
	// Signals and Sizes, where they are set, are handed to the command.
	Signals <-chan syscall.Signal
	Sizes   <-chan proofbox.TerminalSize
}

// Run runs a command in a new box and returns its record when the box has been
// torn down. How the command ended, also that it is not in the image, is in the
// record; an error says that there is no record: policy has refused the run (the
// error holds a [proofbox.Refusal]), proofbox could not do its work, or the
// context has ended. That stops the run, whose record [Client.Show] then has: an
// Event has said its ID.
func (c *Client) Run(ctx context.Context, cmd Command) (proofbox.Run, error) {
	return attached[proofbox.Run](ctx, c, cmd, request{
		method: http.MethodPost, path: "/v1/runs",
		body: proofbox.RunRequest{
			Spec: cmd.Spec, Command: cmd.Args, TTY: cmd.TTY, Term: cmd.Term, Stdin: cmd.Stdin != nil,
			Certify: cmd.Certify,
		},
	})
}

// Detach starts a command in a new box that a process of its own supervises,
// and returns as soon as the command runs.
func (c *Client) Detach(ctx context.Context, spec proofbox.Spec, args []string) (proofbox.Run, error) {
	return ask[proofbox.Run](ctx, c, request{
		method: http.MethodPost, path: "/v1/runs",
		body: proofbox.RunRequest{Spec: spec, Command: args, Detach: true},
	})
}

// Exec runs a further command in the box of a run that has not ended. Of cmd,
// Spec counts only for its Env.
func (c *Client) Exec(ctx context.Context, run string, cmd Command) (proofbox.ExecResult, error) {
	return attached[proofbox.ExecResult](ctx, c, cmd, request{
		method: http.MethodPost, run: &run, verb: "exec", live: true,
		body: proofbox.ExecRequest{
			Command: cmd.Args, Env: cmd.Spec.Env, TTY: cmd.TTY, Term: cmd.Term, Stdin: cmd.Stdin != nil,
		},
	})
}

// Prove runs a command on the original of a run with what a keep would write, in
// fresh boxes of the run's terms, and writes nothing. Of cmd, only Args, Stdout,
// Stderr, Event and Signals count; the output is that of the first box, which has
// everything.
func (c *Client) Prove(ctx context.Context, run string, r proofbox.KeepRequest, cmd Command) (proofbox.Proof, error) {
	cmd.Stdin, cmd.TTY = nil, nil
	return attached[proofbox.Proof](ctx, c, cmd, request{
		method: http.MethodPost, run: &run, verb: "prove",
		body: proofbox.ProofRequest{Keep: r, Command: cmd.Args},
	})
}

// attached sends a request that is answered over an upgraded connection and
// carries the command's input and output over it.
func attached[T any](ctx context.Context, c *Client, cmd Command, r request) (T, error) {
	var result T
	end, err := c.attach(ctx, r)
	if err != nil {
		return result, err
	}
	defer end.Close()
	// Going away stops the run; it is the server that then says how it ended,
	// and nobody is there to hear it.
	stop := context.AfterFunc(ctx, func() { end.Close() })
	defer stop()
	output := carry(end, cmd)
	data, err := conclude(end, cmd)
	if err != nil {
		return result, errors.Join(context.Cause(ctx), err)
	}
	output.Wait()
	if err := json.Unmarshal(data, &result); err != nil {
		return result, fmt.Errorf("reading proofbox's answer: %w", err)
	}
	return result, nil
}

func (c *Client) attach(ctx context.Context, r request) (*attach.End, error) {
	req, err := c.build(ctx, r)
	if err != nil {
		return nil, err
	}
	dial, err := c.dial(r.supervised())
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", attach.Protocol)
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("reaching proofbox: %w", err)
	}
	buffered, err := upgrade(ctx, conn, req)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return attach.Open(attach.Hijacked{Conn: conn, Buffered: buffered})
}

// carry copies the command's input and output, and hands on signals and sizes.
// The returned group is done when all output has been written.
func carry(end *attach.End, cmd Command) *sync.WaitGroup {
	var output sync.WaitGroup
	for _, o := range []struct {
		to   io.Writer
		from io.Reader
	}{{cmd.Stdout, end.Stdout}, {cmd.Stderr, end.Stderr}} {
		if o.to == nil {
			o.to = io.Discard
		}
		output.Go(func() {
			if _, err := io.Copy(o.to, o.from); err != nil {
				end.Close() // nobody reads: the command is stopped
			}
		})
	}
	go func() {
		if cmd.Stdin != nil {
			_, _ = io.Copy(end.Stdin, cmd.Stdin) // its end, of whatever kind, is the command's
		}
		_ = end.Stdin.Close()
	}()
	go steer(end, cmd)
	return &output
}

// steer hands signals and sizes on until the connection is gone.
func steer(end *attach.End, cmd Command) {
	signals, sizes := cmd.Signals, cmd.Sizes
	for {
		var m attach.Message
		select {
		case <-end.Gone():
			return
		case s, ok := <-signals:
			if !ok {
				signals = nil // closed: there will be none
				continue
			}
			m.Signal = int(s)
		case size, ok := <-sizes:
			if !ok {
				sizes = nil
				continue
			}
			m.Resize = &size
		}
		if err := end.Send(m); err != nil {
			return
		}
	}
}

// conclude reads the server's messages up to the last.
func conclude(end *attach.End, cmd Command) (json.RawMessage, error) {
	for {
		m, err := end.Receive()
		switch {
		case err != nil:
			return nil, fmt.Errorf("the connection to proofbox broke off: %w", err)
		case m.Problem != nil:
			return nil, m.Problem
		case m.Result != nil:
			return m.Result, nil
		case m.Event != nil && cmd.Event != nil:
			cmd.Event(*m.Event)
		}
	}
}
