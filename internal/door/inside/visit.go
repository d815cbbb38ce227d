package inside

import (
	"fmt"
	"io"
	"net"

	"github.com/hashicorp/yamux"

	"proofbox/internal/door"
)

// listen takes connections at a loopback address of the box and makes a visit of
// each. Nothing of them is understood here: what they ask for is decided where
// the box cannot reach.
func (s *Server) listen(address string) error {
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return fmt.Errorf("listening for visits: %w", err)
	}
	go s.receive(l.(*net.TCPListener))
	return nil
}

// receive ends with its first error: further connections are refused then.
func (s *Server) receive(l *net.TCPListener) {
	defer l.Close()
	slots := make(chan struct{}, door.MaxVisits)
	for {
		slots <- struct{}{}
		conn, err := l.AcceptTCP()
		if err != nil {
			return
		}
		go func() {
			defer func() { <-slots }()
			s.visit(conn)
		}()
	}
}

// visit carries one connection, each direction until its own end.
func (s *Server) visit(conn *net.TCPConn) {
	defer conn.Close()
	stream, err := s.session.OpenStream()
	if err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		deliver(conn, stream)
	}()
	// Who breaks off is answered as who has finished: the stream knows only one
	// end, and the host ends its own side then.
	_, _ = io.Copy(stream, conn)
	_ = stream.Close()
	<-back
}

// deliver copies what the host answers. A process that does not want it any more
// must not make the host wait, so the rest is dropped.
func deliver(conn *net.TCPConn, stream *yamux.Stream) {
	if _, err := io.Copy(conn, stream); err != nil {
		_ = conn.Close()
		_, _ = io.Copy(io.Discard, stream)
		return
	}
	_ = conn.CloseWrite()
}
