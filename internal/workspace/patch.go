package workspace

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"proofbox"
)

// Bounds of a patch that somebody gives.
const (
	maxPatch      = 64 << 20
	maxPatchFiles = 100_000
)

// patchWishes reads a patch, made by an edit of what `proofbox diff --raw` gives,
// as what to keep of the changes that it names. It applies to what the run
// started from, strictly: there is no search for where a hunk could fit.
func (c *Changes) patchWishes(r proofbox.KeepRequest) ([]wish, error) {
	files, err := readPatch(string(r.Patch))
	if err != nil {
		return nil, err
	}
	var list []wish
	for _, f := range files {
		w, err := c.patchWish(f)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(list, func(o wish) bool { return o.Path == w.Path }); i >= 0 {
			return nil, invalid("the patch names %q twice; keep what changes its kind by naming the path", w.Path)
		}
		list = append(list, w)
	}
	if len(list) == 0 {
		return nil, invalid("the patch names no file")
	}
	slices.SortFunc(list, func(a, b wish) int { return byPath(a.Change, b.Change) })
	return list, nil
}

// readPatch parses a patch. Its bytes may be anything.
func readPatch(text string) (files []*gitdiff.File, err error) {
	if len(text) > maxPatch {
		return nil, invalid("the patch is %d bytes long; up to %d are read", len(text), maxPatch)
	}
	files, _, err = gitdiff.Parse(strings.NewReader(withoutNotes(text)))
	if err != nil {
		return nil, invalid("reading the patch: %v", err)
	}
	if len(files) > maxPatchFiles {
		return nil, invalid("the patch names %d files; up to %d are read", len(files), maxPatchFiles)
	}
	for _, f := range files {
		for _, name := range []string{f.OldName, f.NewName} {
			if name != "" && !validPath(name) {
				return nil, invalid("the patch names %q, which is no path inside a workspace", name)
			}
		}
		if f.IsRename || f.IsCopy || f.OldName != "" && f.NewName != "" && f.OldName != f.NewName {
			return nil, invalid("the patch renames or copies %q to %q; give both as a file that goes and one that comes", f.OldName, f.NewName)
		}
	}
	return files, nil
}

// withoutNotes leaves out the lines that say in words what git has no words for:
// they begin with "#", as no line of a patch does.
func withoutNotes(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// patchWish reads one file of a patch as a part of a change.
func (c *Changes) patchWish(f *gitdiff.File) (wish, error) {
	path := f.NewName
	if path == "" {
		path = f.OldName
	}
	at, ok := c.find(path)
	if !ok {
		return wish{}, &NoChangeError{Path: path}
	}
	change := c.list.Changes[at]
	if f.IsDelete {
		if change.After.Kind != proofbox.Absent {
			return wish{}, invalid("the patch deletes %q, and the run does not", path)
		}
		return wish{Change: change}, nil
	}
	if f.BinaryFragment != nil {
		return c.literalWish(change, f)
	}
	if f.IsBinary || !divisible(change) {
		return wish{}, invalid("%q is no file of text on both sides; keep it by naming it", path)
	}
	before, _, err := c.text(change.Before)
	if err != nil {
		return wish{}, err
	}
	var after bytes.Buffer
	if err := gitdiff.Apply(&after, strings.NewReader(before), f); err != nil {
		return wish{}, invalid("the patch does not fit what the run started from, in %q: %v", path, err)
	}
	if change.After.Mode, err = patchMode(change, f); err != nil {
		return wish{}, err
	}
	if change.After.Digest, err = c.putText(after.String()); err != nil {
		return wish{}, fmt.Errorf("storing what the patch makes of %q: %w", path, err)
	}
	change.After.Size = int64(after.Len())
	return wish{change, selection{patchHash: nil}}, nil
}

// patchHash stands for the hunks of a patch, whose lines somebody may have
// edited.
const patchHash = "patch"

// patchMode is the mode that a patch gives: the original's or the run's.
func patchMode(c proofbox.Change, f *gitdiff.File) (fs.FileMode, error) {
	if c.Before.Kind == proofbox.Absent || c.Before.Mode == c.After.Mode {
		return c.After.Mode, nil
	}
	switch f.NewMode & 0o777 {
	case 0:
		return c.Before.Mode, nil
	case c.After.Mode.Perm():
		return c.After.Mode, nil
	}
	return 0, invalid("the patch gives %q the mode %o; the run has made it %o", c.Path, f.NewMode&0o777, c.After.Mode.Perm())
}
