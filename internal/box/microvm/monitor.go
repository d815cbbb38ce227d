package microvm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what a monitor may say: it is in the jail, and may have been taken
// over.
const (
	maxReply   = 64 << 10 // bytes of one message
	maxReplies = 1 << 10  // messages until an order is answered
)

// pollEvery is how long there is between two looks at a migration.
const pollEvery = time.Millisecond

// monitor gives QEMU orders; see QEMU's QMP specification.
type monitor struct {
	conn *net.UnixConn
	in   *bufio.Reader
}

// reply is a message of QEMU: of one field only, beside those that do not
// matter.
type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Desc string `json:"desc"`
	} `json:"error"`
}

// command opens the conversation, until the context ends, and carries out f.
func command(ctx context.Context, conn net.Conn, f func(m *monitor) error) error {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		panic("microvm: the monitor is not at a Unix socket")
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	m := &monitor{conn: socket, in: bufio.NewReaderSize(conn, maxReply)}
	err := m.begin()
	if err == nil {
		err = f(m)
	}
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return err
}

// begin reads the greeting and chooses what migrating means: that memory is left
// where it is, in its file.
func (m *monitor) begin() error {
	if _, err := m.read(); err != nil {
		return err
	}
	if _, err := m.do("qmp_capabilities", nil); err != nil {
		return err
	}
	type capability struct {
		Capability string `json:"capability"`
		State      bool   `json:"state"`
	}
	_, err := m.do("migrate-set-capabilities", map[string]any{
		"capabilities": []capability{{"x-ignore-shared", true}},
	})
	return err
}

// read reads one message.
func (m *monitor) read() (r reply, err error) {
	line, err := m.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return r, fmt.Errorf("the machine's monitor sends a message of more than %d bytes", maxReply)
	}
	if err != nil {
		return r, fmt.Errorf("hearing from the machine's monitor: %w", err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("hearing from the machine's monitor: %w", err)
	}
	return r, nil
}

// do gives an order, with files where there are some, and waits for its answer.
func (m *monitor) do(order string, arguments any, files ...*os.File) (json.RawMessage, error) {
	text, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{order, arguments})
	if err != nil {
		return nil, fmt.Errorf("encoding an order to the machine's monitor: %w", err)
	}
	var rights []byte
	for _, f := range files {
		rights = append(rights, unix.UnixRights(int(f.Fd()))...)
	}
	if _, _, err := m.conn.WriteMsgUnix(append(text, '\n'), rights, nil); err != nil {
		return nil, fmt.Errorf("telling the machine's monitor %q: %w", order, err)
	}
	for range maxReplies {
		r, err := m.read()
		switch {
		case err != nil:
			return nil, err
		case r.Error != nil:
			return nil, fmt.Errorf("the machine's monitor answers %q with %q", order, r.Error.Desc)
		case r.Return != nil:
			return r.Return, nil
		}
	}
	return nil, fmt.Errorf("the machine's monitor says much and does not answer %q", order)
}

// migrate gives the order to save or load a machine's state, by a file, and
// waits until that is done.
func (m *monitor) migrate(ctx context.Context, order string, device *os.File) error {
	if _, err := m.do("getfd", map[string]any{"fdname": "device"}, device); err != nil {
		return err
	}
	if _, err := m.do(order, map[string]any{"uri": "fd:device"}); err != nil {
		return err
	}
	for {
		var state struct {
			Status string `json:"status"`
			Error  string `json:"error-desc"`
		}
		text, err := m.do("query-migrate", nil)
		if err == nil {
			err = json.Unmarshal(text, &state)
		}
		switch {
		case err != nil:
			return err
		case state.Status == "completed":
			return nil
		case state.Status == "failed" || state.Status == "cancelled":
			return fmt.Errorf("the machine's state is not to be moved: %s %q", state.Status, state.Error)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
}

// running checks that the machine runs: one whose disks cannot be opened anew
// does not, and its migration has succeeded all the same.
func (m *monitor) running() error {
	var state struct {
		Status string `json:"status"`
	}
	text, err := m.do("query-status", nil)
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err == nil && state.Status != "running" {
		err = fmt.Errorf("the machine is %q", state.Status)
	}
	return err
}

// Save implements [box.Machine].
func (r *Runtime) Save(ctx context.Context, conn net.Conn, device *os.File) error {
	err := command(ctx, conn, func(m *monitor) error { return m.migrate(ctx, "migrate", device) })
	if err != nil {
		return fmt.Errorf("saving a guest: %w", err)
	}
	return nil
}

// Resume implements [box.Machine].
func (r *Runtime) Resume(ctx context.Context, conn net.Conn, device *os.File) error {
	err := command(ctx, conn, func(m *monitor) error {
		if err := m.migrate(ctx, "migrate-incoming", device); err != nil {
			return err
		}
		return m.running()
	})
	if err != nil {
		return fmt.Errorf("continuing a saved guest: %w", err)
	}
	return nil
}
