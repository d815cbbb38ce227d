package harvest

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// make makes an entry by its name in its folder. A name that is taken is
// refused by the kernel.
func (u *unpacker) make(h *tar.Header, parent int, name, path string) error {
	mode := uint32(h.Mode) & 0o7777
	if h.Size != 0 && h.Typeflag != tar.TypeReg {
		return fmt.Errorf("it has %d bytes and is no file", h.Size)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.folder(h, parent, name, path, mode)
	case tar.TypeReg:
		return u.file(h, parent, name, path, mode)
	case tar.TypeLink:
		return u.link(h.Linkname, parent, name)
	case tar.TypeSymlink:
		if len(h.Linkname) > maxTarget {
			return errors.New("it is a link to a longer path than there can be")
		}
		if err := unix.Symlinkat(h.Linkname, parent, name); err != nil {
			return err
		}
		return u.give(parent, name)
	case tar.TypeFifo:
		kind := uint32(unix.S_IFIFO)
		if h.PAXRecords[door.RecordSocket] != "" {
			kind = unix.S_IFSOCK
		}
		return u.node(parent, name, kind, mode)
	case tar.TypeChar:
		if h.Devmajor != 0 || h.Devminor != 0 {
			return fmt.Errorf("it is the device %d/%d", h.Devmajor, h.Devminor)
		}
		return u.whiteout(parent, name)
	}
	return fmt.Errorf("it is of the kind %q", h.Typeflag)
}

// give gives what a name is to the owner.
func (u *unpacker) give(parent int, name string) error {
	if u.bounds.Owner < 0 {
		return nil
	}
	return unix.Fchownat(parent, name, u.bounds.Owner, u.bounds.Owner, unix.AT_SYMLINK_NOFOLLOW)
}

func (u *unpacker) node(parent int, name string, kind, mode uint32) error {
	if err := unix.Mknodat(parent, name, kind|0o600, 0); err != nil {
		return err
	}
	if err := u.give(parent, name); err != nil {
		return err
	}
	return unix.Fchmodat(parent, name, mode, 0) // what was just made is no link
}

// whiteout makes what the overlay says "not there any more" with, which needs no
// privilege since Linux 5.8.
func (u *unpacker) whiteout(parent int, name string) error {
	if err := unix.Mknodat(parent, name, unix.S_IFCHR, 0); err != nil {
		return err
	}
	return u.give(parent, name)
}

// folder makes a folder and enters it. Its mode comes when it is left.
func (u *unpacker) folder(h *tar.Header, parent int, name, path string, mode uint32) error {
	if err := unix.Mkdirat(parent, name, 0o700); err != nil {
		return err
	}
	if err := u.give(parent, name); err != nil {
		return err
	}
	if err := u.push(parent, name, path, mode); err != nil {
		return err
	}
	mark, ok := h.PAXRecords[door.RecordOpaque]
	if !ok {
		return nil
	}
	if mark != "y" {
		return fmt.Errorf("it is marked as opaque with %q", clipped(mark))
	}
	if err := unix.Fsetxattr(u.top().fd, door.AttrOpaque, []byte(mark), unix.XATTR_CREATE); err != nil {
		return fmt.Errorf("marking it as opaque: %w", err)
	}
	return nil
}

// file makes a file, or begins one that comes in pieces.
func (u *unpacker) file(h *tar.Header, parent int, name, path string, mode uint32) error {
	fd, err := unix.Openat(parent, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "file")
	u.piece = &pieces{path: path, file: f, mode: mode}
	if u.bounds.Owner >= 0 {
		if err := f.Chown(u.bounds.Owner, u.bounds.Owner); err != nil {
			return err
		}
	}
	if err := u.piece.begin(h); err != nil {
		return err
	}
	return u.piece.add(h, u)
}

// pieces is a file that is being written.
type pieces struct {
	path  string
	file  *os.File
	mode  uint32
	whole int64 // its size with holes, -1 where it comes at once
	at    int64 // where the last piece ended
}

// begin takes the size of a file.
func (p *pieces) begin(h *tar.Header) error {
	p.whole = -1
	text, ok := h.PAXRecords[door.RecordSize]
	if !ok {
		return nil
	}
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || size < 0 {
		return fmt.Errorf("it claims to have a size of %q", clipped(text))
	}
	p.whole = size
	return p.file.Truncate(size)
}

// add writes a piece, which comes after the one before.
func (p *pieces) add(h *tar.Header, u *unpacker) error {
	from := int64(0)
	text, holes := h.PAXRecords[door.RecordOffset]
	if holes != (p.whole >= 0) || !holes && p.at > 0 {
		return errors.New("it comes twice, or is a piece and says not of what")
	}
	if holes {
		var err error
		if from, err = strconv.ParseInt(text, 10, 64); err != nil || from < p.at || h.Size > p.whole || from > p.whole-h.Size {
			return fmt.Errorf("it has a piece at %q of %d bytes", clipped(text), h.Size)
		}
	}
	if u.bounds.Bytes -= h.Size; u.bounds.Bytes < 0 {
		return errors.New("there are more bytes than its disk holds")
	}
	n, err := io.Copy(io.NewOffsetWriter(p.file, from), u.tar)
	if err == nil && n != h.Size {
		err = io.ErrUnexpectedEOF
	}
	p.at = from + n
	return err
}

// endPieces ends the file that was being written, and gives it its mode.
func (u *unpacker) endPieces() error {
	p := u.piece
	if p == nil {
		return nil
	}
	u.piece = nil
	return errors.Join(unix.Fchmod(int(p.file.Fd()), p.mode), p.file.Close())
}

// link makes a further name of a file that has come before.
func (u *unpacker) link(target string, parent int, name string) error {
	if err := valid(target); err != nil {
		return fmt.Errorf("it is a further name of %q: %w", clipped(target), err)
	}
	fd, err := u.resolve(target, unix.O_PATH)
	if err != nil {
		return fmt.Errorf("it is a further name of %q: %w", clipped(target), err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errors.New("which is no file")
	}
	if err == nil {
		err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), parent, name, unix.AT_SYMLINK_FOLLOW)
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("it is a further name of %q: %w", clipped(target), err)
	}
	return nil
}
