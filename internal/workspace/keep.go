package workspace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	// Begin, where it is set, is called before the first byte is written, with
	// what will be. Its error is the keep's, and nothing is written.
	Begin func(todo []proofbox.Change) error
}

// ConflictError says that the original is in no state to be written, or that
// something was named that is never kept: nothing was written.
type ConflictError struct{ Conflicts []string }

// maxConflicts bounds how many conflicts an error names.
const maxConflicts = 10

func (e *ConflictError) Error() string {
	text := strings.Join(e.Conflicts[:min(len(e.Conflicts), maxConflicts)], "; ")
	if more := len(e.Conflicts) - maxConflicts; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return "nothing was kept: " + text + "; name the paths to keep without these, or take the others by hand from `proofbox diff RUN PATH --raw`"
}

// Conflict marks the error for the API.
func (e *ConflictError) Conflict() bool { return true }

// Keep applies changes to the original. Either the original is, in every path
// that is written, still what the box started from (or already what the box
// made of it), or nothing is written at all. What must never be written is in
// the receipt as refused; named itself, it is an error and nothing is written.
// An error while writing leaves every path either old or new, and the receipt
// lists the new ones; to keep the same again goes on where it stopped.
func (c *Changes) Keep(ctx context.Context, o KeepOptions) (proofbox.KeepReceipt, error) {
	receipt := proofbox.KeepReceipt{Original: o.Original, Kept: []proofbox.Change{}}
	chosen, refused, err := c.choose(o)
	if err != nil {
		return receipt, err
	}
	receipt.Refused = refused
	t, err := openTarget(o.Original)
	if err != nil {
		return receipt, err
	}
	defer t.close()
	todo, done, err := t.check(ctx, chosen)
	if err == nil && o.Begin != nil {
		err = o.Begin(chosen)
	}
	if err != nil {
		return receipt, err
	}
	applied, err := c.apply(ctx, t, todo)
	receipt.Kept = c.kept(slices.Concat(done, applied))
	return receipt, errors.Join(err, c.save())
}

// kept notes in the store what was kept, and gives it as it was applied, sorted
// by path.
func (c *Changes) kept(changes []proofbox.Change) []proofbox.Change {
	list := slices.SortedFunc(slices.Values(changes), byPath)
	for i, k := range list {
		list[i].Kept, list[i].After = true, result(k)
		if at, ok := c.find(string(k.Path)); ok {
			c.list.Changes[at].Kept = true
		}
	}
	if list == nil {
		return []proofbox.Change{}
	}
	return list
}

func byPath(a, b proofbox.Change) int { return strings.Compare(string(a.Path), string(b.Path)) }

// choose gives the changes to apply, and those that are refused.
func (c *Changes) choose(o KeepOptions) (chosen, refused []proofbox.Change, err error) {
	if o.All == (len(o.Paths) > 0) {
		return nil, nil, errors.New("name paths to keep, or keep everything with --all")
	}
	selected, err := c.Select(o.Paths)
	if err != nil {
		return nil, nil, err
	}
	if shown, err := Shown(selected); err != nil {
		return nil, nil, err
	} else if o.Shown != "" && o.Shown != shown {
		return nil, nil, &ConflictError{[]string{"the changes are not those that were shown"}}
	}
	judged := c.withFolders(selected)
	for i := range judged {
		judged[i].Refused = o.refuses(judged[i])
	}
	spread(judged)
	for _, change := range judged {
		if change.Refused == "" {
			chosen = append(chosen, change)
		} else {
			refused = append(refused, change)
		}
	}
	return chosen, refused, o.named(refused)
}

// withFolders adds the new folders that selected changes lie in. It gives a copy.
func (c *Changes) withFolders(selected []proofbox.Change) []proofbox.Change {
	list := slices.Clone(selected)
	have := make(map[string]bool, len(list))
	for _, change := range list {
		have[string(change.Path)] = true
	}
	for _, change := range selected {
		for dir := range folders(string(change.Path)) {
			if have[dir] {
				break // and then its own folders are there too
			}
			at, ok := c.find(dir)
			if !ok || c.list.Changes[at].Before.Kind != proofbox.Absent || change.After.Kind == proofbox.Absent {
				break
			}
			have[dir] = true
			list = append(list, c.list.Changes[at])
		}
	}
	slices.SortFunc(list, byPath)
	return list
}

// named makes an error of refused changes that were asked for by name.
func (o KeepOptions) named(refused []proofbox.Change) error {
	var conflicts []string
	for _, change := range refused {
		if slices.ContainsFunc(o.Paths, func(p proofbox.Raw) bool { return cleanPath(p) == string(change.Path) }) {
			conflicts = append(conflicts, fmt.Sprintf("%q: %s", change.Path, change.Refused))
		}
	}
	if len(conflicts) > 0 {
		return &ConflictError{conflicts}
	}
	return nil
}

// refuses says why a change is left out.
func (o KeepOptions) refuses(c proofbox.Change) string {
	switch {
	case c.Refused != "":
		return c.Refused
	case c.Drifted:
		return "the original changed while the box ran, so what the box started from is not certain"
	case inGit(string(c.Path)) && !o.asksForGit(string(c.Path)):
		return "a repository's own files can run programs on the next git command; name them to keep them"
	}
	return refusal(c)
}

// asksForGit says whether one of the paths names a repository's own files, and
// not a folder that they happen to be in.
func (o KeepOptions) asksForGit(path string) bool {
	return slices.ContainsFunc(o.Paths, func(p proofbox.Raw) bool {
		clean := cleanPath(p)
		return inGit(clean) && within(path, clean)
	})
}
