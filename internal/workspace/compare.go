package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"proofbox"
)

// leaf compares a file, link or special file.
func (k *collector) leaf(l *level, name, full string, st *unix.Stat_t, before *entry) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		f, err := openUpper(l.fd, name, st)
		if err != nil {
			return fmt.Errorf("reading %q: %w", full, err)
		}
		defer f.Close()
		return k.file(f, full, st, before)
	case unix.S_IFLNK:
		target, err := readLink(l.fd, name)
		if err != nil {
			return fmt.Errorf("reading the link %q: %w", full, err)
		}
		k.paths -= len(target)
		return k.other(full, proofbox.Entry{Kind: proofbox.Symlink, Target: proofbox.Raw(target)}, before)
	}
	if before != nil && before.mode == st.Mode {
		return nil // copied up; the box can make no devices that it could be instead
	}
	return k.other(full, proofbox.Entry{Kind: proofbox.Special, Mode: permission(st.Mode)}, before)
}

// other lists what a path has become that is no regular file.
func (k *collector) other(full string, after proofbox.Entry, before *entry) (err error) {
	change := proofbox.Change{Path: proofbox.Raw(full), Before: proofbox.Entry{Kind: proofbox.Absent}, After: after}
	if before != nil {
		if change.Before, err = k.before(before, &change); err != nil {
			return err
		}
	}
	if change.Before == change.After && after.Kind != proofbox.Special {
		return nil
	}
	return k.add(change)
}

// file lists what the box has made of a regular file, unless that is what it
// was.
func (k *collector) file(f *os.File, full string, st *unix.Stat_t, before *entry) (err error) {
	if _, ok := attribute(int(f.Fd()), attrMetacopy); ok {
		return fmt.Errorf("the file %q is marked as a stub, which the overlay was told not to make", full)
	}
	notes, err := k.noteAttributes(f, before)
	if err != nil {
		return fmt.Errorf("reading the attributes of %q: %w", full, err)
	}
	if before != nil && permission(before.mode) == permission(st.Mode) {
		equal, err := k.copiedUp(f, st, before)
		if equal && len(notes) > 0 {
			k.marked = append(k.marked, full)
		}
		if equal || err != nil {
			return err
		}
	}
	if st.Nlink > 1 {
		name := inode{st.Dev, st.Ino}
		k.links[name] = append(k.links[name], full)
	}
	change := proofbox.Change{
		Path: proofbox.Raw(full), Before: proofbox.Entry{Kind: proofbox.Absent},
		After: proofbox.Entry{Kind: proofbox.File, Mode: permission(st.Mode), Size: st.Size}, Notes: notes,
	}
	if change.After.Digest, err = k.store(f, st, &change); err != nil {
		return fmt.Errorf("storing %q: %w", full, err)
	}
	if before != nil {
		if change.Before, err = k.before(before, &change); err != nil {
			return err
		}
	}
	if change.Before == change.After && change.After.Digest != "" {
		return nil
	}
	return k.add(change)
}

// copiedUp says whether a file of the upper layer is the base's, byte for byte:
// the overlay copies files that are opened for writing, changed or not.
func (k *collector) copiedUp(f *os.File, st *unix.Stat_t, before *entry) (bool, error) {
	if before.kind() != unix.S_IFREG || before.size != st.Size {
		return false, nil
	}
	base, err := k.open(before)
	if errors.Is(err, unix.EACCES) {
		return false, nil
	}
	if base == nil || err != nil {
		return false, err
	}
	defer base.Close()
	if now, err := identity(base); err != nil || !now.same(before) {
		return false, err
	}
	equal, err := sameBytes(f, base, st.Size)
	if err != nil {
		return false, fmt.Errorf("comparing %q with its base: %w", before.path, err)
	}
	now, err := identity(base)
	return equal && now.same(before), err
}

// sameBytes compares two open files of a size. Bytes that neither stores are
// not read.
func sameBytes(f, g *os.File, size int64) (bool, error) {
	a, b := make([]byte, 256<<10), make([]byte, 256<<10)
	for at := int64(0); at < size; {
		skip, err := nextData(f, g, at, size)
		if err != nil {
			return false, err
		}
		if at = skip; at == size {
			break
		}
		n := int(min(size-at, int64(len(a))))
		_, err = f.ReadAt(a[:n], at)
		_, err2 := g.ReadAt(b[:n], at)
		if errors.Is(err, io.EOF) || errors.Is(err2, io.EOF) {
			return false, nil // one has been truncated
		}
		if err = errors.Join(err, err2); err != nil {
			return false, err
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return false, nil
		}
		at += int64(n)
	}
	return true, nil
}

// nextData is where the next byte is that either file stores, or the size.
func nextData(f, g *os.File, at, size int64) (int64, error) {
	next := size
	for _, h := range []*os.File{f, g} {
		data, err := unix.Seek(int(h.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			continue
		}
		if err != nil {
			return 0, err
		}
		next = min(next, data)
	}
	return next, nil
}

// store stores a file's bytes and gives their digest. What claims to be too
// large has none, and is refused.
func (k *collector) store(f *os.File, st *unix.Stat_t, change *proofbox.Change) (string, error) {
	claimed := holes(st)
	if claimed > k.holes {
		change.Large = true
		change.Refused = fmt.Sprintf("it claims to be %d bytes large, most of which are not there; such files are compared up to %d GiB together", st.Size, maxHoles>>30)
		return "", nil
	}
	k.holes -= claimed
	return k.changes.put(f, st.Size)
}

// open opens a file of the base; nil where it is not there, or not one, any
// more.
func (k *collector) open(e *entry) (*os.File, error) {
	if k.lower < 0 {
		return nil, nil
	}
	f, err := openFile(k.lower, e.path)
	switch {
	case vanished(err), errors.Is(err, unix.EXDEV), errors.Is(err, unix.ENXIO):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the base of %q: %w", e.path, err)
	}
	return f, nil
}

// before describes what a path was, and stores the bytes of a file. Where they
// are not those of the manifest any more there is no digest, and the change has
// drifted.
func (k *collector) before(e *entry, change *proofbox.Change) (proofbox.Entry, error) {
	switch e.kind() {
	case unix.S_IFDIR:
		return proofbox.Entry{Kind: proofbox.Folder, Mode: permission(e.mode)}, nil
	case unix.S_IFLNK:
		return proofbox.Entry{Kind: proofbox.Symlink, Target: proofbox.Raw(e.target)}, nil
	case unix.S_IFREG:
	default:
		return proofbox.Entry{Kind: proofbox.Special, Mode: permission(e.mode)}, nil
	}
	old := proofbox.Entry{Kind: proofbox.File, Mode: permission(e.mode), Size: e.size}
	f, err := k.open(e)
	if errors.Is(err, unix.EACCES) {
		change.Refused = "the original's bytes cannot be read, so nothing would be left of them"
		return old, nil
	}
	if err != nil {
		return old, err
	}
	if f == nil {
		change.Drifted = true
		return old, nil
	}
	defer f.Close()
	digest, moved, err := k.preimage(f, e, change)
	if err != nil {
		return old, fmt.Errorf("storing the base of %q: %w", e.path, err)
	}
	old.Digest, change.Drifted = digest, change.Drifted || moved
	return old, nil
}

// preimage stores the bytes of a file of the base, which must be what the
// manifest says before and after.
func (k *collector) preimage(f *os.File, e *entry, change *proofbox.Change) (digest string, moved bool, err error) {
	if err := unmoved(f, e); err != nil {
		return "", errors.Is(err, errMoved), ignoreMoved(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", false, err
	}
	digest, err = k.store(f, &st, change)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "", true, nil
	}
	if err != nil {
		return "", false, err
	}
	if err := unmoved(f, e); err != nil {
		return "", errors.Is(err, errMoved), ignoreMoved(err)
	}
	return digest, false, nil
}

func ignoreMoved(err error) error {
	if errors.Is(err, errMoved) {
		return nil
	}
	return err
}
