// Package tree reads the files of a data set: all that lies beneath its folder,
// by name, following no link and waiting for nothing. A file that changes while
// it is read is told from one that does not.
package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Entry is something in a data set that is no folder.
type Entry struct {
	// Name is the path beneath the set; empty where the set is a file.
	Name string
	// Problem says why it cannot be read; empty where it is a file.
	Problem string

	root *os.Root
	at   string
}

// Walk visits the entries of a data set in the order of their names. It ends
// with the first error of a visit.
func Walk(ctx context.Context, path string, visit func(Entry) error) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("looking at the data set: %w", err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("the data set %q is a symbolic link; name what it leads to", path)
	}
	dir, name := path, "."
	if !info.IsDir() {
		dir, name = filepath.Split(path)
	}
	root, err := os.OpenRoot(filepath.Clean(dir))
	if err != nil {
		return fmt.Errorf("opening the data set: %w", err)
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), name, func(at string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e := Entry{Name: at, root: root, at: at}
		if at == name {
			e.Name = ""
		}
		switch {
		case err != nil:
			e.Problem = fmt.Sprintf("it cannot be read: %v", err)
		case d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			e.Problem = "it is a symbolic link; put a copy of what it leads to in its place"
		case !d.Type().IsRegular():
			e.Problem = "it is no file; take it out of the set"
		}
		return visit(e)
	})
}

// Stat describes it, and not what a link leads to.
func (e Entry) Stat() (fs.FileInfo, error) { return e.root.Lstat(e.at) }

// errChanged says that what was read is not what is there.
var errChanged = errors.New("it changed while it was read; let whatever writes it end first")

// Read opens the file, has it read, and checks that it did not change
// meanwhile. The size is in bytes.
func (e Entry) Read(read func(f *os.File, size int64) error) error {
	f, err := e.root.OpenFile(e.at, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("it cannot be opened: %w", err)
	}
	defer f.Close()
	before, err := stat(f)
	if err != nil {
		return err
	}
	if before.Mode&unix.S_IFMT != unix.S_IFREG {
		return errChanged // it was a file a moment ago
	}
	if err := read(f, before.Size); err != nil {
		return err
	}
	after, err := stat(f)
	if err != nil {
		return err
	}
	if after.Size != before.Size || after.Mtim != before.Mtim || after.Ctim != before.Ctim {
		return errChanged
	}
	return nil
}

func stat(f *os.File) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return st, fmt.Errorf("looking at it: %w", err)
	}
	return st, nil
}
