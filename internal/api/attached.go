package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"proofbox"
	"proofbox/internal/attach"
)

// run starts a run: attached over an upgraded connection, or detached.
func (h handler) run(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.RunRequest
	if err := read(r, &req); err != nil {
		return err
	}
	if req.Detach {
		run, err := h.service.Run(r.Context(), req, silent())
		return reply(w, run, err)
	}
	return attached(w, r, req.Stdin, func(ctx context.Context, s Session) (any, error) {
		return h.service.Run(ctx, req, s)
	})
}

func (h handler) exec(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.ExecRequest
	if err := read(r, &req); err != nil {
		return err
	}
	return attached(w, r, req.Stdin, func(ctx context.Context, s Session) (any, error) {
		return h.service.Exec(ctx, r.PathValue("run"), req, s)
	})
}

func (h handler) prove(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.ProofRequest
	if err := read(r, &req); err != nil {
		return err
	}
	return attached(w, r, false, func(ctx context.Context, s Session) (any, error) {
		return h.service.Prove(ctx, r.PathValue("run"), req, s)
	})
}

// silent is the session of a caller who does not stay.
func silent() Session {
	return Session{Event: func(proofbox.Event) {}, Drive: func(Driver) {}}
}

// attached upgrades the connection, runs a command over it and ends it with
// the command's result.
func attached(w http.ResponseWriter, r *http.Request, stdin bool, run func(context.Context, Session) (any, error)) error {
	if r.Header.Get("Upgrade") != attach.Protocol {
		return &proofbox.Problem{
			Code:    proofbox.CodeInvalid,
			Message: fmt.Sprintf("a command that is not detached needs the header Upgrade: %s", attach.Protocol),
		}
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("taking over the connection: %w", err)
	}
	// From here on errors go over the connection itself.
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", attach.Protocol)
	if err != nil {
		_ = conn.Close() // the caller has gone
		return nil
	}
	end, err := attach.Accept(attach.Hijacked{Conn: conn, Buffered: buffered})
	if err != nil {
		return nil // the caller has gone
	}
	defer end.Close()
	serve(end, stdin, run)
	return nil
}

// serve runs the command. The caller's going ends the context.
func serve(end *attach.End, stdin bool, run func(context.Context, Session) (any, error)) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		select {
		case <-end.Gone():
			cancel(errors.New("the caller has gone"))
		case <-ctx.Done():
		}
	}()
	session := Session{
		Stdout: end.Stdout, Stderr: end.Stderr,
		// A caller who has gone is noticed by the context.
		Event: func(e proofbox.Event) { _ = end.Send(attach.Message{Event: &e}) },
		Drive: func(d Driver) { go drive(end, d) },
	}
	if stdin {
		session.Stdin = end.Stdin
	}
	result, err := run(ctx, session)
	_ = end.Stdout.Close()
	_ = end.Stderr.Close()
	_ = end.Send(last(result, err))
	end.AwaitClose()
}

// last is the message that ends a session.
func last(result any, err error) attach.Message {
	if err != nil {
		return attach.Message{Problem: problem(err)}
	}
	data, err := json.Marshal(result)
	if err != nil {
		return attach.Message{Problem: problem(fmt.Errorf("encoding the result: %w", err))}
	}
	return attach.Message{Result: data}
}

// drive hands the caller's signals and sizes to the command, until either is
// gone.
func drive(end *attach.End, d Driver) {
	for {
		m, err := end.Receive()
		if err != nil {
			return
		}
		if m.Signal > 0 {
			err = d.Signal(syscall.Signal(m.Signal))
		}
		if m.Resize != nil {
			err = errors.Join(err, d.Resize(*m.Resize))
		}
		if err != nil {
			return
		}
	}
}
