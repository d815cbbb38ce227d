package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// KeepOptions say what to apply to which folder.
type KeepOptions struct {
	Original string
	// All keeps everything but what a bulk keep must not cover; else Paths
	// names what to keep.
	All   bool
	Paths []proofbox.Raw
	// Shown is the digest of what the person has seen; see [Shown]. Empty
	// where nothing was shown.
	Shown string
}

// ConflictError says that the original is in no state to be written: nothing
// was.
type ConflictError struct{ Conflicts []string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("nothing was kept: %s", strings.Join(e.Conflicts, "; "))
}

// Conflict marks the error for the API.
func (e *ConflictError) Conflict() bool { return true }

// Keep applies changes to the original. Either the original is, in every path
// that is written, still what the box started from (or already what the box
// made of it), or nothing is written at all. What must never be written is in
// the receipt as refused; named explicitly, it is an error.
func (c *Changes) Keep(ctx context.Context, o KeepOptions) (proofbox.KeepReceipt, error) {
	receipt := proofbox.KeepReceipt{Original: o.Original, Kept: []proofbox.Change{}}
	chosen, err := c.chosen(o, &receipt)
	if err != nil {
		return receipt, err
	}
	t, err := openTarget(o.Original)
	if err != nil {
		return receipt, err
	}
	defer t.close()
	todo, err := t.check(chosen)
	if err != nil {
		return receipt, err
	}
	if err := ctx.Err(); err != nil {
		return receipt, err
	}
	if err := c.apply(t, todo); err != nil {
		return receipt, err
	}
	receipt.Kept = append(receipt.Kept, chosen...)
	return receipt, c.mark(chosen)
}

// chosen gives the changes to apply and puts the others into the receipt.
func (c *Changes) chosen(o KeepOptions, receipt *proofbox.KeepReceipt) ([]proofbox.Change, error) {
	if o.All == (len(o.Paths) > 0) {
		return nil, errors.New("name paths to keep, or keep everything with --all")
	}
	selected, err := c.Select(o.Paths)
	if err != nil {
		return nil, err
	}
	if shown, err := Shown(selected); err != nil {
		return nil, err
	} else if o.Shown != "" && o.Shown != shown {
		return nil, &ConflictError{[]string{"the changes are not those that were shown"}}
	}
	var chosen []proofbox.Change
	for _, change := range selected {
		if why := o.refuses(change); why != "" {
			change.Refused = why
			receipt.Refused = append(receipt.Refused, change)
			continue
		}
		chosen = append(chosen, change)
	}
	return chosen, nil
}

// refuses says why a change is left out.
func (o KeepOptions) refuses(c proofbox.Change) string {
	switch {
	case c.Refused != "":
		return c.Refused
	case c.Drifted:
		return "the original changed while the box ran, so what the box started from is not certain"
	case o.All && inGit(string(c.Path)):
		return "a repository's own files can run programs on the next git command; name them to keep them"
	}
	return ""
}

// mark notes in the store what was kept.
func (c *Changes) mark(kept []proofbox.Change) error {
	for _, k := range kept {
		i := slices.IndexFunc(c.list.Changes, func(x proofbox.Change) bool { return x.Path == k.Path })
		c.list.Changes[i].Kept = true
	}
	return c.save()
}

// target is the original while it is written, reached only through its
// descriptor and without following a link.
type target struct{ root int }

func openTarget(dir string) (*target, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the original %q: %w", dir, err)
	}
	return &target{root: fd}, nil
}

func (t *target) close() { unix.Close(t.root) }

// open resolves a path below the original.
func (t *target) open(p string, flags uint64) (int, error) {
	return unix.Openat2(t.root, p, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// parent opens the folder that holds a path.
func (t *target) parent(p string) (*os.File, string, error) {
	if !fs.ValidPath(p) && !validBytes(p) || p == "." {
		return nil, "", fmt.Errorf("%q is no path inside the workspace", p)
	}
	fd, err := t.open(path.Dir(p), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, "", fmt.Errorf("opening the folder of %q: %w", p, err)
	}
	return os.NewFile(uintptr(fd), path.Dir(p)), path.Base(p), nil
}

// validBytes is [fs.ValidPath] for paths that are not UTF-8.
func validBytes(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.ContainsRune(p, 0)
}

// look describes what is at a path of the original now.
func (t *target) look(p string) (proofbox.Entry, error) {
	absent := proofbox.Entry{Kind: proofbox.Absent}
	dir, base, err := t.parent(p)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return absent, nil
	}
	if err != nil {
		return absent, err
	}
	defer dir.Close()
	var st unix.Stat_t
	err = unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return absent, nil
	}
	if err != nil {
		return absent, fmt.Errorf("looking at %q: %w", p, err)
	}
	return describe(int(dir.Fd()), base, &st)
}

// describe gives the entry of a name in a folder.
func describe(dirfd int, name string, st *unix.Stat_t) (proofbox.Entry, error) {
	mode := permission(st.Mode)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return proofbox.Entry{Kind: proofbox.Folder, Mode: mode}, nil
	case unix.S_IFLNK:
		to, err := readLink(dirfd, name)
		return proofbox.Entry{Kind: proofbox.Symlink, Target: proofbox.Raw(to)}, err
	case unix.S_IFREG:
	default:
		return proofbox.Entry{Kind: proofbox.Special, Mode: mode}, nil
	}
	fd, err := unix.Openat(dirfd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return proofbox.Entry{}, fmt.Errorf("opening %q: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	digest, err := digestOf(f, st.Size)
	if err != nil {
		return proofbox.Entry{}, fmt.Errorf("reading %q: %w", name, err)
	}
	return proofbox.Entry{Kind: proofbox.File, Mode: mode, Size: st.Size, Digest: digest}, nil
}

// check compares every chosen path with the original as it is now, and gives
// those that are still to be written.
func (t *target) check(chosen []proofbox.Change) ([]proofbox.Change, error) {
	var todo []proofbox.Change
	var conflicts []string
	for _, c := range chosen {
		now, err := t.look(string(c.Path))
		switch {
		case err != nil:
			conflicts = append(conflicts, fmt.Sprintf("%q cannot be reached: %v", c.Path, err))
		case now == c.After:
			// already what it is to become
		case now == c.Before:
			todo = append(todo, c)
		default:
			conflicts = append(conflicts, fmt.Sprintf("%q has changed in the original since the run began", c.Path))
		}
	}
	if len(conflicts) == 0 {
		conflicts = t.leftovers(chosen)
	}
	if len(conflicts) > 0 {
		return nil, &ConflictError{conflicts}
	}
	return todo, nil
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
		if c.Before.Kind != proofbox.Folder || c.After.Kind == proofbox.Folder {
			continue
		}
		for _, name := range t.names(string(c.Path)) {
			if full := path.Join(string(c.Path), name); !going[full] {
				conflicts = append(conflicts, fmt.Sprintf("the folder %q would go, but %q in it is not chosen to go too", c.Path, full))
			}
		}
	}
	return conflicts
}

// names lists a folder of the original; nothing where it is none any more.
func (t *target) names(p string) []string {
	fd, err := t.open(p, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	names, err := namesIn(fd)
	if err != nil {
		return nil
	}
	return names
}
