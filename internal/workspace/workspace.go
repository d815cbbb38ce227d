// Package workspace holds the user's folder still while a box works on a copy
// of it, says afterwards in which bytes the copy differs, and applies what a
// person wants to keep.
//
// The box writes to an overlay whose lower layer is the frozen base and whose
// upper layer is the box's. The upper layer is a hint and hostile: what has
// changed is decided by comparing its bytes with the base, through file
// descriptors, without following a link.
package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// Options say what to freeze.
type Options struct {
	// Original is the user's folder, absolute and without links in it.
	Original string
	// Hide lists patterns in .gitignore syntax of what the box must not see.
	Hide []string
	// Dir is where a copy and the manifest are put. It must not exist.
	Dir string
	// Reserved are folders that a workspace must neither contain nor lie in.
	Reserved []string
	// Keep, where it is set, is written into the base before anybody sees it. The
	// base is a copy then.
	Keep *Proposal
}

// Up to this size a tree is copied before each run, which takes less time than
// anybody notices and gives a base that nobody can change.
const (
	smallEntries = 1_000
	smallBytes   = 16 << 20
)

// reflinkEntries is up to how many entries a tree is cloned file by file.
const reflinkEntries = 20_000

// Base is a frozen original.
type Base struct {
	Freezing proofbox.Freezing
	// Lower is the folder that is the overlay's lower layer.
	Lower string
	// Hidden lists paths below Lower that the box must not see; empty where
	// they were not copied.
	Hidden []string
	// UID and GID own the original.
	UID, GID int
	// Written is the digest of what [Options.Keep] has written.
	Written string

	manifest *manifest
	hide     *hider
	live     bool // Lower is the original itself
}

// Methods of freezing.
const (
	byReflink = "reflink"
	byCopy    = "copy"
	byOverlay = "overlay"
)

// Survey looks at the original and says how it would be frozen.
func Survey(ctx context.Context, o Options) (proofbox.Freezing, error) {
	m, _, err := survey(ctx, o)
	if err != nil {
		return proofbox.Freezing{}, err
	}
	return o.choose(m), nil
}

func survey(ctx context.Context, o Options) (*manifest, *hider, error) {
	if err := o.Check(); err != nil {
		return nil, nil, err
	}
	hide, err := newHider(o.Hide)
	if err != nil {
		return nil, nil, err
	}
	m, err := takeManifest(ctx, o.Original, hide, false)
	return m, hide, err
}

// Check refuses folders that cannot be a workspace, and patterns that cannot be
// what anybody means.
func (o Options) Check() error {
	if _, err := newHider(o.Hide); err != nil {
		return err
	}
	info, err := os.Stat(o.Original)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the workspace %q does not exist; name a folder with --workspace", o.Original)
	case err != nil:
		return fmt.Errorf("looking at the workspace: %w", err)
	case !info.IsDir():
		return fmt.Errorf("the workspace %q is a file; name the folder that it is in with --workspace", o.Original)
	case o.Original == "/":
		return errors.New("the workspace is the whole host; name a folder with --workspace")
	}
	for _, r := range o.Reserved {
		if within(r, o.Original) || within(o.Original, r) {
			return fmt.Errorf("the workspace %q and proofbox's own state %q must not lie in each other; set PROOFBOX_HOME or name another workspace", o.Original, r)
		}
	}
	return nil
}

// within says whether a path is a folder or lies below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// choose decides how to hold the original still.
func (o Options) choose(m *manifest) proofbox.Freezing {
	f := proofbox.Freezing{
		Original: o.Original, Files: len(m.entries), Bytes: m.bytes, Hidden: len(m.hidden),
	}
	small := len(m.entries) <= smallEntries && m.bytes <= smallBytes
	switch {
	case (len(m.entries) <= reflinkEntries || o.Keep != nil) && m.special == 0 && o.canReflink(m):
		f.Method, f.Why = byReflink, "the file system can clone files, so a copy costs no space"
	case small && m.special == 0:
		f.Method, f.Why = byCopy, "the tree is small"
	case o.Keep != nil:
		f.Method, f.Why = byCopy, "what would be kept is tried on a copy"
	case m.special > 0:
		f.Method, f.Why = byOverlay, fmt.Sprintf("the tree holds %d devices, sockets or FIFOs, which cannot be copied; changes made to the original meanwhile are detected", m.special)
	default:
		f.Method, f.Why = byOverlay, fmt.Sprintf("the tree is large (%d entries) and the file system cannot clone files cheaply; changes made to the original meanwhile are detected", len(m.entries))
	}
	return f
}

// canReflink tries to clone a file of the original to where the base will be:
// whether that works depends on both places, and on how their file systems were
// made. What it makes has no name and is gone when it returns.
func (o Options) canReflink(m *manifest) bool {
	i := slices.IndexFunc(m.entries, func(e entry) bool { return e.kind() == unix.S_IFREG && e.size > 0 })
	if i < 0 {
		return false
	}
	dir := filepath.Dir(o.Dir)
	if o.Dir == "" && len(o.Reserved) > 0 {
		dir = o.Reserved[0]
	}
	root, err := openRoot(o.Original)
	if err != nil {
		return false
	}
	defer unix.Close(root)
	from, err := openFile(root, m.entries[i].path)
	if err != nil {
		return false
	}
	defer from.Close()
	to, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return false
	}
	defer unix.Close(to)
	return unix.IoctlFileClone(to, int(from.Fd())) == nil
}

// freezeTries bounds how often a tree is copied that changes meanwhile.
const freezeTries = 4

// Freeze takes the base of a run. On an error nothing is left of it.
func Freeze(ctx context.Context, o Options) (*Base, error) {
	for range freezeTries {
		b, err := freeze(ctx, o)
		if !errors.Is(err, errMoved) {
			return b, err
		}
	}
	return nil, fmt.Errorf("the workspace %q keeps changing while it is copied; let whatever writes to it come to rest, or hide it from the box", o.Original)
}

func freeze(ctx context.Context, o Options) (*Base, error) {
	m, hide, err := survey(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.Keep != nil && m.special > 0 {
		return nil, fmt.Errorf("what would be kept is tried on a copy of the workspace, which holds %d devices, sockets or FIFOs that cannot be copied; remove them, or keep without --prove", m.special)
	}
	m.links = m.linked()
	b := &Base{Freezing: o.choose(m), manifest: m, hide: hide, UID: m.uid, GID: m.gid}
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the base's folder: %w", explain(err))
	}
	if err := b.take(ctx, o); err != nil {
		return nil, errors.Join(err, removeTree(o.Dir))
	}
	return b, nil
}

func (b *Base) take(ctx context.Context, o Options) error {
	if b.Freezing.Method == byOverlay {
		b.Lower, b.Hidden, b.live = o.Original, b.manifest.hidden, true
	} else if err := b.copy(ctx, o); err != nil {
		return err
	}
	if err := b.keep(ctx, o.Keep); err != nil {
		return err
	}
	return b.manifest.write(filepath.Join(o.Dir, "manifest"))
}

// copy copies the original and makes sure that it stood still meanwhile.
func (b *Base) copy(ctx context.Context, o Options) error {
	b.Lower = filepath.Join(o.Dir, "tree")
	was := manifest{entries: slices.Clone(b.manifest.entries), hidden: b.manifest.hidden}
	if err := copyTree(ctx, b.manifest, o.Original, b.Lower, b.Freezing.Method == byReflink); err != nil {
		return err
	}
	now, err := takeManifest(ctx, o.Original, b.hide, false)
	if err != nil {
		return err
	}
	if moved := was.moved(now); len(moved) > 0 {
		return fmt.Errorf("%w: %q", errMoved, moved[0])
	}
	return nil
}

// keep writes a proposal into the copy, which the manifest is then of.
func (b *Base) keep(ctx context.Context, p *Proposal) (err error) {
	if p == nil {
		return nil
	}
	written, err := p.Write(ctx, b.Lower)
	if err != nil {
		return err
	}
	if b.Written, err = Shown(written); err != nil {
		return err
	}
	now, err := takeManifest(ctx, b.Lower, &hider{}, false)
	if err != nil {
		return err
	}
	b.manifest.entries = now.entries
	return nil
}

// removeTree removes a folder, and gives itself the right to where a mode in it
// stands in the way.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			if err := os.Chmod(path, 0o700); err != nil {
				return err
			}
			if errors.Is(err, fs.ErrPermission) {
				return nil
			}
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}

// Warnings name what its owner should know about the base.
func (b *Base) Warnings() []string { return b.manifest.warnings }
