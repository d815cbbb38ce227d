package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// BoxArg is the argument with which this program is the box's process 1.
const BoxArg = "box"

// boxSocket is the descriptor by which the box's process 1 is spoken to: first
// in the words of this file, then it is a door.
const boxSocket = 3

// word is what the two processes say to each other before the door is open:
// the box's, that its root is built and that it is confined; the kernel's, by
// which filter.
type word struct {
	Filter []byte `json:"filter,omitempty"`
	Error  string `json:"error,omitempty"`
}

// box is the box's process 1, as the kernel's has it.
type box struct {
	pid  int
	conn net.Conn
	gone chan struct{} // closed when it has ended, and all of its namespace with it
}

// startBox starts the box's process 1 in namespaces and in the group of its own,
// and waits until it has built its root. Only in a trial is there anything to
// leave out.
func startBox(g *group, weak door.Weak) (*box, error) {
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	dir, err := unix.Open(g.dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the box's group: %w", err)
	}
	defer unix.Close(dir)
	pid, err := syscall.ForkExec(Program, append([]string{"proofbox-init", BoxArg}, weakArgs(weak)...), &syscall.ProcAttr{
		Dir: "/", Files: []uintptr{0, 1, 2, theirs.Fd()},
		Sys: &syscall.SysProcAttr{
			Setsid: true, UseCgroupFD: true, CgroupFD: dir,
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("starting the box's process 1: %w", err)
	}
	b := &box{pid: pid, conn: ours, gone: make(chan struct{})}
	go b.wait()
	if err := b.hear(); err != nil {
		return nil, fmt.Errorf("building the box's root: %w", err)
	}
	return b, nil
}

// socketpair gives a connected pair, one end for a child.
func socketpair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a pair of sockets: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "box"), os.NewFile(uintptr(fds[1]), "machine")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}

// wait reaps the box's process 1. The kernel's has no other children: what a box
// leaves behind is its own process 1's, and ends with that.
func (b *box) wait() {
	defer close(b.gone)
	for {
		if _, err := syscall.Wait4(b.pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}

// hear awaits a word of the box's process 1.
func (b *box) hear() error {
	var w word
	if err := door.ReadFrame(b.conn, door.MaxAnswer, &w); err != nil {
		return err
	}
	if w.Error != "" {
		return errors.New(w.Error)
	}
	return nil
}

// confine gives the box's process 1 its filter. It serves the door then.
func (b *box) confine(filter []byte) error {
	if err := door.WriteFrame(b.conn, word{Filter: filter}); err != nil {
		return err
	}
	if err := b.hear(); err != nil {
		return fmt.Errorf("confining the box's process 1: %w", err)
	}
	return nil
}

// leave ends the box and lets go of it, where its door has not.
func (b *box) leave() error {
	if err := b.end(); err != nil {
		return err
	}
	if err := b.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("letting go of the box: %w", err)
	}
	return nil
}

// end kills every process of the box: the kernel ends a PID namespace with its
// process 1, and lets that one end last.
func (b *box) end() error {
	if err := unix.Kill(b.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("ending the box: %w", err)
	}
	<-b.gone
	return nil
}
