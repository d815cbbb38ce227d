// Package attach carries a command's input, output, terminal and signals
// between a client and the API, over one connection.
//
// The connection is multiplexed by yamux. The client opens four streams, in
// this order: control, standard output, standard error, standard input. Control
// carries one JSON [Message] a line, both ways; the others carry bytes, and the
// end of a stream is the end of the file. The server ends with a message that
// has a result or a problem.
package attach

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"proofbox"
)

// Protocol is the name of this protocol in an HTTP upgrade.
const Protocol = "proofbox-attach"

// Message is one line of the control stream. One field is set.
type Message struct {
	Event   *proofbox.Event        `json:"event,omitempty"`   // server to client
	Result  json.RawMessage        `json:"result,omitempty"`  // server to client, last
	Problem *proofbox.Problem      `json:"problem,omitempty"` // server to client, last
	Signal  int                    `json:"signal,omitempty"`  // client to server
	Resize  *proofbox.TerminalSize `json:"resize,omitempty"`  // client to server
}

// End is one end of an attached connection.
type End struct {
	session *yamux.Session
	control *yamux.Stream
	lines   *json.Decoder

	mu sync.Mutex // serializes messages

	// Stdout and Stderr are written by the server and read by the client;
	// Stdin the other way round.
	Stdout, Stderr, Stdin *yamux.Stream
}

func configuration() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = false
	c.ConnectionWriteTimeout = 24 * time.Hour // a reader may be slow
	c.StreamOpenTimeout = 0
	c.StreamCloseTimeout = 0
	c.LogOutput = io.Discard
	return c
}

// Open is the client's side of an upgraded connection, which belongs to it
// from then on.
func Open(conn io.ReadWriteCloser) (*End, error) {
	session, err := yamux.Client(conn, configuration())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attaching: %w", err), conn.Close())
	}
	return connect(session, session.OpenStream)
}

// Accept is the server's side.
func Accept(conn io.ReadWriteCloser) (*End, error) {
	session, err := yamux.Server(conn, configuration())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attaching: %w", err), conn.Close())
	}
	return connect(session, session.AcceptStream)
}

func connect(session *yamux.Session, next func() (*yamux.Stream, error)) (*End, error) {
	e := &End{session: session}
	for _, s := range []**yamux.Stream{&e.control, &e.Stdout, &e.Stderr, &e.Stdin} {
		stream, err := next()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("attaching: %w", err), session.Close())
		}
		*s = stream
	}
	e.lines = json.NewDecoder(e.control)
	return e, nil
}

// Send sends a message. It may be called from many goroutines.
func (e *End) Send(m Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding a message: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.control.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("sending a message: %w", err)
	}
	return nil
}

// Receive gives the next message. Only one goroutine may receive.
func (e *End) Receive() (Message, error) {
	var m Message
	if err := e.lines.Decode(&m); err != nil {
		return m, fmt.Errorf("receiving a message: %w", err)
	}
	return m, nil
}

// Gone is closed when the connection is.
func (e *End) Gone() <-chan struct{} { return e.session.CloseChan() }

// Close closes the connection with all its streams.
func (e *End) Close() error { return e.session.Close() }

// Hijacked is a connection whose first bytes were read into a buffer.
type Hijacked struct {
	net.Conn
	Buffered io.Reader
}

func (h Hijacked) Read(p []byte) (int, error) { return h.Buffered.Read(p) }

// closeTime bounds how long a server waits for the client to have taken in the
// last message.
const closeTime = 30 * time.Second

// AwaitClose waits until the other side has closed the connection, which it
// does after the last message.
func (e *End) AwaitClose() {
	select {
	case <-e.Gone():
	case <-time.After(closeTime):
	}
}
