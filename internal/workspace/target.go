package workspace

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"proofbox"
)

// target is the original while it is written, reached only through its
// descriptor and without following a link.
type target struct {
	root int
	last *folder // the one that was opened last, nil for none
}

// folder is an open folder of an original. What changes it lies in the same one as
// the change before more often than not, so the last one stays open.
type folder struct {
	fd    int
	path  string
	users int
}

// Close gives a folder up; whoever is last closes it.
func (f *folder) Close() error {
	if f.users--; f.users > 0 {
		return nil
	}
	return unix.Close(f.fd)
}

// forget has the next folder opened anew: the names in which the last one lies have
// changed.
func (t *target) forget() {
	if t.last != nil {
		t.last.Close()
		t.last = nil
	}
}

// openTarget opens an original for itself alone: the lock is on the folder, so
// that nothing is made in it, and goes with the descriptor.
func openTarget(dir string) (*target, error) {
	fd, err := openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the original %q: %w", dir, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(&BusyError{Original: dir}, unix.Close(fd))
	}
	return &target{root: fd}, nil
}

// BusyError says that an original is being written by another keep.
type BusyError struct{ Original string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("another process holds the lock of %q, most likely a keep that goes on; try again when it has ended", e.Original)
}

// Conflict marks the error for the API.
func (e *BusyError) Conflict() bool { return true }

// close gives the lock up by itself: a process that is being started right now
// may have the descriptor for a moment longer.
func (t *target) close() {
	t.forget()
	_ = unix.Flock(t.root, unix.LOCK_UN) // the close does it, too
	unix.Close(t.root)
}

// parent opens the folder that holds a path.
func (t *target) parent(p string) (*folder, string, error) {
	if !validPath(p) {
		return nil, "", fmt.Errorf("%q is no path inside the workspace", p)
	}
	dir, base := splitPath(p)
	if t.last != nil && t.last.path == dir {
		t.last.users++
		return t.last, base, nil
	}
	fd, err := openBeneath(t.root, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, "", err
	}
	t.forget()
	t.last = &folder{fd: fd, path: dir, users: 2} // the caller, and whoever comes next
	return t.last, base, nil
}

// step is a path to write: from what the original has now to exactly what it
// will have.
type step struct {
	change proofbox.Change
	seen   *sight    // as it was checked; nil where there was nothing
	hunks  selection // those that are kept, of a change that is not kept whole
	temp   string    // where the new file or link is until then
}

// wish is a change as somebody wants it: from what the box started from to what
// it should become.
type wish struct {
	proofbox.Change
	hunks selection
}

// sight is what is at a path of the original, as it was looked at. Its change time
// holds for the rest, too.
type sight struct {
	entry
	owner owner
	plain bool // a file that is known to have no extended attributes
}

type owner struct{ uid, gid uint32 }

// look describes what is at a path of the original now.
func (t *target) look(p string) (proofbox.Entry, *sight, error) {
	absent := proofbox.Entry{Kind: proofbox.Absent}
	dir, base, err := t.parent(p)
	if errors.Is(err, unix.ENOENT) {
		return absent, nil, nil
	}
	if err != nil {
		return absent, nil, err
	}
	defer dir.Close()
	seen, err := lookAt(dir.fd, base)
	if seen == nil || err != nil {
		return absent, nil, err
	}
	now, err := t.describe(dir.fd, base, seen)
	return now, seen, err
}

// lookAt gives the identity of a name in a folder; nil where there is none.
func lookAt(dirfd int, name string) (*sight, error) {
	var st unix.Stat_t
	err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &sight{
		entry: entry{mode: st.Mode, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), ino: st.Ino, nlink: st.Nlink},
		owner: owner{st.Uid, st.Gid},
	}, nil
}

// describe gives the entry of a name in a folder.
func (t *target) describe(dirfd int, name string, seen *sight) (proofbox.Entry, error) {
	mode := permission(seen.mode)
	switch seen.kind() {
	case unix.S_IFDIR:
		return proofbox.Entry{Kind: proofbox.Folder, Mode: mode}, nil
	case unix.S_IFLNK:
		to, err := readLink(dirfd, name)
		return proofbox.Entry{Kind: proofbox.Symlink, Target: proofbox.Raw(to)}, err
	case unix.S_IFREG:
	default:
		return proofbox.Entry{Kind: proofbox.Special, Mode: mode}, nil
	}
	f, err := openFile(dirfd, name)
	if err != nil {
		return proofbox.Entry{}, err
	}
	defer f.Close()
	names, err := attributeNames(f)
	seen.plain = err == nil && len(names) == 0
	digest, err := digestOf(f, seen.size)
	return proofbox.Entry{Kind: proofbox.File, Mode: mode, Size: seen.size, Digest: digest}, err
}

// plan is what a keep will do.
type plan struct {
	steps  []step
	done   []wish         // in the original already
	merged []proofbox.Raw // paths that hold both sides' changes
}

// plan compares every chosen path with the original as it is now and merges
// where it has moved on. With a conflict there is no plan.
func (c *Changes) plan(ctx context.Context, t *target, chosen []wish, prefer proofbox.Side) (*plan, error) {
	p := &plan{}
	conflicts := &ConflictError{}
	coming := map[string]bool{}
	for _, w := range chosen {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if comes(w.Change) {
			coming[string(w.Path)] = true
		}
		now, seen, err := t.look(string(w.Path))
		if vanished(err) && (w.After.Kind == proofbox.Absent || liesIn(string(w.Path), coming)) {
			now, seen, err = proofbox.Entry{Kind: proofbox.Absent}, nil, nil
		}
		if err != nil {
			conflicts.add(w.Path, fmt.Sprintf("it cannot be reached in the original without following a link: %v", err))
			continue
		}
		if err := c.planOne(t, p, w, now, seen, prefer, conflicts); err != nil {
			return nil, err
		}
	}
	if len(conflicts.Conflicts) == 0 {
		conflicts.Conflicts = t.leftovers(p.steps)
	}
	if len(conflicts.Conflicts) > 0 {
		return nil, conflicts
	}
	return p, nil
}

// planOne plans one path, which is something now.
func (c *Changes) planOne(t *target, p *plan, w wish, now proofbox.Entry, seen *sight, prefer proofbox.Side, conflicts *ConflictError) error {
	want := result(w.Change)
	if now != w.Before && now != want && now.Kind == proofbox.File {
		if err := c.store(t, string(w.Path), now); err != nil {
			return err
		}
	}
	became, disagreement, err := c.reconcile(w.Before, want, now, prefer)
	if err != nil {
		return fmt.Errorf("merging %q: %w", w.Path, err)
	}
	switch {
	case disagreement != nil:
		conflicts.add(w.Path, disagreement.why)
		conflicts.Texts = append(conflicts.Texts, disagreement.text)
	case became == now:
		p.done = append(p.done, w)
	default:
		if now != w.Before {
			p.merged = append(p.merged, w.Path)
		}
		change := w.Change
		change.Before, change.After = now, became
		p.steps = append(p.steps, step{change: change, seen: seen, hunks: w.hunks})
	}
	return nil
}

// store puts the bytes that the original has at a path now into the store, where
// the merge and an undo find them.
func (c *Changes) store(t *target, p string, now proofbox.Entry) error {
	f, err := openFile(t.root, p)
	if err != nil {
		return fmt.Errorf("reading %q in the original: %w", p, err)
	}
	defer f.Close()
	digest, err := c.put(f, now.Size)
	if err == nil && digest != now.Digest {
		err = errChanged
	}
	if err != nil {
		return fmt.Errorf("reading %q in the original: %w", p, err)
	}
	return nil
}

// liesIn says whether a path lies in one of the folders.
func liesIn(p string, dirs map[string]bool) bool {
	if len(dirs) == 0 {
		return false
	}
	for dir := range folders(p) {
		if dirs[dir] {
			return true
		}
	}
	return false
}

// leftovers finds folders that are to go and would not be empty then.
func (t *target) leftovers(steps []step) []string {
	going := map[string]bool{}
	for _, s := range steps {
		if s.change.After.Kind == proofbox.Absent {
			going[string(s.change.Path)] = true
		}
	}
	var conflicts []string
	for _, s := range steps {
		c := s.change
		if !goes(c) {
			continue
		}
		names, err := t.names(string(c.Path))
		if err != nil {
			conflicts = append(conflicts, fmt.Sprintf("the folder %q cannot be read: %v", c.Path, err))
		}
		for _, name := range names {
			if full := joinPath(string(c.Path), name); !going[full] {
				conflicts = append(conflicts, fmt.Sprintf("the folder %q would go, but %q in it is not chosen to go too", c.Path, full))
			}
		}
	}
	return conflicts
}

// names lists a folder of the original; nothing where it is none any more.
func (t *target) names(p string) ([]string, error) {
	fd, err := openBeneath(t.root, p, unix.O_RDONLY|unix.O_DIRECTORY)
	if vanished(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return namesIn(fd)
}
