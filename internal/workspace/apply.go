package workspace

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"proofbox"
)

// apply puts what was staged in place: what stands in the way of something else
// goes first, then folders are made from the top down, then files and links come,
// then the rest goes, and folders get their modes last, which may forbid all of
// that. Every name is replaced as a whole; nothing is written in place. It is on
// the disk when apply returns.
func apply(t *target, todo []step) error {
	if err := putInPlace(t, todo); err != nil {
		return err
	}
	return unix.Syncfs(t.root)
}

func putInPlace(t *target, todo []step) error {
	for _, p := range phases(todo) {
		t.forget()
		for _, s := range p.steps {
			if err := p.apply(t, s); err != nil {
				return fmt.Errorf("keeping %q: %w", s.change.Path, explainWrite(err))
			}
		}
	}
	return nil
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
}

// deepestFirst turns steps around that are sorted by path.
func deepestFirst(steps []step) []step {
	slices.Reverse(steps)
	return steps
}

// phases sorts the steps, whose order is that of their paths.
func phases(todo []step) []phase {
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
		{open, openUp},
		{deepestFirst(clear), remove},
		{made, makeFolder},
		{files, replace},
		{deepestFirst(gone), remove},
		{deepestFirst(modes), setMode},
	}
}

// errChanged says that the original is not any more what was checked.
var errChanged = errors.New("it has changed in the original just now")

// still looks once more whether a name is what was checked. Of a folder only the
// identity counts, because this keep itself changes what is in it.
func (s step) still(dir *folder, base string) error {
	now, err := lookAt(dir.fd, base)
	switch {
	case err != nil:
		return err
	case now == nil && s.seen == nil:
		return nil
	case now == nil || s.seen == nil || now.ino != s.seen.ino || now.kind() != s.seen.kind():
		return errChanged
	case now.kind() != unix.S_IFDIR && !now.same(&s.seen.entry):
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
	return chmodAt(dir.fd, base, s.seen.mode|0o700)
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

func unlink(dir *folder, base string, e proofbox.Entry) error {
	flags := 0
	if e.Kind == proofbox.Folder {
		flags = unix.AT_REMOVEDIR
	}
	return unix.Unlinkat(dir.fd, base, flags)
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
	return chmodAt(dir.fd, base, statMode(s.change.After.Mode))
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
	if err := unix.Mkdirat(dir.fd, base, 0o755); err != nil {
		return err
	}
	heir, err := ownerOf(dir.fd)
	if err != nil {
		return err
	}
	return give(dir, base, heir)
}

// give makes a new name belong to whom another belongs. Only root can give, and
// only root's runs need it.
func give(dir *folder, base string, o owner) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return unix.Fchownat(dir.fd, base, int(o.uid), int(o.gid), unix.AT_SYMLINK_NOFOLLOW)
}

func ownerOf(fd int) (owner, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return owner{st.Uid, st.Gid}, err
}

// place chooses the temporary names: each in the nearest folder above its path
// that exists, stays and can be written to.
func (t *target) place(r *record, steps []step) error {
	leaving := map[string]bool{}
	for _, s := range steps {
		if s.seen != nil && s.change.After.Kind != proofbox.Folder {
			leaving[string(s.change.Path)] = true
		}
	}
	usable := map[string]bool{".": true}
	for i := range steps {
		if !patchable(steps[i].change.After) {
			continue
		}
		dir, _ := splitPath(string(steps[i].change.Path))
		for !t.usable(dir, leaving, usable) {
			dir, _ = splitPath(dir)
		}
		steps[i].temp = joinPath(dir, r.tempName(i))
		r.Steps[i].Temp = proofbox.Raw(steps[i].temp)
	}
	return nil
}

// writable makes sure that every folder in which something changes may be
// written to, where this keep does not open it up itself.
func (t *target) writable(steps []step) error {
	known := map[string]bool{}
	for _, s := range steps {
		if s.change.Before.Kind == proofbox.Folder {
			known[string(s.change.Path)] = true
		}
	}
	for _, s := range steps {
		dir, _ := splitPath(string(s.change.Path))
		if known[dir] {
			continue
		}
		known[dir] = true
		fd, err := openBeneath(t.root, dir, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			continue // this keep makes it
		}
		err = unix.Faccessat(fd, "", unix.W_OK|unix.X_OK, unix.AT_EMPTY_PATH)
		unix.Close(fd)
		if errors.Is(err, unix.EACCES) {
			return fmt.Errorf("nothing was kept: %q cannot change, because its folder %q may not be written to; give its owner that right (chmod u+w) and keep again", s.change.Path, dir)
		}
	}
	return nil
}

// fits makes sure, as far as that can be known before, that there is room for the new
// files of all steps beside what is there. A box can make many links to a large file,
// each of which is a file of its own where it is kept.
func (c *Changes) fits(t *target, steps []step) error {
	var free unix.Statfs_t
	if err := unix.Fstatfs(t.root, &free); err != nil {
		return fmt.Errorf("looking for room in the original: %w", err)
	}
	if free.Blocks == 0 {
		return nil // a file system that does not say, as some that are reached over a network
	}
	room := int64(free.Bavail) * free.Bsize
	if _, ok, err := needs(steps, room, func(e proofbox.Entry) (int64, error) { return e.Size, nil }); ok || err != nil {
		return err
	}
	need, ok, err := needs(steps, room, c.taken) // holes need no room
	if ok || err != nil {
		return err
	}
	return fmt.Errorf("nothing was kept: it needs %s or more, and %s are free where the original is; make room there, or name some of the paths", proofbox.Size(need).Rounded(), proofbox.Size(room).Rounded())
}

// needs adds up what the new files of steps take, until it is more than there is room
// for.
func needs(steps []step, room int64, size func(proofbox.Entry) (int64, error)) (need int64, ok bool, err error) {
	for _, s := range steps {
		if s.change.After.Kind != proofbox.File {
			continue
		}
		own, err := size(s.change.After)
		if err != nil {
			return need, false, err
		}
		if own > room-need {
			return need + min(own, math.MaxInt64-need), false, nil
		}
		need += own
	}
	return need, true, nil
}

// taken says how many bytes of the disk a stored file takes.
func (c *Changes) taken(e proofbox.Entry) (int64, error) {
	f, err := c.openBlob(e.Digest)
	if err != nil {
		return 0, err
	}
	var st unix.Stat_t
	err = errors.Join(unix.Fstat(int(f.Fd()), &st), f.Close())
	return st.Blocks * 512, err
}

// usable says whether a folder can hold temporary names, and remembers it.
func (t *target) usable(dir string, leaving, known map[string]bool) bool {
	ok, found := known[dir]
	if found {
		return ok
	}
	if !leaving[dir] {
		if fd, err := openBeneath(t.root, dir, unix.O_PATH|unix.O_DIRECTORY); err == nil {
			ok = unix.Faccessat(fd, "", unix.W_OK|unix.X_OK, unix.AT_EMPTY_PATH) == nil
			unix.Close(fd)
		}
	}
	known[dir] = ok
	return ok
}

// stageOne makes the new file or link of a step under its temporary name, with
// everything that it will have: bytes, owner, attributes, mode. It inherits from the
// path that it will replace, or the owner of the folder that it will be in.
func (c *Changes) stageOne(t *target, s step) error {
	heir, err := t.heir(s)
	if err != nil {
		return err
	}
	dir, temp, err := t.parent(s.temp)
	if err != nil {
		return err
	}
	defer dir.Close()
	if e := s.change.After; e.Kind == proofbox.Symlink {
		if err := unix.Symlinkat(string(e.Target), dir.fd, temp); err != nil {
			return err
		}
		return give(dir, temp, heir)
	}
	return c.stageFile(t, s, dir, temp, heir)
}

func (c *Changes) stageFile(t *target, s step, dir *folder, temp string, heir owner) error {
	out, err := c.create(dir, temp, s.change.After)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := give(dir, temp, heir); err != nil {
		return err
	}
	if s.seen != nil && s.seen.kind() == unix.S_IFREG && !s.seen.plain {
		if err := t.copyAttributes(out, string(s.change.Path)); err != nil {
			return err
		}
	}
	// chown takes bits away, so the mode comes after.
	return unix.Fchmod(int(out.Fd()), statMode(s.change.After.Mode)&0o7777)
}

// heir gives whom what a step makes will belong to.
func (t *target) heir(s step) (owner, error) {
	if s.seen != nil {
		return s.seen.owner, nil
	}
	for p := range folders(string(s.change.Path)) {
		dir, base, err := t.parent(p)
		if err != nil {
			continue
		}
		seen, err := lookAt(dir.fd, base)
		dir.Close()
		if err == nil && seen != nil && seen.kind() == unix.S_IFDIR {
			return seen.owner, nil
		}
	}
	return ownerOf(t.root)
}

// copyAttributes copies the extended attributes of a file that is replaced, but
// those that give its program rights.
func (t *target) copyAttributes(to *os.File, from string) error {
	dir, base, err := t.parent(from)
	if err != nil {
		return err
	}
	defer dir.Close()
	old, err := openFile(dir.fd, base)
	if errors.Is(err, unix.EACCES) {
		return nil // whoever may not read it sees none of them
	}
	if err != nil {
		return err
	}
	defer old.Close()
	names, err := attributeNames(old)
	if err != nil {
		return err
	}
	value := make([]byte, maxAttribute)
	for _, name := range names {
		if name == "security.capability" {
			continue
		}
		n, err := unix.Fgetxattr(int(old.Fd()), name, value)
		if err == nil {
			err = unix.Fsetxattr(int(to.Fd()), name, value[:n], 0)
		}
		if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.ENODATA) {
			return fmt.Errorf("copying its attribute %q: %w", name, err)
		}
	}
	return nil
}

// replace puts what was staged in its place.
func replace(t *target, s step) error {
	above, _ := splitPath(string(s.change.Path))
	if err := t.ensure(above); err != nil {
		return err
	}
	from, temp, err := t.parent(s.temp)
	if err != nil {
		return err
	}
	defer from.Close()
	dir, base, err := t.parent(string(s.change.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
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
	return rename(from, temp, dir, base, flags)
}

// tidy removes a temporary name that may not have been made.
func tidy(dir *folder, temp string) error {
	if err := unix.Unlinkat(dir.fd, temp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// rename puts a name in another's place. A file system that cannot promise not
// to replace one has been asked just before whether there is one.
func rename(from *folder, temp string, to *folder, base string, flags uint) error {
	err := unix.Renameat2(from.fd, temp, to.fd, base, flags)
	if flags != 0 && errors.Is(err, unix.EINVAL) {
		return unix.Renameat(from.fd, temp, to.fd, base)
	}
	return err
}

// create makes a new file with a stored file's bytes, and gives it open. The bytes
// are verified once more: what is applied is what was shown.
func (c *Changes) create(dir *folder, name string, e proofbox.Entry) (*os.File, error) {
	in, err := c.openBlob(e.Digest)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	fd, err := unix.Openat(dir.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	out := os.NewFile(uintptr(fd), name)
	digest, err := fill(out, in, e.Size)
	if err == nil && digest != e.Digest {
		err = fmt.Errorf("the stored bytes have the digest %s, not %s: the change store was altered", digest, e.Digest)
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}
