package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// errMoved says that the original changed while it was frozen.
var errMoved = errors.New("it changed meanwhile")

// copyTree makes a copy of the tree that a manifest lists. The identities in
// the manifest become those of the copy, so that they can be compared with it.
// An original that does not stand still is errMoved.
func copyTree(ctx context.Context, m *manifest, from, to string, reflink bool) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return fmt.Errorf("making the copy's folder: %w", explain(err))
	}
	src, err := openRoot(from)
	if err != nil {
		return fmt.Errorf("opening the workspace: %w", err)
	}
	defer unix.Close(src)
	dst, err := openRoot(to)
	if err != nil {
		return fmt.Errorf("opening the copy: %w", err)
	}
	defer unix.Close(dst)
	c := copier{src: src, dst: dst, reflink: reflink}
	for i := range m.entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := c.copy(&m.entries[i]); err != nil {
			return fmt.Errorf("copying %q: %w", m.entries[i].path, explain(err))
		}
	}
	return c.finish(m)
}

// explain gives an error its next step.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w; the original is untouched; make room where PROOFBOX_HOME is and run it again", err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w; make it readable, or hide it from the box", err)
	}
	return err
}

type copier struct {
	src, dst int // descriptors of the trees' folders
	reflink  bool
}

// in calls with the copy's folder that holds a path.
func (c *copier) in(p string, call func(dirfd int, name string) error) error {
	dir, name := splitPath(p)
	fd, err := openBeneath(c.dst, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	return errors.Join(call(fd, name), unix.Close(fd))
}

func (c *copier) copy(e *entry) error {
	return c.in(e.path, func(dirfd int, name string) error {
		switch e.kind() {
		case unix.S_IFDIR:
			return unix.Mkdirat(dirfd, name, 0o700)
		case unix.S_IFLNK:
			return unix.Symlinkat(e.target, dirfd, name)
		}
		return c.file(e, dirfd, name)
	})
}

// file copies a file that is still what the manifest says, before and after.
func (c *copier) file(e *entry, dirfd int, name string) error {
	in, err := openFile(c.src, e.path)
	if vanished(err) {
		return errMoved
	}
	if err != nil {
		return err
	}
	defer in.Close()
	if err := unmoved(in, e); err != nil {
		return err
	}
	fd, err := unix.Openat(dirfd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), name)
	defer out.Close()
	if c.reflink {
		err = unix.IoctlFileClone(fd, int(in.Fd()))
	} else {
		err = copySparse(out, in, e.size)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errMoved
	}
	if err != nil {
		return err
	}
	return errors.Join(unmoved(in, e), unix.Fchmod(fd, e.mode&0o7777))
}

// unmoved says whether an open file is still what an entry has of it.
func unmoved(f *os.File, e *entry) error {
	now, err := identity(f)
	if err == nil && !now.same(e) {
		return errMoved
	}
	return err
}

// finish gives folders their modes, which may forbid writing to them, and takes
// the identities of the copies. Modification times are the original's, because
// build tools compare them.
func (c *copier) finish(m *manifest) error {
	for i := len(m.entries) - 1; i >= 0; i-- {
		e := &m.entries[i]
		if err := c.in(e.path, func(dirfd int, name string) error { return e.settle(dirfd, name) }); err != nil {
			return fmt.Errorf("finishing the copy of %q: %w", e.path, err)
		}
	}
	return nil
}

func (e *entry) settle(dirfd int, name string) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(e.mtime)}
	if err := unix.UtimesNanoAt(dirfd, name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if e.kind() == unix.S_IFDIR {
		if err := chmodAt(dirfd, name, e.mode); err != nil {
			return err
		}
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	e.mode, e.ino, e.nlink = st.Mode, st.Ino, st.Nlink
	e.mtime, e.ctime = st.Mtim.Nano(), st.Ctim.Nano()
	return nil
}

// identity is an open file's entry, without a path.
func identity(f *os.File) (entry, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return entry{}, err
	}
	return entry{
		mode: st.Mode, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), ino: st.Ino, nlink: st.Nlink,
	}, nil
}
