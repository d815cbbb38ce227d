// Package harvest takes in the changes that come out of a guest: the upper layer
// of its copy, as a tar. Whoever sends it may be hostile. Every entry is made by
// its last name alone, in a folder that was opened below the target and through
// no link, so that none is led out of it; and it is bounded how many there are,
// how large and how deep. What is not whole is an error.
package harvest

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// Bounds of what is taken in.
type Bounds struct {
	// Bytes is how much data there may be: what the guest's disk holds.
	Bytes int64
	// Entries is how many files, folders and links there may be. Further names
	// of a file, which cost the guest less than a file does, count too.
	Entries int
	// Owner gets everything that is made, where it is not negative. Only root
	// may ask for it: set-user-ID bits that come out are to be nobody's here.
	Owner int
}

// Bounds of paths. Trees that are deeper have to be made on purpose.
const (
	maxDepth  = 4096
	maxPath   = 64 << 10
	maxTarget = unix.PathMax - 1
)

// Unpack makes what the tar says in dir, which is empty and which nobody else
// can reach, and gives an error unless that was all and nothing else. After an
// error, what is in dir is of no use. The form is that of docs/formats/door.md,
// and what is made that of an overlay's upper layer with the option userxattr.
// Time is bounded by ctx, between entries, and by whoever reads for r.
func Unpack(ctx context.Context, dir *os.File, r io.Reader, b Bounds) (err error) {
	all := &bounded{from: r, left: allowance(b)}
	u := &unpacker{root: int(dir.Fd()), tar: tar.NewReader(all), bounds: b}
	defer func() { err = errors.Join(err, u.endPieces(), u.leaveAll()) }()
	if err := u.start(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		h, err := u.tar.Next()
		if errors.Is(err, io.EOF) {
			return u.finish(all)
		}
		if err != nil {
			return fmt.Errorf("reading the guest's changes: %w", err)
		}
		if err := u.entry(h); err != nil {
			return fmt.Errorf("taking in the guest's %q: %w", clipped(h.Name), err)
		}
	}
	return context.Cause(ctx)
}

// allowance is how many bytes the tar itself may have: headers without end are
// not entries.
func allowance(b Bounds) int64 {
	const header, pieces = 8 << 10, 4 // bytes of an entry's headers, and how much more those of small pieces may be than the data
	return pieces*b.Bytes + header*(int64(b.Entries)+1)
}

// bounded gives an error where there is more than there may be.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("it is larger than anything that the guest could have")
	}
	return n, err
}

// clipped shortens a path for a message.
func clipped(path string) string {
	const long = 200
	if len(path) > long {
		return path[:long] + "…"
	}
	return path
}

// unpacker is on its way through a tar.
type unpacker struct {
	root   int
	tar    *tar.Reader
	bounds Bounds
	way    []*folder // open folders down to the current one; the first is the root
	piece  *pieces   // the file with holes that the last entry was of
	later  []closed  // folders whose mode would have been in the way

	lateBytes int // of their paths
}

// finish takes the end of the tar, after which nothing may come.
func (u *unpacker) finish(r io.Reader) error {
	if err := u.endPieces(); err != nil {
		return err
	}
	n, err := io.CopyN(io.Discard, r, 1)
	if n > 0 {
		return errors.New("reading the guest's changes: something comes after their end")
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the guest's changes: %w", err)
	}
	if err := u.leaveAll(); err != nil {
		return err
	}
	return u.closeLate()
}

// entry makes one entry.
func (u *unpacker) entry(h *tar.Header) error {
	if err := known(h); err != nil {
		return err
	}
	path := h.Name
	if h.Typeflag == tar.TypeDir {
		path = strings.TrimSuffix(path, "/")
	}
	if u.piece != nil && u.piece.path == path && h.Typeflag == tar.TypeReg {
		return u.piece.add(h, u)
	}
	if err := u.endPieces(); err != nil {
		return err
	}
	if err := valid(path); err != nil {
		return err
	}
	if u.bounds.Entries--; u.bounds.Entries < 0 {
		return errors.New("there are more files than its disk holds")
	}
	parent, name, err := u.enter(path)
	if err != nil {
		return err
	}
	return u.make(h, parent, name, path)
}

// valid says whether a path is one below a root.
func valid(path string) error {
	if len(path) > maxPath || strings.Count(path, "/") >= maxDepth {
		return fmt.Errorf("it is nested deeper than %d folders or %d bytes", maxDepth, maxPath)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || len(part) > unix.NAME_MAX || strings.IndexByte(part, 0) >= 0 {
			return errors.New("it is no path below a folder")
		}
	}
	return nil
}

// known refuses what no guest of ours sends.
func known(h *tar.Header) error {
	for record := range h.PAXRecords {
		switch record {
		case "path", "linkpath", "size":
		case door.RecordOpaque:
			if h.Typeflag != tar.TypeDir {
				return fmt.Errorf("it has the record %q and is no folder", record)
			}
		case door.RecordSize, door.RecordOffset:
			if h.Typeflag != tar.TypeReg {
				return fmt.Errorf("it has the record %q and is no file", record)
			}
		case door.RecordSocket:
			if h.Typeflag != tar.TypeFifo {
				return fmt.Errorf("it has the record %q and is no FIFO", record)
			}
		default:
			return fmt.Errorf("it has the record %q", clipped(record))
		}
	}
	return nil
}
