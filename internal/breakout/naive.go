package breakout

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// This file has the tool that trusts a box: what many a script does with a
// folder that something else has written.

// takeNaively copies what the box has written into the workspace on the host.
func (a *attempt) takeNaively() error {
	return a.inUpper(func(upper string) error { return copyNaively(upper, a.workspace) })
}

// inUpper does something in what the box has written to its workspace.
func (a *attempt) inUpper(do func(upper string) error) error {
	upper, err := a.box.Upper()
	if err != nil {
		return err
	}
	defer upper.Close()
	return do(fmt.Sprintf("/proc/self/fd/%d/.", upper.Fd()))
}

// copyNaively copies by name, through every link that leads to a file, whatever
// is there and with its mode.
func copyNaively(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil // it is gone meanwhile, or is not this user's
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch kind := d.Type(); {
		case kind.IsDir():
			return os.MkdirAll(target, 0o755)
		case kind&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice) != 0:
			return copyNode(path, target)
		case kind == fs.ModeSymlink && !leadsToFile(path):
			return copyLink(path, target)
		default:
			return copyThrough(path, target)
		}
	})
}

func leadsToFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func copyLink(path, target string) error {
	text, err := os.Readlink(path)
	if err == nil {
		err = os.Symlink(text, target)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // of an earlier attempt
	}
	return err
}

// copyNode makes a node of the same kind. One of character 0:0 is how an overlay
// says that something was removed.
func copyNode(path, target string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
		return os.RemoveAll(target)
	}
	err := unix.Mknod(target, st.Mode, int(st.Rdev))
	if err == unix.EEXIST {
		return nil
	}
	return err
}

func copyThrough(path, target string) error {
	src, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.Create(target)
	if errors.Is(err, unix.ETXTBSY) {
		return nil // the attack program itself
	}
	if err != nil {
		return err
	}
	defer dst.Close()
	// A plain writer, which does not look for holes.
	_, err = io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
	return errors.Join(err, dst.Chmod(info.Mode()), dst.Close())
}

// unpackNaively unpacks a file that is packed twice, to its end.
func unpackNaively(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		z, err = gzip.NewReader(z)
	}
	if err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, z)
}

// showNaively reads every file of a folder to show it, and says how much that is.
func showNaively(folder string) (all int64, err error) {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		text, readErr := os.ReadFile(filepath.Join(folder, e.Name()))
		err, all = errors.Join(err, readErr), all+int64(len(text))
	}
	return all, err
}
