package workspace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"proofbox"
)

// apply writes the changes: what stands in the way of something else goes first,
// then folders are made from the top down, then files and links, then the rest
// goes, and folders get their modes last, which may forbid all of that. Every
// name is replaced as a whole; nothing is written in place. It gives what it has
// applied, also with an error.
func (c *Changes) apply(ctx context.Context, t *target, todo []step) ([]proofbox.Change, error) {
	var applied []proofbox.Change
	for _, p := range c.phases(todo) {
		for _, s := range p.steps {
			err := ctx.Err()
			if err == nil {
				err = p.apply(t, s)
			}
			if err != nil {
				err = fmt.Errorf("keeping %q: %w; %d changes were kept before it, keep again to go on", s.change.Path, explainWrite(err), len(applied))
				return applied, errors.Join(err, unix.Syncfs(t.root))
			}
			if p.done {
				applied = append(applied, s.change)
			}
		}
	}
	return applied, unix.Syncfs(t.root)
}

func explainWrite(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w; make room where the original is", err)
	}
	return err
}

// phase is a part of a keep whose steps do not stand in each other's way.
type phase struct {
	steps []step
	apply func(*target, step) error
	done  bool // a step of it completes the change
}

// deepestFirst turns steps around that are sorted by path.
func deepestFirst(steps []step) []step {
	slices.Reverse(steps)
	return steps
}

// phases sorts the steps, whose order is that of their paths.
func (c *Changes) phases(todo []step) []phase {
	swapped := map[string]bool{}
	for _, s := range todo {
		if goes(s.change) && s.change.After.Kind != proofbox.Absent {
			swapped[string(s.change.Path)] = true
		}
	}
	var open, clear, made, files, gone, modes []step
	for _, s := range todo {
		if s.change.Before.Kind == proofbox.Folder {
			open = append(open, s)
		}
		switch {
		case s.change.After.Kind == proofbox.Absent && liesIn(string(s.change.Path), swapped):
			clear = append(clear, s)
		case s.change.After.Kind == proofbox.Absent:
			gone = append(gone, s)
		case s.change.After.Kind == proofbox.Folder:
			made = append(made, s)
			modes = append(modes, s)
		default:
			files = append(files, s)
		}
	}
	return []phase{
		{open, openUp, false},
		{deepestFirst(clear), remove, true},
		{made, makeFolder, false},
		{files, c.replace, true},
		{deepestFirst(gone), remove, true},
		{deepestFirst(modes), setMode, true},
	}
}

// errChanged says that the original is not any more what was checked.
var errChanged = errors.New("it has changed in the original just now")

// still looks once more whether a name is what was checked. Of a folder only the
// identity counts, because this keep itself changes what is in it.
func (s step) still(dir *os.File, base string) error {
	now, err := lookAt(int(dir.Fd()), base)
	switch {
	case err != nil:
		return err
	case now == nil && s.seen == nil:
		return nil
	case now == nil || s.seen == nil || now.ino != s.seen.ino || now.kind() != s.seen.kind():
		return errChanged
	case now.kind() != unix.S_IFDIR && !now.same(s.seen):
		return errChanged
	}
	return nil
}

// openUp gives the owner of a folder the rights that changing it needs.
func openUp(t *target, s step) error {
	if s.seen.mode&0o700 == 0o700 {
		return nil
	}
	dir, base, err := t.parent(string(s.change.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := s.still(dir, base); err != nil {
		return err
	}
	return chmodAt(int(dir.Fd()), base, s.seen.mode|0o700)
}

// remove removes a path.
func remove(t *target, s step) error {
	dir, base, err := t.parent(string(s.change.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := s.still(dir, base); err != nil {
		return err
	}
	return unlink(dir, base, s.change.Before)
}

func unlink(dir *os.File, base string, e proofbox.Entry) error {
	flags := 0
	if e.Kind == proofbox.Folder {
		flags = unix.AT_REMOVEDIR
	}
	return unix.Unlinkat(int(dir.Fd()), base, flags)
}

// makeFolder makes a folder that its owner may write to; setMode comes later.
func makeFolder(t *target, s step) error {
	if s.change.Before.Kind == proofbox.Folder {
		return nil
	}
	if s.change.Before.Kind != proofbox.Absent {
		if err := remove(t, s); err != nil {
			return err
		}
	}
	return t.ensure(string(s.change.Path))
}

// setMode gives a folder its mode.
func setMode(t *target, s step) error {
	dir, base, err := t.parent(string(s.change.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return chmodAt(int(dir.Fd()), base, statMode(granted(s.change)))
}

// ensure makes a folder and those above it where they are missing, for the
// owner of the nearest one that exists.
func (t *target) ensure(p string) error {
	if p == "." {
		return nil
	}
	if fd, err := openBeneath(t.root, p, unix.O_PATH|unix.O_DIRECTORY); err == nil {
		return unix.Close(fd)
	} else if !errors.Is(err, unix.ENOENT) {
		return err
	}
	above, _ := splitPath(p)
	if err := t.ensure(above); err != nil {
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
func (c *Changes) replace(t *target, s step) error {
	above, _ := splitPath(string(s.change.Path))
	if err := t.ensure(above); err != nil {
		return err
	}
	dir, base, err := t.parent(string(s.change.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	temp := ".proofbox-" + rand.Text()
	err = c.create(dir, temp, s.change.After)
	if err == nil {
		err = s.settle(dir, temp, base)
	}
	if err != nil {
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
func (s step) settle(dir *os.File, temp, base string) error {
	var st unix.Stat_t
	old := &st
	if err := unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		old = nil
	}
	if err := give(dir, temp, old); err != nil {
		return err
	}
	if s.change.After.Kind == proofbox.File { // chown takes bits away, so the mode comes after
		if err := chmodAt(int(dir.Fd()), temp, statMode(granted(s.change))); err != nil {
			return err
		}
	}
	if err := s.still(dir, base); err != nil {
		return err
	}
	flags := uint(0)
	switch s.change.Before.Kind {
	case proofbox.Absent:
		flags = unix.RENAME_NOREPLACE
	case proofbox.Folder:
		if err := unlink(dir, base, s.change.Before); err != nil {
			return err
		}
	}
	return rename(int(dir.Fd()), temp, base, flags)
}

// rename puts a name in another's place. A file system that cannot promise not
// to replace one has been asked just before whether there is one.
func rename(dirfd int, from, to string, flags uint) error {
	err := unix.Renameat2(dirfd, from, dirfd, to, flags)
	if flags != 0 && errors.Is(err, unix.EINVAL) {
		return unix.Renameat(dirfd, from, dirfd, to)
	}
	return err
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
	digest, err := fill(out, in, e.Size)
	if err != nil {
		return err
	}
	if digest != e.Digest {
		return fmt.Errorf("the stored bytes have the digest %s, not %s: the change store was altered", digest, e.Digest)
	}
	return out.Sync()
}
