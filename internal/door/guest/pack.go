package guest

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// packer writes an upper layer as a tar, as docs/formats/door.md describes it.
// Nobody changes the layer meanwhile.
type packer struct {
	to    *tar.Writer
	links map[uint64]string // by inode, the first name of a file that has several
}

// Pack writes what is in a folder, an overlay's upper layer, as a tar: each
// folder before what is in it, and all of that before what comes after it.
func Pack(w io.Writer, dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %q: %w", dir, err)
	}
	p := &packer{to: tar.NewWriter(w), links: map[uint64]string{}}
	if err := p.folder(fd, ""); err != nil {
		return err
	}
	return p.to.Close()
}

// folder packs what is in an open folder, which it closes. prefix is its path
// with a slash after it.
func (p *packer) folder(fd int, prefix string) error {
	f := os.NewFile(uintptr(fd), prefix)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("reading the folder %q: %w", prefix, err)
	}
	for _, name := range names {
		if err := p.one(fd, name, prefix+name); err != nil {
			return fmt.Errorf("packing %q: %w", prefix+name, err)
		}
	}
	return nil
}

func (p *packer) one(dir int, name, path string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	h := &tar.Header{Name: path, Mode: int64(st.Mode &^ unix.S_IFMT)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return p.subfolder(dir, name, h)
	case unix.S_IFREG:
		return p.file(dir, name, h, &st)
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		target, err := readlink(dir, name)
		if err != nil {
			return err
		}
		h.Linkname = target
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFSOCK: // tar has no sockets
		h.Typeflag, h.PAXRecords = tar.TypeFifo, map[string]string{door.RecordSocket: "1"}
	case unix.S_IFCHR:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	default:
		return fmt.Errorf("it has the mode %o", st.Mode)
	}
	return p.to.WriteHeader(h)
}

func (p *packer) subfolder(dir int, name string, h *tar.Header) error {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	mark := make([]byte, 8)
	if n, err := unix.Fgetxattr(fd, door.AttrOpaque, mark); err == nil {
		h.PAXRecords = map[string]string{door.RecordOpaque: string(mark[:n])}
	} else if !errors.Is(err, unix.ENODATA) {
		return errors.Join(err, unix.Close(fd))
	}
	path := h.Name + "/"
	h.Typeflag, h.Name = tar.TypeDir, path
	if err := p.to.WriteHeader(h); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	return p.folder(fd, path)
}

func (p *packer) file(dir int, name string, h *tar.Header, st *unix.Stat_t) error {
	if first, ok := p.links[st.Ino]; ok {
		h.Typeflag, h.Linkname = tar.TypeLink, first
		return p.to.WriteHeader(h)
	}
	if st.Nlink > 1 {
		p.links[st.Ino] = h.Name
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	h.Typeflag = tar.TypeReg
	if st.Blocks*512 >= st.Size {
		return p.part(f, *h, 0, st.Size)
	}
	h.PAXRecords = map[string]string{door.RecordSize: strconv.FormatInt(st.Size, 10)}
	return p.sparse(f, *h, st.Size)
}

// sparse packs a file with holes: an entry for every piece of data, or an empty
// one where there is none.
func (p *packer) sparse(f *os.File, h tar.Header, size int64) error {
	pieces := 0
	for at := int64(0); ; pieces++ {
		from, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return err
		}
		to, err := unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := p.part(f, h, from, to-from); err != nil {
			return err
		}
		at = to
	}
	if pieces > 0 {
		return nil
	}
	return p.part(f, h, 0, 0)
}

// part packs n bytes of a file.
func (p *packer) part(f *os.File, h tar.Header, from, n int64) error {
	h.Size = n
	if h.PAXRecords != nil {
		h.PAXRecords[door.RecordOffset] = strconv.FormatInt(from, 10)
	}
	if err := p.to.WriteHeader(&h); err != nil {
		return err
	}
	copied, err := io.Copy(p.to, io.NewSectionReader(f, from, n))
	if err == nil && copied < n {
		return io.ErrUnexpectedEOF
	}
	return err
}

func readlink(dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}
