package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/hazard"
)

// Bounds of what a box may leave.
const (
	// maxNames bounds the names in one folder, and all changes.
	maxNames = 2_000_000
	// maxLooked bounds the bytes of all paths that are looked at.
	maxLooked = 512 << 20
	// maxHoles bounds the bytes that files claim to have and do not store.
	// Hashing them takes time, and a claim costs the box nothing.
	maxHoles = 16 << 30
)

// Collect computes in which bytes the box's copy differs from the base, and
// stores both sides in dir. upper is the overlay's upper layer, of a box whose
// processes have all ended. Nothing in it is followed or believed. On an error
// nothing is left in dir.
func (b *Base) Collect(ctx context.Context, upper *os.File, dir string) (*Changes, error) {
	c := &Changes{dir: dir, decisions: decisions{}, list: storedChanges{Version: storeVersion, Changes: []proofbox.Change{}}}
	if err := os.MkdirAll(filepath.Join(dir, blobsDir), 0o700); err != nil {
		return nil, fmt.Errorf("making the change store: %w", err)
	}
	if err := b.collect(ctx, upper, c); err != nil {
		return nil, errors.Join(fmt.Errorf("collecting the changes: %w", err), os.RemoveAll(dir))
	}
	return c, nil
}

func (b *Base) collect(ctx context.Context, upper *os.File, c *Changes) error {
	lower, err := openRoot(b.Lower)
	if err != nil && !b.live {
		return fmt.Errorf("opening the base: %w", err)
	}
	if err != nil { // the original has gone; every base is missing then
		lower = -1
	} else {
		defer unix.Close(lower)
	}
	k := &collector{base: b.manifest, lower: lower, changes: c, ctx: ctx, paths: maxLooked, holes: maxHoles, links: map[inode][]string{}}
	if err := k.tree(int(upper.Fd())); err != nil {
		return err
	}
	if err := b.drift(ctx, &c.list); err != nil {
		return err
	}
	slices.SortFunc(c.list.Changes, func(x, y proofbox.Change) int { return strings.Compare(string(x.Path), string(y.Path)) })
	if err := k.kin(); err != nil {
		return err
	}
	k.note()
	k.repositories()
	k.twins()
	if err := c.list.mark(); err != nil {
		return err
	}
	return c.save()
}

// repositories adds a hazard to what lies in a folder that git takes for a
// repository of its own, through what the base has there or what the box has made.
func (k *collector) repositories() {
	var found hazard.Repositories
	for i := range k.base.entries {
		found.Add(k.base.entries[i].path)
	}
	list := k.changes.list.Changes
	for i := range list {
		found.Add(string(list[i].Path))
	}
	for i := range list {
		if h, ok := found.Hazard(list[i]); ok {
			list[i].Hazards = append(list[i].Hazards, h)
		}
	}
}

// twins adds a hazard to new paths that other file systems take for one that is
// there, seen by the box or not.
func (k *collector) twins() {
	list := k.changes.list.Changes
	found := hazard.NewTwins(list)
	for i := range k.base.entries {
		found.See(k.base.entries[i].path)
	}
	for _, p := range k.base.hidden {
		found.See(p)
	}
	for i := range list {
		if h, ok := found.Hazard(list[i]); ok {
			list[i].Hazards = append(list[i].Hazards, h)
		}
	}
}

// collector goes through an upper layer.
type collector struct {
	base    *manifest
	lower   int // descriptor of the base's folder, negative where there is none
	changes *Changes
	ctx     context.Context
	paths   int                // bytes of paths that may still be looked at
	holes   int64              // bytes of holes that may still be hashed
	links   map[inode][]string // the paths of files that have several names
	marked  []string           // files of which nothing but attributes has changed
}

// Attributes by which an overlay in a user namespace marks its upper layer. A
// process in the box cannot set them: the overlay keeps what it sets under
// another name. See the kernel's Documentation/filesystems/overlayfs.rst.
const (
	attrOpaque   = "user.overlay.opaque"
	attrWhiteout = "user.overlay.whiteout"
	attrRedirect = "user.overlay.redirect"
	attrMetacopy = "user.overlay.metacopy"
)

// enter reads a folder of the upper layer and lists as deleted what it hides of
// the base.
func (k *collector) enter(l *level) error {
	if k.ctx.Err() != nil {
		return context.Cause(k.ctx)
	}
	if _, ok := attribute(l.fd, attrRedirect); ok {
		return fmt.Errorf("the folder %q is marked as moved, which the overlay was told not to do", l.path)
	}
	switch mark, _ := attribute(l.fd, attrOpaque); mark {
	case "y":
		l.fresh = true
	case "x":
		l.marks = true
	}
	names, err := namesIn(l.fd)
	if err != nil {
		return fmt.Errorf("reading the folder %q of the box's copy: %w", l.path, err)
	}
	for _, name := range names {
		k.paths -= len(l.path) + 1 + len(name)
	}
	if k.paths < 0 {
		return fmt.Errorf("the box has left more than %d MiB of paths", maxLooked>>20)
	}
	l.names = names
	if l.fresh {
		return k.absent(l)
	}
	return nil
}

// absent lists as deleted what the base has in a folder that shows nothing of
// it, and that the folder does not hold itself.
func (k *collector) absent(l *level) error {
	prefix := 0
	if l.path != "." {
		prefix = len(l.path) + 1
	}
	below := k.base.below(l.path)
	for i := range below {
		first, _, _ := strings.Cut(below[i].path[prefix:], "/")
		if _, held := slices.BinarySearch(l.names, first); held {
			continue
		}
		if err := k.deleted(&below[i]); err != nil {
			return err
		}
	}
	return nil
}

// namesIn lists a folder by its descriptor, sorted.
func namesIn(fd int) ([]string, error) {
	own, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(own), "folder")
	defer f.Close()
	var names []string
	for {
		some, err := f.Readdirnames(4096)
		names = append(names, some...)
		if len(names) > maxNames {
			return nil, fmt.Errorf("it holds more than %d names", maxNames)
		}
		if len(some) == 0 {
			slices.Sort(names)
			return names, ignoreEOF(err)
		}
	}
}

// one compares one name of the upper layer. It gives the level of a folder.
func (k *collector) one(l *level, name string) (*level, error) {
	full := joinPath(l.path, name)
	var st unix.Stat_t
	if err := unix.Fstatat(l.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, fmt.Errorf("looking at %q: %w", full, err)
	}
	before := k.base.find(full)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return k.subfolder(l, name, full, &st, before)
	}
	gone, err := isWhiteout(l, name, &st)
	if err != nil {
		return nil, fmt.Errorf("looking at %q: %w", full, err)
	}
	if before != nil && before.kind() == unix.S_IFDIR {
		below := k.base.below(full)
		for i := range below {
			if err := k.deleted(&below[i]); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case !gone:
		return nil, k.leaf(l, name, full, &st, before)
	case before != nil:
		return nil, k.deleted(before)
	}
	return nil, nil
}

// isWhiteout knows both forms of an overlay's mark for "not there any more": a
// device with the number 0/0 and, in a folder that says so, an empty file with
// an attribute.
func isWhiteout(l *level, name string, st *unix.Stat_t) (bool, error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return st.Rdev == 0, nil
	case unix.S_IFREG:
		if !l.marks || st.Size > 0 {
			return false, nil
		}
	default:
		return false, nil
	}
	f, err := openUpper(l.fd, name, st)
	if err != nil {
		return false, err
	}
	defer f.Close()
	_, ok := attribute(int(f.Fd()), attrWhiteout)
	return ok, nil
}

// subfolder compares a folder and gives its level.
func (k *collector) subfolder(l *level, name, full string, st *unix.Stat_t, before *entry) (*level, error) {
	fd, err := openUpperFolder(l.fd, name, st)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", full, err)
	}
	change := proofbox.Change{
		Path: proofbox.Raw(full), Before: proofbox.Entry{Kind: proofbox.Absent},
		After: proofbox.Entry{Kind: proofbox.Folder, Mode: permission(st.Mode)},
	}
	if before != nil {
		if change.Before, err = k.before(before, &change); err != nil {
			return nil, errors.Join(err, unix.Close(fd))
		}
	}
	if change.Before != change.After {
		err = k.add(change)
	}
	next := &level{fd: fd, dev: st.Dev, ino: st.Ino, path: full, fresh: l.fresh || before == nil || before.kind() != unix.S_IFDIR}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return next, nil
}

// openUpperFolder opens a folder of the upper layer. The box may have taken
// from its owner, who may be this user, the right to look into it; nobody is
// left in the box who could replace it.
func openUpperFolder(dirfd int, name string, st *unix.Stat_t) (int, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY
	if st.Mode&0o700 != 0o700 && os.Geteuid() != 0 {
		if err := chmodAt(dirfd, name, st.Mode|0o700); err != nil {
			return -1, err
		}
	}
	return resolve(dirfd, name, flags)
}

// openUpper opens a regular file of the upper layer, likewise.
func openUpper(dirfd int, name string, st *unix.Stat_t) (*os.File, error) {
	if st.Mode&0o400 == 0 && os.Geteuid() != 0 {
		if err := chmodAt(dirfd, name, st.Mode|0o400); err != nil {
			return nil, err
		}
	}
	fd, err := resolve(dirfd, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// deleted lists a path of the base as deleted.
func (k *collector) deleted(e *entry) (err error) {
	change := proofbox.Change{Path: proofbox.Raw(e.path), After: proofbox.Entry{Kind: proofbox.Absent}}
	if change.Before, err = k.before(e, &change); err != nil {
		return err
	}
	return k.add(change)
}

// add lists a change.
func (k *collector) add(c proofbox.Change) error {
	if len(k.changes.list.Changes) >= maxNames {
		return fmt.Errorf("the box has made more than %d changes", maxNames)
	}
	if c.Refused == "" {
		c.Refused = k.refusal(c)
	}
	if err := k.changes.count(&c); err != nil {
		return err
	}
	k.changes.list.Changes = append(k.changes.list.Changes, c)
	return nil
}

// refusal says why a change is never kept.
func (k *collector) refusal(c proofbox.Change) string {
	p := string(c.Path)
	switch {
	case k.base.hides(p):
		return "the original has something there that was hidden from the box"
	case c.Before.Kind == proofbox.Folder && c.After.Kind != proofbox.Folder && k.base.hidesBelow(p):
		return "the original's folder holds something that was hidden from the box"
	}
	return refusal(c)
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
