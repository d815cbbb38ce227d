package harvest

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// folder is one on the way down to the current one.
type folder struct {
	fd       int // -1 where it is closed for a while
	path     string
	dev, ino uint64
	mode     uint32 // to be set on leaving
}

// closed is a folder that its owner may not enter, and which is to become one
// when nothing is made in it any more.
type closed struct {
	path string
	mode uint32
}

// maxOpen bounds how many folders of a deep tree are open at once.
const maxOpen = 64

// maxLate bounds the bytes of paths of closed folders.
const maxLate = 16 << 20

// beneath resolves names so that they lead nowhere else; see openat2(2).
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS

func open(at int, name string, flags uint64) (int, error) {
	return unix.Openat2(at, name, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: beneath})
}

// start enters the root.
func (u *unpacker) start() error {
	return u.push(u.root, ".", "", 0)
}

// push enters a folder of the current one.
func (u *unpacker) push(at int, name, path string, mode uint32) error {
	fd, err := open(at, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("opening it: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	u.way = append(u.way, &folder{fd: fd, path: path, dev: st.Dev, ino: st.Ino, mode: mode})
	if above := len(u.way) - 1 - maxOpen; above > 0 {
		return u.way[above].close()
	}
	return nil
}

// enter gives the open folder that a path is in, and the path's last name. It
// leaves the folders that the tar is done with: what is in a folder comes
// before what comes after it.
func (u *unpacker) enter(path string) (parent int, name string, err error) {
	dir, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i], path[i+1:]
	}
	for u.top().path != dir {
		if len(u.way) == 1 {
			return -1, "", errors.New("it does not come after the folder that it is in")
		}
		if err := u.leave(); err != nil {
			return -1, "", err
		}
	}
	return u.top().fd, name, nil
}

func (u *unpacker) top() *folder { return u.way[len(u.way)-1] }

// leave leaves the current folder for the one that it is in, and gives it its
// mode.
func (u *unpacker) leave() error {
	f := u.top()
	if len(u.way) > 1 {
		if err := u.way[len(u.way)-2].reopen(f.fd); err != nil {
			return err
		}
		if err := u.settle(f); err != nil {
			return err
		}
	}
	u.way = u.way[:len(u.way)-1]
	return f.close()
}

// settle gives a folder its mode, at once where that cannot be in the way.
func (u *unpacker) settle(f *folder) error {
	if f.mode&0o700 == 0o700 {
		return unix.Fchmod(f.fd, f.mode)
	}
	u.later = append(u.later, closed{f.path, f.mode})
	if u.lateBytes += len(f.path); u.lateBytes > maxLate {
		return fmt.Errorf("there are more than %d MiB of folders that their owner may not enter", maxLate>>20)
	}
	return nil
}

// closeLate gives the closed folders their modes, those inside first.
func (u *unpacker) closeLate() error {
	for _, c := range u.later {
		fd, err := u.resolve(c.path, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return fmt.Errorf("opening %q again: %w", clipped(c.path), err)
		}
		if err := errors.Join(unix.Fchmod(fd, c.mode), unix.Close(fd)); err != nil {
			return err
		}
	}
	return nil
}

// leaveAll closes every folder. It may be called again.
func (u *unpacker) leaveAll() (err error) {
	for len(u.way) > 0 && err == nil {
		err = u.leave()
	}
	for _, f := range u.way {
		err = errors.Join(err, f.close())
	}
	u.way = nil
	return err
}

func (f *folder) close() error {
	if f.fd < 0 {
		return nil
	}
	fd := f.fd
	f.fd = -1
	return unix.Close(fd)
}

// reopen opens a folder again from one in it; nobody but this process moves
// them.
func (f *folder) reopen(child int) error {
	if f.fd >= 0 {
		return nil
	}
	fd, err := unix.Openat(child, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	if st.Dev != f.dev || st.Ino != f.ino {
		return errors.Join(fmt.Errorf("the folder %q was moved", clipped(f.path)), unix.Close(fd))
	}
	f.fd = fd
	return nil
}

// resolve opens a path of any length below the root.
func (u *unpacker) resolve(path string, flags uint64) (int, error) {
	const step = unix.PathMax - 256
	at := u.root
	for len(path) > step {
		cut := strings.LastIndexByte(path[:step], '/')
		next, err := open(at, path[:cut], unix.O_PATH|unix.O_DIRECTORY)
		if at != u.root {
			err = errors.Join(err, unix.Close(at))
		}
		if err != nil {
			return -1, err
		}
		at, path = next, path[cut+1:]
	}
	fd, err := open(at, path, flags)
	if at != u.root {
		err = errors.Join(err, unix.Close(at))
	}
	return fd, err
}
