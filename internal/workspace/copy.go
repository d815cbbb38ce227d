package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// copyTries bounds how often a file is copied that changes meanwhile.
const copyTries = 5

// copyTree makes a copy of the tree that a manifest lists. The identities in
// the manifest become those of the copy, so that they can be compared with it.
func copyTree(ctx context.Context, m *manifest, from, to string, reflink bool) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return fmt.Errorf("making the copy's folder: %w", err)
	}
	src, err := os.OpenRoot(from)
	if err != nil {
		return fmt.Errorf("opening the workspace: %w", err)
	}
	defer src.Close()
	dst, err := os.OpenRoot(to)
	if err != nil {
		return fmt.Errorf("opening the copy: %w", err)
	}
	defer dst.Close()
	c := copier{src: src, dst: dst, reflink: reflink}
	for i := range m.entries {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := c.copy(&m.entries[i]); err != nil {
			return fmt.Errorf("copying %q: %w", m.entries[i].path, explain(err))
		}
	}
	return c.finish(m)
}

// explain gives an error of writing its next step.
func explain(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w; the original is untouched, make room where PROOFBOX_HOME is", err)
	}
	return err
}

type copier struct {
	src, dst *os.Root
	reflink  bool
}

func (c *copier) copy(e *entry) error {
	switch e.kind() {
	case unix.S_IFDIR:
		return c.dst.Mkdir(e.path, 0o700)
	case unix.S_IFLNK:
		return c.dst.Symlink(e.target, e.path)
	}
	for range copyTries {
		stable, err := c.file(e)
		if err != nil || stable {
			return err
		}
		if err := c.dst.Remove(e.path); err != nil {
			return err
		}
	}
	return errors.New("it keeps changing; let whatever writes to it come to rest")
}

// file copies a file and says whether it stood still meanwhile.
func (c *copier) file(e *entry) (bool, error) {
	in, err := c.src.OpenFile(e.path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer in.Close()
	before, err := identity(in)
	if err != nil {
		return false, err
	}
	out, err := c.dst.OpenFile(e.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	defer out.Close()
	if c.reflink {
		err = unix.IoctlFileClone(int(out.Fd()), int(in.Fd()))
	} else {
		err = copySparse(out, in, before.size)
	}
	if err != nil {
		return false, err
	}
	after, err := identity(in)
	if err != nil {
		return false, err
	}
	e.size, e.mode = before.size, before.mode
	return before.same(&after), out.Chmod(permission(e.mode))
}

// finish gives folders their modes, which may forbid writing to them, and takes
// the identities of the copies. Times are the original's where a tool could
// look at them.
func (c *copier) finish(m *manifest) error {
	for i := len(m.entries) - 1; i >= 0; i-- {
		e := &m.entries[i]
		times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(e.mtime)}
		dir, base, err := openParent(c.dst, e.path)
		if err != nil {
			return fmt.Errorf("finishing the copy of %q: %w", e.path, err)
		}
		err = unix.UtimesNanoAt(int(dir.Fd()), base, times, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil && e.kind() == unix.S_IFDIR {
			err = c.dst.Chmod(e.path, permission(e.mode))
		}
		var st unix.Stat_t
		if err == nil {
			err = unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW)
		}
		if err = errors.Join(err, dir.Close()); err != nil {
			return fmt.Errorf("finishing the copy of %q: %w", e.path, err)
		}
		e.ino, e.ctime, e.nlink = st.Ino, st.Ctim.Nano(), st.Nlink
	}
	return nil
}

func openParent(root *os.Root, p string) (*os.File, string, error) {
	dir, err := root.Open(parentOf(p))
	return dir, path.Base(p), err
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

// copySparse copies a file of a size and leaves its holes holes.
func copySparse(out, in *os.File, size int64) error {
	if err := out.Truncate(size); err != nil {
		return err
	}
	return eachExtent(in, size, func(from, to int64, hole bool) error {
		if hole {
			return nil
		}
		_, err := io.Copy(io.NewOffsetWriter(out, from), io.NewSectionReader(in, from, to-from))
		return err
	})
}
