package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"proofbox/internal/daemon"
)

// local is a proofbox in this process, served over connections in memory.
type local struct {
	daemon   *daemon.Daemon
	server   *http.Server
	listener *memoryListener
}

func openLocal(home string) (*local, error) {
	d, err := daemon.Open(home)
	if err != nil {
		return nil, err
	}
	l := &local{
		daemon:   d,
		server:   &http.Server{Handler: d.Handler()},
		listener: newMemoryListener(),
	}
	go l.server.Serve(l.listener) // ends when the listener is closed
	return l, nil
}

// dialer reaches the daemon in this process, or, for a run that another process
// supervises, that process.
func (l *local) dialer(run string) dialer {
	if run != "" {
		if socket, ok := l.daemon.Control(run); ok {
			return socketDialer(socket)
		}
	}
	return l.listener.dial
}

// Program gives the path of one of proofbox's own programs, as this package finds
// those that it needs.
func Program(name string) string { return daemon.Program(name) }

// Serving says how [Client.Serve] serves.
type Serving struct {
	// Listen is "http://HOST:PORT" of a loopback address; empty means a socket in
	// the state folder.
	Listen string
	// Ready is how many microVMs are kept ready for runs, of the kinds that runs
	// ask for; see docs/decisions.md.
	Ready int
	// Listening, where it is set, hears where the server is reached: what $PROOFBOX_HOST has to be,
	// and the file with what $PROOFBOX_TOKEN has to be, empty where none is needed.
	Listening func(host, tokenFile string)
	// Said, where it is set, hears what becomes of the ready boxes.
	Said func(string)
}

// Serve serves the proofbox in this process to other processes of this host until
// the context ends. Then runs that it supervises are stopped and torn down, and so
// are boxes that are ready. The client is closed after that.
func (c *Client) Serve(ctx context.Context, s Serving) error {
	if address := c.address(); address != "" {
		return fmt.Errorf("serving what another process serves at %q: unset PROOFBOX_HOST", address)
	}
	if _, err := c.dial(""); err != nil {
		return err
	}
	if s.Said == nil {
		s.Said = func(string) {}
	}
	if s.Listening == nil {
		s.Listening = func(string, string) {}
	}
	c.local.daemon.KeepReady(s.Ready, s.Said)
	return c.local.daemon.Serve(ctx, s.Listen, s.Listening)
}

func (l *local) close() error {
	return errors.Join(l.daemon.Close(), l.server.Close())
}

// memoryListener accepts connections that its own dial makes.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (m *memoryListener) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept implements [net.Listener].
func (m *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. It is called once, by the server.
func (m *memoryListener) Close() error {
	close(m.closed)
	return nil
}

// Addr implements [net.Listener].
func (m *memoryListener) Addr() net.Addr { return memoryAddr{} }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "this process" }
