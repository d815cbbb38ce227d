package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// eachExtent goes through a file's data and holes in order, up to a size. A file
// that turns out to be shorter is io.ErrUnexpectedEOF.
func eachExtent(f *os.File, size int64, each func(from, to int64, hole bool) error) error {
	fd := int(f.Fd())
	for at := int64(0); at < size; {
		data, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return lastHole(f, at, size, each)
		}
		if err != nil {
			return err
		}
		if data = min(data, size); data > at {
			if err := each(at, data, true); err != nil {
				return err
			}
		}
		end, err := unix.Seek(fd, data, unix.SEEK_HOLE)
		if err != nil && !errors.Is(err, unix.ENXIO) {
			return err
		}
		if end = min(end, size); end > data {
			if err := each(data, end, false); err != nil {
				return err
			}
		}
		if at = max(data, end); at < size && end <= data {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// lastHole takes a file's end for a hole, if it is one: a file that ends before
// has none there.
func lastHole(f *os.File, at, size int64, each func(from, to int64, hole bool) error) error {
	end, err := unix.Seek(int(f.Fd()), 0, io.SeekEnd)
	if err != nil {
		return err
	}
	if end < size {
		return io.ErrUnexpectedEOF
	}
	return each(at, size, true)
}

// holes is how much of a file is not stored, by what lstat(2) says of it.
func holes(st *unix.Stat_t) int64 { return max(0, st.Size-st.Blocks*512) }

// copyChunk is how much the kernel copies at once: at most this is lost to a
// file that is truncated meanwhile.
const copyChunk = 16 << 20

// copySparse copies a file of a size into an empty one, as a clone where the
// file system can, else without filling its holes.
func copySparse(out, in *os.File, size int64) error {
	if err := unix.IoctlFileClone(int(out.Fd()), int(in.Fd())); err == nil {
		return out.Truncate(size)
	}
	if err := out.Truncate(size); err != nil {
		return err
	}
	return eachExtent(in, size, func(from, to int64, hole bool) error {
		if hole {
			return nil
		}
		return copyRange(out, in, from, to)
	})
}

// copyRange has the kernel copy, and copies itself where the kernel cannot.
func copyRange(out, in *os.File, from, to int64) error {
	for at := from; at < to; {
		src, dst := at, at
		n, err := unix.CopyFileRange(int(in.Fd()), &src, int(out.Fd()), &dst, int(min(to-at, copyChunk)), 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO):
			return err
		case err != nil || n == 0: // between file systems, say
			return copyBytes(out, in, at, to)
		default:
			at += int64(n)
		}
	}
	return nil
}

func copyBytes(out, in *os.File, from, to int64) error {
	n, err := io.Copy(io.NewOffsetWriter(out, from), io.NewSectionReader(in, from, to-from))
	if err == nil && n < to-from {
		return io.ErrUnexpectedEOF
	}
	return err
}

// digestPrefix begins every digest.
const digestPrefix = "sha256:"

// smallFile is up to how many bytes a file is read at once: looking for holes takes
// longer than reading them.
const smallFile = 64 << 10

// readSmall reads such a file from its beginning.
func readSmall(f *os.File, size int64) ([]byte, error) {
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if n < len(data) && errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if n == len(data) {
		err = nil
	}
	return data, err
}

// digestOf hashes an open file from its beginning, and leaves holes unread.
func digestOf(f *os.File, size int64) (string, error) {
	if size <= smallFile {
		data, err := readSmall(f, size)
		return hashOf(string(data)), err
	}
	h := sha256.New()
	err := eachExtent(f, size, func(from, to int64, hole bool) error {
		if hole {
			writeZeros(h, to-from)
			return nil
		}
		n, err := io.Copy(h, io.NewSectionReader(f, from, to-from))
		if err == nil && n < to-from {
			return io.ErrUnexpectedEOF
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return digestPrefix + hex.EncodeToString(h.Sum(nil)), nil
}

var zeros [64 << 10]byte

// writeZeros hashes a hole; a hash takes everything.
func writeZeros(h io.Writer, n int64) {
	for n > 0 {
		part := min(n, int64(len(zeros)))
		h.Write(zeros[:part])
		n -= part
	}
}
