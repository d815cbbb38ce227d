package workspace

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// apply writes the changes: what stands in the way goes first, then folders
// from the top down, then files and links, and deletions last. Every name is
// replaced as a whole; nothing is written in place.
func (c *Changes) apply(t *target, todo []proofbox.Change) error {
	var clear, folders, files, gone []proofbox.Change
	for _, x := range todo {
		switch {
		case x.After.Kind == proofbox.Absent && underSwap(todo, x):
			clear = append(clear, x)
		case x.After.Kind == proofbox.Absent:
			gone = append(gone, x)
		case x.After.Kind == proofbox.Folder:
			folders = append(folders, x)
		default:
			files = append(files, x)
		}
	}
	slices.SortFunc(folders, byPath)
	slices.SortFunc(clear, func(a, b proofbox.Change) int { return byPath(b, a) })
	slices.SortFunc(gone, func(a, b proofbox.Change) int { return byPath(b, a) })
	for _, step := range []struct {
		list  []proofbox.Change
		apply func(*target, proofbox.Change) error
	}{{clear, remove}, {folders, makeFolder}, {files, c.replace}, {gone, remove}} {
		for _, x := range step.list {
			if err := step.apply(t, x); err != nil {
				return fmt.Errorf("keeping %q: %w", x.Path, explain(err))
			}
		}
	}
	return nil
}

func byPath(a, b proofbox.Change) int { return strings.Compare(string(a.Path), string(b.Path)) }

// underSwap says whether a deleted path lies in a folder that becomes something
// else: it must go before that.
func underSwap(todo []proofbox.Change, x proofbox.Change) bool {
	return slices.ContainsFunc(todo, func(c proofbox.Change) bool {
		return c.Before.Kind == proofbox.Folder && c.After.Kind != proofbox.Folder && c.After.Kind != proofbox.Absent &&
			within(string(x.Path), string(c.Path))
	})
}

// remove removes a path.
func remove(t *target, c proofbox.Change) error {
	dir, base, err := t.parent(string(c.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	flags := 0
	if c.Before.Kind == proofbox.Folder {
		flags = unix.AT_REMOVEDIR
	}
	return unix.Unlinkat(int(dir.Fd()), base, flags)
}

// makeFolder makes a folder or gives it its mode.
func makeFolder(t *target, c proofbox.Change) error {
	if c.Before.Kind != proofbox.Absent && c.Before.Kind != proofbox.Folder {
		if err := remove(t, c); err != nil {
			return err
		}
	}
	if err := t.ensure(string(c.Path)); err != nil {
		return err
	}
	fd, err := t.open(string(c.Path), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchmod(fd, uint32(c.After.Mode.Perm()))
}

// ensure makes a folder and those above it where they are missing, for the
// owner of the nearest one that exists.
func (t *target) ensure(p string) error {
	if p == "." {
		return nil
	}
	if fd, err := t.open(p, unix.O_PATH|unix.O_DIRECTORY); err == nil {
		return unix.Close(fd)
	} else if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := t.ensure(path.Dir(p)); err != nil {
		return err
	}
	dir, base, err := t.parent(p)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Mkdirat(int(dir.Fd()), base, 0o755); err != nil {
		return err
	}
	return give(dir, base, nil)
}

// give makes a new name belong to whom the old one did, or to the owner of its
// folder. Only root can give, and only root's runs need it.
func give(dir *os.File, base string, old *unix.Stat_t) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner := old
	if owner == nil {
		owner = &unix.Stat_t{}
		if err := unix.Fstat(int(dir.Fd()), owner); err != nil {
			return err
		}
	}
	return unix.Fchownat(int(dir.Fd()), base, int(owner.Uid), int(owner.Gid), unix.AT_SYMLINK_NOFOLLOW)
}

// replace puts a file or link in its place under a name of its own first.
func (c *Changes) replace(t *target, x proofbox.Change) error {
	if err := t.ensure(path.Dir(string(x.Path))); err != nil {
		return err
	}
	dir, base, err := t.parent(string(x.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	temp := ".proofbox-" + rand.Text()
	if err := c.create(dir, temp, x.After); err != nil {
		return errors.Join(err, tidy(dir, temp))
	}
	if err := settle(dir, temp, base, x); err != nil {
		return errors.Join(err, tidy(dir, temp))
	}
	return nil
}

// tidy removes a temporary name that may not have been made.
func tidy(dir *os.File, temp string) error {
	if err := unix.Unlinkat(int(dir.Fd()), temp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// settle gives the temporary name the owner of the old one and puts it in its
// place.
func settle(dir *os.File, temp, base string, x proofbox.Change) error {
	var st unix.Stat_t
	old := &st
	if err := unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		old = nil
	}
	if err := give(dir, temp, old); err != nil {
		return err
	}
	if x.After.Kind == proofbox.File { // chown takes bits away, so the mode comes after
		if err := unix.Fchmodat(int(dir.Fd()), temp, uint32(x.After.Mode.Perm()), 0); err != nil {
			return err
		}
	}
	if x.Before.Kind == proofbox.Folder {
		if err := unix.Unlinkat(int(dir.Fd()), base, unix.AT_REMOVEDIR); err != nil {
			return err
		}
	}
	if err := unix.Renameat(int(dir.Fd()), temp, int(dir.Fd()), base); err != nil {
		return err
	}
	return dir.Sync()
}

// create makes a new file with a stored file's bytes, or a new link. The bytes
// are verified once more: what is applied is what was shown.
func (c *Changes) create(dir *os.File, name string, e proofbox.Entry) error {
	if e.Kind == proofbox.Symlink {
		return unix.Symlinkat(string(e.Target), int(dir.Fd()), name)
	}
	blob, err := c.blob(e.Digest)
	if err != nil {
		return err
	}
	in, err := os.Open(blob)
	if err != nil {
		return err
	}
	defer in.Close()
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), name)
	defer out.Close()
	if err := copySparse(out, in, e.Size); err != nil {
		return err
	}
	digest, err := digestOf(out, e.Size)
	if err != nil {
		return err
	}
	if digest != e.Digest {
		return fmt.Errorf("the stored bytes have the digest %s, not %s: the change store was altered", digest, e.Digest)
	}
	return out.Sync()
}
