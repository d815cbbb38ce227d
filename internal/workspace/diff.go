package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"proofbox"
	"proofbox/internal/hazard"
)

// contextLines are shown around a difference.
const contextLines = 3

// Select gives the changes of paths and of what lies below them, sorted by path;
// all where no path is given. "." is the workspace itself. A path that none of
// them has is an error.
func (c *Changes) Select(paths []proofbox.Raw) ([]proofbox.Change, error) {
	if len(paths) == 0 {
		return c.list.Changes, nil
	}
	chosen := make([]bool, len(c.list.Changes))
	for _, p := range paths {
		found := false
		for _, i := range c.covered(cleanPath(p)) {
			chosen[i], found = true, true
		}
		if !found {
			return nil, &NoChangeError{Path: string(p)}
		}
	}
	var list []proofbox.Change
	for i, change := range c.list.Changes {
		if chosen[i] {
			list = append(list, change)
		}
	}
	return list, nil
}

// cleanPath gives a path as a change has it.
func cleanPath(p proofbox.Raw) string {
	clean := strings.TrimRight(string(p), "/")
	for strings.HasPrefix(clean, "./") {
		clean = strings.TrimLeft(clean[2:], "/")
	}
	return clean
}

// covered gives the indices of the changes at a path and below it.
func (c *Changes) covered(p string) []int {
	var list []int
	if p == "." {
		for i := range c.list.Changes {
			list = append(list, i)
		}
		return list
	}
	if i, ok := c.find(p); ok {
		list = append(list, i)
	}
	from, _ := c.find(p + "/")
	to, _ := c.find(p + "0") // '0' follows '/'
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// find gives the index of the change at a path.
func (c *Changes) find(p string) (int, bool) {
	return slices.BinarySearchFunc(c.list.Changes, p, func(x proofbox.Change, p string) int {
		return strings.Compare(string(x.Path), p)
	})
}

// NoChangeError says that a path was not changed by the run.
type NoChangeError struct{ Path string }

func (e *NoChangeError) Error() string {
	return fmt.Sprintf("the run has changed nothing at %q; `proofbox diff RUN --stat` lists what it has", e.Path)
}

// NotFound marks the error for the API.
func (e *NoChangeError) NotFound() bool { return true }

// Shown is a digest of what a list of changes would write.
func Shown(changes []proofbox.Change) (string, error) {
	h := sha256.New()
	for _, c := range changes {
		line, err := json.Marshal([]any{c.Path, c.Before, c.After})
		if err != nil {
			return "", fmt.Errorf("hashing the changes: %w", err)
		}
		h.Write(line) // a hash takes everything
	}
	return digestPrefix + hex.EncodeToString(h.Sum(nil)), nil
}

// count fills in what a change is to a reader: text or not, how many lines.
func (c *Changes) count(change *proofbox.Change) error {
	for _, e := range []proofbox.Entry{change.Before, change.After} {
		if e.Kind == proofbox.File && (e.Size > maxText || e.Digest == "") {
			change.Large = true
		}
	}
	if change.Large {
		change.Hazards = hazard.Of(*change, "", "")
		return nil
	}
	before, after, ok, err := c.bodies(*change)
	if err != nil {
		return err
	}
	if change.Binary = !ok; change.Binary {
		change.Hazards = hazard.Of(*change, "", "")
		return nil
	}
	change.Hazards = hazard.Of(*change, before, after)
	change.Packages = hazard.Packages(string(change.Path), before, after)
	hunks := hunksBetween(before, after)
	for i := range hunks {
		change.Insertions += hunks[i].count("+")
		change.Deletions += hunks[i].count("-")
	}
	if words := lineEnds(hunks); words != "" {
		change.Notes = append(change.Notes, words)
	}
	return nil
}

// body is what a side is compared by: a file's text, a link's target. ok is
// false for what is no text.
func (c *Changes) body(e proofbox.Entry) (text string, ok bool, err error) {
	if e.Kind == proofbox.Symlink {
		return string(e.Target), true, nil
	}
	return c.text(e)
}

// bodies is what both sides of a change are compared by; ok is false where one is
// not to be shown.
func (c *Changes) bodies(change proofbox.Change) (before, after string, ok bool, err error) {
	if change.Large {
		return "", "", false, nil
	}
	before, okBefore, err := c.body(change.Before)
	if err != nil {
		return "", "", false, err
	}
	after, okAfter, err := c.body(change.After)
	return before, after, okBefore && okAfter, err
}

// LeftOut is a change of text as it is listed beside others of which enough is
// shown: like one that is too large to be compared line by line.
func LeftOut(c proofbox.Change) proofbox.Change {
	if !c.Binary && !c.Large && (c.Before.Kind == proofbox.File || c.After.Kind == proofbox.File) {
		c.Large = true
		c.Notes = append(slices.Clip(c.Notes), "is left out, because so much else is shown; name its path to see it")
	}
	return c
}

// WriteUnified writes changes as a patch that git apply(1) understands. What a
// patch cannot say is in lines that begin with "#". The bytes are the box's own:
// escape them before they reach a terminal.
func (c *Changes) WriteUnified(w io.Writer, changes []proofbox.Change) error {
	return c.writeAll(w, changes, false)
}

// WritePatch is as [Changes.WriteUnified], and gives the bytes of what is no text
// too, in git's form.
func (c *Changes) WritePatch(w io.Writer, changes []proofbox.Change) error {
	return c.writeAll(w, changes, true)
}

func (c *Changes) writeAll(w io.Writer, changes []proofbox.Change, binary bool) error {
	for _, change := range changes {
		if err := c.writeOne(w, change, binary); err != nil {
			return fmt.Errorf("writing the difference of %q: %w", change.Path, err)
		}
	}
	return nil
}

// writeOne writes a change. One of kind is two patches for git: the old goes,
// and the new comes.
func (c *Changes) writeOne(w io.Writer, change proofbox.Change, binary bool) error {
	if _, err := io.WriteString(w, notes(change)); err != nil {
		return err
	}
	if change.Before.Kind == change.After.Kind {
		return c.writePatch(w, change, binary)
	}
	gone, come := change, change
	gone.After, come.Before = proofbox.Entry{Kind: proofbox.Absent}, proofbox.Entry{Kind: proofbox.Absent}
	if err := c.writePatch(w, gone, binary); err != nil {
		return err
	}
	return c.writePatch(w, come, binary)
}

// patchable says whether git has the kind.
func patchable(e proofbox.Entry) bool { return e.Kind == proofbox.File || e.Kind == proofbox.Symlink }

// Patched says whether a patch has all of a change that git can apply: files and
// links, outside a repository's own files, which git refuses. What is no text is
// in it where bytes are wanted, up to a size.
func Patched(c proofbox.Change, binary bool) bool {
	for _, e := range []proofbox.Entry{c.Before, c.After} {
		if e.Kind != proofbox.Absent && !patchable(e) {
			return false
		}
	}
	return !hazard.InRepository(string(c.Path)) && (!c.Binary && !c.Large || binary && literal(c))
}

func (c *Changes) writePatch(w io.Writer, change proofbox.Change, binary bool) error {
	if !patchable(change.Before) && !patchable(change.After) {
		return nil
	}
	if _, err := io.WriteString(w, header(change)); err != nil {
		return err
	}
	before, after, shown, err := c.bodies(change)
	if err != nil {
		return err
	}
	from, to := side("a/", change.Before, change.Path), side("b/", change.After, change.Path)
	if !shown {
		if change.Before.Digest == change.After.Digest && change.Before.Digest != "" {
			return nil // the mode alone
		}
		if binary && literal(change) {
			return c.writeLiteral(w, change)
		}
		_, err := fmt.Fprintf(w, "Binary files %s and %s differ\n", from, to)
		return err
	}
	hunks := hunksBetween(before, after)
	if len(hunks) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(w, "--- %s\n+++ %s\n", tabbed(from), tabbed(to)); err != nil {
		return err
	}
	for i := range hunks {
		if _, err := io.WriteString(w, hunks[i].text()); err != nil {
			return err
		}
	}
	return nil
}
