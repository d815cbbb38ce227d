package inside

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// process is a command that runs.
type process struct {
	pid int
	tty *os.File // the terminal's other end, nil without one
	in  *os.File // nil where nothing is to be read

	all     []*output      // fixed once it runs
	carried sync.WaitGroup // one for each output, done when the host has it all

	mu      sync.Mutex
	outputs map[string]*output // by operation; taken out when carried, guarded by mu
}

// output is one stream of what the process writes.
type output struct{ from *os.File }

// start starts a command, hands on the host's signals and reports its end.
func (s *Server) start(stream *yamux.Stream, c *door.Command) {
	if c == nil {
		return
	}
	p, end, exit := s.launch(*c)
	if exit != nil {
		_ = door.WriteFrame(stream, door.Start{Exit: exit})
		return
	}
	number := s.enlist(p)
	defer s.dismiss(number)
	if err := door.WriteFrame(stream, door.Start{Process: number}); err != nil {
		_ = syscall.Kill(-p.pid, syscall.SIGKILL) // the host is gone
	}
	go p.obey(stream)
	status := <-end
	p.finish()
	_ = door.WriteFrame(stream, exitOf(status))
}

func exitOf(status syscall.WaitStatus) door.Exit {
	if status.Signaled() {
		return door.Exit{Code: 128 + int(status.Signal()), Signal: int(status.Signal())}
	}
	return door.Exit{Code: status.ExitStatus()}
}

// obey carries out what the host says to the process, until the stream closes.
func (p *process) obey(stream *yamux.Stream) {
	for {
		var c door.Control
		if err := door.ReadFrame(stream, door.MaxAnswer, &c); err != nil {
			return
		}
		if c.Signal > 0 && c.Signal <= 64 {
			_ = syscall.Kill(-p.pid, syscall.Signal(c.Signal)) // it may have ended
		}
		if c.Resize != nil && p.tty != nil {
			_ = setSize(p.tty, *c.Resize)
		}
	}
}

// carry connects a stream to one end of a process.
func (s *Server) carry(stream *yamux.Stream, r door.Request) {
	p := s.process(r.Process)
	if p == nil {
		return
	}
	if r.Op == door.OpStdin {
		p.feed(stream)
		return
	}
	p.mu.Lock()
	out := p.outputs[r.Op]
	delete(p.outputs, r.Op)
	p.mu.Unlock()
	if out == nil {
		return
	}
	defer p.carried.Done()
	out.drain(stream)
}

// feed copies the host's bytes to the process. The end of them closes a pipe;
// to a terminal it is no end.
func (p *process) feed(stream *yamux.Stream) {
	if p.in == nil {
		return
	}
	// The process may close its input, the host its stream: both just end it.
	_, _ = io.Copy(p.in, stream)
	if p.tty == nil {
		_ = p.in.Close()
	}
}

// drain copies what the process writes to the host: until every writer has
// closed it, or, after the process has ended, until what it had written is
// handed on; what it left running may hold it open for ever.
func (o *output) drain(to io.Writer) {
	defer o.from.Close()
	_, err := io.Copy(to, o.from)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	raw, err := o.from.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 64<<10)
	for {
		n := 0
		err := raw.Control(func(fd uintptr) { n, _ = syscall.Read(int(fd), buf) })
		if err != nil || n <= 0 {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// finish hands on what is left of the output after the process has ended. An
// output that the host has not asked for yet waits for it, as long as the door
// is open.
func (p *process) finish() {
	p.expire()
	p.carried.Wait()
	if p.in != nil {
		_ = p.in.Close()
	}
	if p.tty != nil {
		_ = p.tty.Close()
	}
}

func (p *process) expire() {
	for _, o := range p.all {
		// Wakes the copying; what is in the pipe is drained then.
		_ = o.from.SetReadDeadline(time.Unix(1, 0))
	}
}

// pipe makes a pipe whose read end is ours and can be waited for with a
// deadline, and whose write end is the process's.
func pipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "output"), os.NewFile(uintptr(fds[1]), "output"), nil
}
