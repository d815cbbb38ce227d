package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"proofbox"
)

// target is the original while it is written, reached only through its
// descriptor and without following a link.
type target struct{ root int }

func openTarget(dir string) (*target, error) {
	fd, err := openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the original %q: %w", dir, err)
	}
	return &target{root: fd}, nil
}

func (t *target) close() { unix.Close(t.root) }

// parent opens the folder that holds a path.
func (t *target) parent(p string) (*os.File, string, error) {
	if !validPath(p) {
		return nil, "", fmt.Errorf("%q is no path inside the workspace", p)
	}
	dir, base := splitPath(p)
	fd, err := openBeneath(t.root, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, "", err
	}
	return os.NewFile(uintptr(fd), dir), base, nil
}

// step is a change to apply, and what was there when it was checked.
type step struct {
	change proofbox.Change
	seen   *entry // nil where there was nothing
}

// look describes what is at a path of the original now.
func (t *target) look(p string) (proofbox.Entry, *entry, error) {
	absent := proofbox.Entry{Kind: proofbox.Absent}
	dir, base, err := t.parent(p)
	if errors.Is(err, unix.ENOENT) {
		return absent, nil, nil
	}
	if err != nil {
		return absent, nil, err
	}
	defer dir.Close()
	seen, err := lookAt(int(dir.Fd()), base)
	if seen == nil || err != nil {
		return absent, nil, err
	}
	now, err := t.describe(int(dir.Fd()), base, seen)
	return now, seen, err
}

// lookAt gives the identity of a name in a folder; nil where there is none.
func lookAt(dirfd int, name string) (*entry, error) {
	var st unix.Stat_t
	err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &entry{
		mode: st.Mode, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), ino: st.Ino, nlink: st.Nlink,
	}, nil
}

// describe gives the entry of a name in a folder.
func (t *target) describe(dirfd int, name string, seen *entry) (proofbox.Entry, error) {
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
	digest, err := digestOf(f, seen.size)
	return proofbox.Entry{Kind: proofbox.File, Mode: mode, Size: seen.size, Digest: digest}, err
}

// check compares every chosen path with the original as it is now. It gives
// those that are still to be written, and those that already are what they are
// to become.
func (t *target) check(ctx context.Context, chosen []proofbox.Change) (todo []step, done []proofbox.Change, err error) {
	var conflicts []string
	coming := map[string]bool{}
	for _, c := range chosen {
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		if comes(c) {
			coming[string(c.Path)] = true
		}
		now, seen, err := t.look(string(c.Path))
		if vanished(err) && (c.After.Kind == proofbox.Absent || liesIn(string(c.Path), coming)) {
			now, seen, err = proofbox.Entry{Kind: proofbox.Absent}, nil, nil
		}
		switch {
		case err != nil:
			conflicts = append(conflicts, fmt.Sprintf("%q cannot be reached in the original without following a link: %v", c.Path, err))
		case now == result(c):
			done = append(done, c)
		case now == c.Before:
			todo = append(todo, step{c, seen})
		default:
			conflicts = append(conflicts, fmt.Sprintf("%q has changed in the original since the run began", c.Path))
		}
	}
	if len(conflicts) == 0 {
		conflicts = t.leftovers(chosen)
	}
	if len(conflicts) > 0 {
		return nil, nil, &ConflictError{conflicts}
	}
	return todo, done, nil
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
func (t *target) leftovers(chosen []proofbox.Change) []string {
	going := map[string]bool{}
	for _, c := range chosen {
		if c.After.Kind == proofbox.Absent {
			going[string(c.Path)] = true
		}
	}
	var conflicts []string
	for _, c := range chosen {
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
