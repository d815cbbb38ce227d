package workspace

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// level is one folder of the upper layer on the way down to another.
type level struct {
	fd       int // -1 where it is closed for a while
	dev, ino uint64
	path     string
	names    []string // still to be compared, sorted
	fresh    bool     // it shows nothing of the base's folder
	marks    bool     // it may hold whiteouts of the second form
}

// maxFolders bounds how many folders of a deep tree are open at once.
const maxFolders = 128

// tree compares the upper layer, folder by folder. It keeps its way down in a
// slice and a bounded number of descriptors, so that neither the stack nor the
// process's limits say how deep a box may nest.
func (k *collector) tree(upper int) (err error) {
	var st unix.Stat_t
	if err := unix.Fstat(upper, &st); err != nil {
		return err
	}
	fd, err := unix.Openat(upper, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	way := []*level{{fd: fd, dev: st.Dev, ino: st.Ino, path: "."}}
	defer func() {
		for _, l := range way {
			err = errors.Join(err, l.close())
		}
	}()
	if err := k.enter(way[0]); err != nil {
		return err
	}
	for len(way) > 0 {
		next, err := k.step(way[len(way)-1])
		switch {
		case err != nil:
			return err
		case next != nil:
			way = append(way, next)
			if err := k.descend(way); err != nil {
				return err
			}
		default:
			if err := ascend(way); err != nil {
				return err
			}
			way = way[:len(way)-1]
		}
	}
	return nil
}

// step compares the names of a folder up to one that is a folder itself.
func (k *collector) step(l *level) (*level, error) {
	for len(l.names) > 0 {
		name := l.names[0]
		l.names = l.names[1:]
		if next, err := k.one(l, name); next != nil || err != nil {
			return next, err
		}
	}
	return nil, nil
}

// descend enters the last folder of the way and closes one far above it.
func (k *collector) descend(way []*level) error {
	if err := k.enter(way[len(way)-1]); err != nil {
		return err
	}
	if above := len(way) - 1 - maxFolders; above >= 0 {
		return way[above].close()
	}
	return nil
}

// ascend leaves the last folder of the way, and opens the one before again
// where it was closed. Nobody is left in the box who could have moved it.
func ascend(way []*level) error {
	last := way[len(way)-1]
	if len(way) > 1 {
		if err := way[len(way)-2].reopen(last.fd); err != nil {
			return err
		}
	}
	return last.close()
}

func (l *level) close() error {
	if l.fd < 0 {
		return nil
	}
	fd := l.fd
	l.fd = -1
	return unix.Close(fd)
}

// reopen opens a folder again from one in it.
func (l *level) reopen(child int) error {
	if l.fd >= 0 {
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
	if st.Dev != l.dev || st.Ino != l.ino {
		return errors.Join(fmt.Errorf("the folder %q was moved while it was read", l.path), unix.Close(fd))
	}
	l.fd = fd
	return nil
}

// ignoreEOF takes the end of a list for what it is.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
