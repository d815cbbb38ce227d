package guest

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/yamux"

	"proofbox/internal/door"
)

// server answers the host: by itself what concerns the machine, through the
// box's process 1 everything else.
type server struct {
	*machine
	host *yamux.Session
	box  *yamux.Session // to the box's process 1
	once sync.Mutex     // held while the changes are given out
}

// serve answers the host until it goes.
func (m *machine) serve() error {
	host, err := yamux.Server(m.port, door.Multiplexing())
	if err != nil {
		return fmt.Errorf("opening the door: %w", err)
	}
	box, err := yamux.Client(m.box.conn, door.Multiplexing())
	if err != nil {
		return fmt.Errorf("opening the door to the box's process 1: %w", err)
	}
	s := &server{machine: m, host: host, box: box}
	go s.visits()
	for {
		stream, err := host.AcceptStream()
		if err != nil {
			return fmt.Errorf("the door has closed: %w", err)
		}
		go s.answer(stream)
	}
}

// answer serves one stream. A host that says nonsense gets its stream closed.
func (s *server) answer(stream *yamux.Stream) {
	defer stream.Close()
	var r door.Request
	if err := door.ReadFrame(stream, door.MaxFrame, &r); err != nil {
		return
	}
	// As in package inside, the host may stop listening to an answer.
	switch r.Op {
	case door.OpSetup:
		_ = door.WriteFrame(stream, s.setup(r))
	case door.OpUsage:
		_ = door.WriteFrame(stream, s.usage())
	case door.OpChanges:
		s.changes(stream)
	default:
		s.pass(stream, r)
	}
}

// setup has the box's process 1 restrict itself, after which it has all the
// threads that it will need, and holds the box to its number of tasks.
func (s *server) setup(r door.Request) (a door.Applied) {
	inner, err := s.begin(r)
	if err == nil {
		defer inner.Close()
		err = door.ReadFrame(inner, door.MaxAnswer, &a)
	}
	if err == nil && a.Error == "" {
		err = s.group.limitTasks(s.pids)
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

func (s *server) usage() door.Usage {
	u, err := s.group.usage()
	if err != nil {
		u.Error = err.Error()
	}
	return u
}

// begin hands a request to the box's process 1.
func (s *server) begin(r door.Request) (*yamux.Stream, error) {
	inner, err := s.box.OpenStream()
	if err != nil {
		return nil, fmt.Errorf("speaking to the box's process 1: %w", err)
	}
	if err := door.WriteFrame(inner, r); err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	return inner, nil
}

// pass joins a stream of the host's with one to the box's process 1, until both
// have said everything. Where one breaks, so does the other.
func (s *server) pass(stream *yamux.Stream, r door.Request) {
	inner, err := s.begin(r)
	if err != nil {
		return // closing the host's says it
	}
	joinBoth(stream, inner)
}

// visits hands to the host, one after the other, what the box's process 1
// opens, and ends when that has gone. The host takes no more of them than it
// wants; the others wait where they come from.
func (s *server) visits() {
	for {
		inner, err := s.box.AcceptStream()
		if err != nil {
			return
		}
		outer, err := s.host.OpenStream()
		if err != nil {
			_ = inner.Close() // the door has closed
			return
		}
		go joinBoth(outer, inner)
	}
}

// joinBoth joins two streams until both have said everything.
func joinBoth(a, b *yamux.Stream) {
	var both sync.WaitGroup
	both.Go(func() { join(a, b) })
	both.Go(func() { join(b, a) })
	both.Wait()
}

// join copies a stream to another, whose half it closes then. Either may end
// at any time, which is all that an error says; who still speaks to one that has
// gone is heard to the end, and not made to wait.
func join(to, from *yamux.Stream) {
	_, err := io.Copy(to, from)
	_ = to.Close()
	if err != nil {
		_, _ = io.Copy(io.Discard, from)
	}
}

// changes ends the box and gives out the upper layer of its copy.
func (s *server) changes(stream *yamux.Stream) {
	s.once.Lock()
	defer s.once.Unlock()
	answer := door.Changes{}
	if err := s.machine.box.end(); err != nil {
		answer.Error = err.Error()
	}
	if err := door.WriteFrame(stream, answer); err != nil || answer.Error != "" {
		return
	}
	err := door.WriteChunks(stream, func(w io.Writer) error { return Pack(w, upper) })
	if err != nil {
		fmt.Println("proofbox: giving out the changes:", err) // the host finds no end, and loses them
	}
}
