package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"proofbox/internal/attach"
	"proofbox/internal/box"
)

// control serves the API on a socket in a run's directory while this process
// supervises the run, for other processes of the same user.
type control struct {
	listener net.Listener
	server   *http.Server
}

// serveControl makes the socket. Its directory is the user's alone.
func (d *Daemon) serveControl(dir string, note func(box.Object) error) (*control, error) {
	path := filepath.Join(dir, controlFile)
	if err := note(box.Object{Kind: box.Socket, Name: path}); err != nil {
		return nil, err
	}
	l, err := attach.ListenSocket(path) // the teardown removes it
	if err != nil {
		return nil, err
	}
	c := &control{listener: l, server: &http.Server{Handler: d.Handler()}}
	go c.server.Serve(l) // ends when the listener is closed
	return c, nil
}

// close takes no further caller. Those who are being answered stay.
func (c *control) close() error {
	if err := c.listener.Close(); err != nil {
		return fmt.Errorf("closing the control socket: %w", err)
	}
	return nil
}

// drainTime is how long callers have to take their answers once a run has
// ended.
const drainTime = 2 * time.Second

// drain waits until whoever asked before the run ended has the answer, and
// hangs up on those who do not take it.
func (c *control) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if c.server.Shutdown(ctx) != nil {
		_ = c.server.Close() // its connections are all that is left of it
	}
}
