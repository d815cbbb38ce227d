package box

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// doorListener waits for one connection out of a jail.
type doorListener struct {
	*net.UnixListener
	path string
}

// listen opens a socket in the run's directory: the door, or another way out of
// the jail. Only who can enter that directory, and the jail, can reach it.
func listen(dir, name string, note func(Object) error) (*doorListener, error) {
	path := filepath.Join(dir, name)
	if err := note(Object{Kind: Socket, Name: path}); err != nil {
		return nil, err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the run's directory: %w", err)
	}
	defer folder.Close()
	// A socket's address is at most 108 bytes; a path through the descriptor
	// always fits.
	short := fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), name)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: short})
	if err != nil {
		return nil, fmt.Errorf("opening the door's socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // the name ends with folder; teardown removes the socket
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the door to the box: %w", err), l.Close())
	}
	return &doorListener{l, path}, nil
}

// arrival is who came to the door.
type arrival struct {
	conn *net.UnixConn
	err  error
}

// await waits for process 1 at the door and says which process it is. It gives
// up when the jail or its program ends.
func (b *Box) await(ctx context.Context, l *doorListener) (net.Conn, int, error) {
	arrived := make(chan arrival, 1)
	go func() {
		conn, err := l.AcceptUnix()
		arrived <- arrival{conn, err}
	}()
	for {
		conn, pid, waiting, err := b.awaitOne(ctx, arrived)
		if !waiting {
			return conn, pid, err
		}
	}
}

// awaitOne waits for the next thing that happens. waiting says that it was not
// the last: the runtime has done its work, and process 1 is still to come.
func (b *Box) awaitOne(ctx context.Context, arrived <-chan arrival) (conn net.Conn, pid int, waiting bool, err error) {
	select {
	case a := <-arrived:
		if a.err != nil {
			return nil, 0, false, fmt.Errorf("waiting at the door: %w", a.err)
		}
		pid, err := b.peer(a.conn)
		if err != nil {
			return nil, 0, false, errors.Join(err, a.conn.Close())
		}
		return a.conn, pid, false, nil
	case status := <-b.jail.Status():
		if status == 0 {
			return nil, 0, true, nil
		}
		return nil, 0, false, fmt.Errorf("the wall's runtime ended with status %d before the box had started", status)
	case <-b.jail.Empty():
		return nil, 0, false, errors.Join(errors.New("the box's process 1 ended before it had come to the door"), b.jail.Fault())
	case <-b.jail.Gone():
		return nil, 0, false, errors.Join(errors.New("the jail ended before the box had started"), b.jail.Fault())
	case <-ctx.Done():
		return nil, 0, false, context.Cause(ctx)
	}
}

// peer gives the process at the other end of the door. It must be one of the
// jail's.
func (b *Box) peer(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("looking who is at the door: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return 0, fmt.Errorf("looking who is at the door: %w", err)
	}
	if _, err := jail.Family(b.jail.PID, int(cred.Pid)); err != nil {
		return 0, fmt.Errorf("looking who is at the door: %w", err)
	}
	return int(cred.Pid), nil
}
