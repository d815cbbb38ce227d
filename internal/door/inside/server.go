// Package inside is the box's side of the door: what process 1 of a box does.
// It starts commands, carries their input and output, reads and writes files,
// restricts itself and reaps what is left over. It holds no secret and enforces
// nothing that the host relies on but what it does before the first command,
// when nobody can have taken it over: whoever does later has what the box
// already had.
package inside

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/hashicorp/yamux"

	"proofbox/internal/door"
)

// Server answers the host.
type Server struct {
	reaper  *reaper
	session *yamux.Session

	mu        sync.Mutex
	last      int64              // guarded by mu
	processes map[int64]*process // running or not yet carried out, guarded by mu
}

// Serve answers requests on conn until it closes.
func Serve(conn io.ReadWriteCloser) error {
	session, err := yamux.Server(conn, door.Multiplexing())
	if err != nil {
		return errors.Join(fmt.Errorf("opening the door: %w", err), conn.Close())
	}
	makeThreads()
	s := &Server{reaper: startReaper(), session: session, processes: map[int64]*process{}}
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return fmt.Errorf("the door has closed: %w", err)
		}
		go s.answer(stream)
	}
}

// Dial opens the door's socket and serves it.
func Dial(path string) error {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return fmt.Errorf("coming to the door: %w", err)
	}
	return Serve(conn)
}

// answer serves one stream. A host that says nonsense gets its stream closed.
func (s *Server) answer(stream *yamux.Stream) {
	defer stream.Close()
	var r door.Request
	if err := door.ReadFrame(stream, door.MaxFrame, &r); err != nil {
		return
	}
	// The only fault that an answer can have is that the host has stopped
	// listening, which it does on purpose.
	switch r.Op {
	case door.OpHello:
		_ = door.WriteFrame(stream, door.Hello{Version: door.Version})
	case door.OpSetup:
		_ = door.WriteFrame(stream, s.setup(r.Setup))
	case door.OpStart:
		s.start(stream, r.Command)
	case door.OpStdin, door.OpStdout, door.OpStderr:
		s.carry(stream, r)
	case door.OpRead:
		readFile(stream, r.Path)
	case door.OpWrite:
		writeFile(stream, r.Path, r.Mode)
	}
}

func (s *Server) setup(setup *door.Setup) door.Applied {
	if setup == nil {
		return door.Applied{}
	}
	applied, err := apply(*setup)
	if err == nil && setup.Visits != "" {
		err = s.listen(setup.Visits)
	}
	if err != nil {
		return door.Applied{Error: err.Error()}
	}
	return applied
}

// apply restricts this process and all that it will start.
func apply(s door.Setup) (a door.Applied, err error) {
	if s.Landlock != nil {
		if a.LandlockABI, err = restrict(*s.Landlock); err != nil {
			return a, err
		}
	}
	if a.Threads, err = countThreads(); err != nil || s.Tasks == 0 {
		return a, err
	}
	return a, limitTasks(s.Tasks, a.Threads)
}

func (s *Server) enlist(p *process) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.processes[s.last] = p
	return s.last
}

func (s *Server) dismiss(number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.processes, number)
}

func (s *Server) process(number int64) *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.processes[number]
}
