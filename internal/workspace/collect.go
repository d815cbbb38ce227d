package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// Bounds of what a box may leave.
const (
	maxChanges  = 2_000_000
	maxUpperDir = 4096 // depth of folders
)

// Collect computes in which bytes the box's copy differs from the base, and
// stores both sides in dir. upper is the overlay's upper layer, of a box whose
// processes have all ended. Nothing in it is followed or believed.
func (b *Base) Collect(ctx context.Context, upper *os.File, dir string) (*Changes, error) {
	c := &Changes{dir: dir, list: storedChanges{Version: 1, Changes: []proofbox.Change{}}}
	if err := os.MkdirAll(filepath.Join(dir, blobsDir), 0o700); err != nil {
		return nil, fmt.Errorf("making the change store: %w", err)
	}
	lower, err := os.OpenRoot(b.Lower)
	if err != nil {
		return nil, fmt.Errorf("opening the base: %w", err)
	}
	defer lower.Close()
	k := &collector{base: b.manifest, lower: lower, changes: c, ctx: ctx}
	if err := k.folder(int(upper.Fd()), ".", 0, false); err != nil {
		return nil, fmt.Errorf("collecting the changes: %w", err)
	}
	if err := b.drift(ctx, k); err != nil {
		return nil, err
	}
	slices.SortFunc(c.list.Changes, func(x, y proofbox.Change) int { return strings.Compare(string(x.Path), string(y.Path)) })
	return c, c.save()
}

// collector goes through an upper layer.
type collector struct {
	base    *manifest
	lower   *os.Root
	changes *Changes
	ctx     context.Context
}

// Attributes by which an overlay in a user namespace marks its upper layer.
const (
	attrOpaque   = "user.overlay.opaque"
	attrWhiteout = "user.overlay.whiteout"
	attrRedirect = "user.overlay.redirect"
	attrMetacopy = "user.overlay.metacopy"
)

// folder compares a folder of the upper layer with the base's. Where fresh is
// set the base's counts as empty, because a parent was made anew.
func (k *collector) folder(fd int, dir string, depth int, fresh bool) error {
	if depth > maxUpperDir {
		return fmt.Errorf("the box has nested folders more than %d deep", maxUpperDir)
	}
	if err := k.ctx.Err(); err != nil {
		return context.Cause(k.ctx)
	}
	if _, ok := attribute(fd, attrRedirect); ok {
		return fmt.Errorf("%q is marked as moved, which the overlay was told not to do", dir)
	}
	opaque := false
	if mark, ok := attribute(fd, attrOpaque); ok {
		opaque = mark == "y"
	}
	names, err := namesIn(fd)
	if err != nil {
		return fmt.Errorf("reading %q: %w", dir, err)
	}
	if opaque && !fresh {
		k.hidden(dir, names)
	}
	for _, name := range names {
		full := path.Join(dir, name)
		if err := k.one(fd, name, full, depth, fresh || opaque); err != nil {
			return err
		}
	}
	return nil
}

// hidden lists as deleted what an opaque folder hides of the base and does not
// hold itself.
func (k *collector) hidden(dir string, names []string) {
	held := map[string]bool{}
	for _, n := range names {
		held[path.Join(dir, n)] = true
	}
	for _, e := range k.base.below(dir) {
		top := e.path
		if parentOf(top) != dir {
			top = topBelow(dir, top)
		}
		if !held[top] {
			k.deleted(e)
		}
	}
}

// topBelow gives the path's ancestor that lies directly in dir.
func topBelow(dir, p string) string {
	rest := p
	if dir != "." {
		rest = strings.TrimPrefix(p, dir+"/")
	}
	first, _, _ := strings.Cut(rest, "/")
	return path.Join(dir, first)
}

// namesIn lists a folder by its descriptor.
func namesIn(fd int) ([]string, error) {
	own, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(own), "folder")
	defer f.Close()
	names, err := f.Readdirnames(maxChanges)
	if len(names) == maxChanges {
		return nil, fmt.Errorf("it holds more than %d names", maxChanges)
	}
	if len(names) == 0 {
		return nil, nil
	}
	slices.Sort(names)
	return names, err
}

// one compares one name of the upper layer.
func (k *collector) one(dirfd int, name, full string, depth int, fresh bool) error {
	if len(k.changes.list.Changes) > maxChanges {
		return fmt.Errorf("the box has made more than %d changes", maxChanges)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("looking at %q: %w", full, err)
	}
	before := k.base.find(full)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return k.subfolder(dirfd, name, full, &st, before, depth, fresh)
	}
	gone, err := isWhiteout(dirfd, name, &st)
	if err != nil {
		return fmt.Errorf("looking at %q: %w", full, err)
	}
	if before != nil && before.kind() == unix.S_IFDIR {
		for _, e := range k.base.below(full) {
			k.deleted(e)
		}
	}
	if gone {
		if before != nil {
			k.deleted(*before)
		}
		return nil
	}
	return k.leaf(dirfd, name, full, &st, before)
}

// isWhiteout knows both forms of an overlay's mark for "not there any more": a
// device with the number 0/0, and an empty file with an attribute.
func isWhiteout(dirfd int, name string, st *unix.Stat_t) (bool, error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return st.Rdev == 0, nil
	case unix.S_IFREG:
		if st.Size > 0 {
			return false, nil
		}
	default:
		return false, nil
	}
	f, err := openLeaf(dirfd, name, st)
	if err != nil {
		return false, err
	}
	defer f.Close()
	_, ok := attribute(int(f.Fd()), attrWhiteout)
	return ok, nil
}

// subfolder compares a folder.
func (k *collector) subfolder(dirfd int, name, full string, st *unix.Stat_t, before *entry, depth int, fresh bool) error {
	fd, err := openFolder(dirfd, name, st)
	if err != nil {
		return fmt.Errorf("opening %q: %w", full, err)
	}
	defer unix.Close(fd)
	after := proofbox.Entry{Kind: proofbox.Folder, Mode: permission(st.Mode)}
	switch {
	case before == nil:
		k.add(full, proofbox.Entry{Kind: proofbox.Absent}, after)
	case before.kind() != unix.S_IFDIR:
		old, drifted, err := k.before(before)
		if err != nil {
			return err
		}
		k.addChange(proofbox.Change{Path: proofbox.Raw(full), Before: old, After: after, Drifted: drifted})
		fresh = true
	case permission(before.mode) != permission(st.Mode):
		k.add(full, proofbox.Entry{Kind: proofbox.Folder, Mode: permission(before.mode)}, after)
	}
	return k.folder(fd, full, depth+1, fresh || before == nil)
}

// openFolder opens a folder of the upper layer. The box may have taken from its
// owner, who may be this user, the right to look into it.
func openFolder(dirfd int, name string, st *unix.Stat_t) (int, error) {
	how := &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd, err := unix.Openat2(dirfd, name, how)
	if !errors.Is(err, unix.EACCES) {
		return fd, err
	}
	// It is a folder and nobody is left in the box who could replace it.
	if err := unix.Fchmodat(dirfd, name, st.Mode&0o7777|0o700, 0); err != nil {
		return -1, err
	}
	return unix.Openat2(dirfd, name, how)
}

// openLeaf opens a regular file of the upper layer, likewise.
func openLeaf(dirfd int, name string, st *unix.Stat_t) (*os.File, error) {
	how := &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd, err := unix.Openat2(dirfd, name, how)
	if errors.Is(err, unix.EACCES) {
		if err := unix.Fchmodat(dirfd, name, st.Mode&0o7777|0o400, 0); err != nil {
			return nil, err
		}
		fd, err = unix.Openat2(dirfd, name, how)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// leaf compares a file, link or special file.
func (k *collector) leaf(dirfd int, name, full string, st *unix.Stat_t, before *entry) error {
	after, blob, err := k.after(dirfd, name, st)
	if err != nil {
		return fmt.Errorf("reading %q: %w", full, err)
	}
	if blob != nil {
		defer blob.Close()
	}
	old, drifted := proofbox.Entry{Kind: proofbox.Absent}, false
	if before != nil {
		if old, drifted, err = k.before(before); err != nil {
			return err
		}
	}
	if old == after && after.Kind != proofbox.Special {
		return nil // copied up and not changed
	}
	if blob != nil {
		if err := k.changes.put(blob, after.Size, after.Digest); err != nil {
			return fmt.Errorf("storing %q: %w", full, err)
		}
	}
	k.addChange(proofbox.Change{Path: proofbox.Raw(full), Before: old, After: after, Drifted: drifted})
	return nil
}

// after describes what the box has made of a path.
func (k *collector) after(dirfd int, name string, st *unix.Stat_t) (proofbox.Entry, *os.File, error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := readLink(dirfd, name)
		return proofbox.Entry{Kind: proofbox.Symlink, Target: proofbox.Raw(target)}, nil, err
	case unix.S_IFREG:
		f, err := openLeaf(dirfd, name, st)
		if err != nil {
			return proofbox.Entry{}, nil, err
		}
		if _, ok := attribute(int(f.Fd()), attrMetacopy); ok {
			return proofbox.Entry{}, nil, errors.Join(errors.New("it is marked as a stub, which the overlay was told not to make"), f.Close())
		}
		digest, err := digestOf(f, st.Size)
		if err != nil {
			return proofbox.Entry{}, nil, errors.Join(err, f.Close())
		}
		return proofbox.Entry{Kind: proofbox.File, Mode: permission(st.Mode), Size: st.Size, Digest: digest}, f, nil
	}
	return proofbox.Entry{Kind: proofbox.Special, Mode: permission(st.Mode)}, nil, nil
}

// before describes what a path was, and stores the bytes of a file. drifted
// says that the original is not any more what the manifest has.
func (k *collector) before(e *entry) (old proofbox.Entry, drifted bool, err error) {
	switch e.kind() {
	case unix.S_IFDIR:
		return proofbox.Entry{Kind: proofbox.Folder, Mode: permission(e.mode)}, false, nil
	case unix.S_IFLNK:
		return proofbox.Entry{Kind: proofbox.Symlink, Target: proofbox.Raw(e.target)}, false, nil
	case unix.S_IFREG:
	default:
		return proofbox.Entry{Kind: proofbox.Special, Mode: permission(e.mode)}, false, nil
	}
	old = proofbox.Entry{Kind: proofbox.File, Mode: permission(e.mode), Size: e.size}
	f, err := k.lower.OpenFile(e.path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return old, true, nil
	}
	if err != nil {
		return old, false, fmt.Errorf("reading the base of %q: %w", e.path, err)
	}
	defer f.Close()
	return k.stored(e, old, f)
}

func (k *collector) stored(e *entry, old proofbox.Entry, f *os.File) (proofbox.Entry, bool, error) {
	now, err := identity(f)
	if err != nil {
		return old, false, fmt.Errorf("reading the base of %q: %w", e.path, err)
	}
	if !now.same(e) {
		return old, true, nil
	}
	if old.Digest, err = digestOf(f, e.size); err != nil {
		return old, true, nil // it shrank while it was read
	}
	if err := k.changes.put(f, e.size, old.Digest); err != nil {
		return old, false, fmt.Errorf("storing the base of %q: %w", e.path, err)
	}
	now, err = identity(f)
	return old, err != nil || !now.same(e), nil
}

// deleted lists a path of the base as deleted.
func (k *collector) deleted(e entry) {
	old, drifted, err := k.before(&e)
	if err != nil {
		k.changes.list.Warnings = append(k.changes.list.Warnings, err.Error())
		drifted = true
	}
	k.addChange(proofbox.Change{Path: proofbox.Raw(e.path), Before: old, After: proofbox.Entry{Kind: proofbox.Absent}, Drifted: drifted})
}

func (k *collector) add(full string, before, after proofbox.Entry) {
	k.addChange(proofbox.Change{Path: proofbox.Raw(full), Before: before, After: after})
}

func (k *collector) addChange(c proofbox.Change) {
	c.Refused = refusal(c)
	k.changes.count(&c)
	k.changes.list.Changes = append(k.changes.list.Changes, c)
}

// attribute reads a small extended attribute.
func attribute(fd int, name string) (string, bool) {
	buf := make([]byte, 64)
	n, err := unix.Fgetxattr(fd, name, buf)
	if errors.Is(err, unix.ERANGE) {
		return "", true
	}
	if err != nil {
		return "", false
	}
	return string(buf[:n]), true
}
