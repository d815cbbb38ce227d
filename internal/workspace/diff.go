package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"proofbox"
)

// contextLines are shown around a difference.
const contextLines = 3

// Select gives the changes of paths and of what lies below them; all where no
// path is given. A path that none of them has is an error.
func (c *Changes) Select(paths []proofbox.Raw) ([]proofbox.Change, error) {
	if len(paths) == 0 {
		return c.list.Changes, nil
	}
	var found []proofbox.Change
	for _, p := range paths {
		clean := strings.TrimSuffix(strings.TrimPrefix(string(p), "./"), "/")
		before := len(found)
		for _, change := range c.list.Changes {
			if within(string(change.Path), clean) && !slices.Contains(found, change) {
				found = append(found, change)
			}
		}
		if len(found) == before && !slices.ContainsFunc(found, func(x proofbox.Change) bool { return within(string(x.Path), clean) }) {
			return nil, &NoChangeError{Path: string(p)}
		}
	}
	return found, nil
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
func (c *Changes) count(change *proofbox.Change) {
	before, okBefore, err1 := c.text(change.Before)
	after, okAfter, err2 := c.text(change.After)
	change.Large = change.Before.Size > maxText || change.After.Size > maxText
	if err1 != nil || err2 != nil || change.Before.Kind == proofbox.File && change.Before.Digest == "" {
		change.Large = true // the base is not there to be compared
		return
	}
	change.Binary = !change.Large && !(okBefore && okAfter)
	if change.Binary || change.Large {
		return
	}
	for _, h := range hunks(before, after).Hunks {
		for _, l := range h.Lines {
			switch l.Kind {
			case udiff.Insert:
				change.Insertions++
			case udiff.Delete:
				change.Deletions++
			}
		}
	}
}

func hunks(before, after string) udiff.UnifiedDiff {
	d, err := udiff.ToUnifiedDiff("", "", before, udiff.Lines(before, after), contextLines)
	if err != nil {
		panic(fmt.Sprintf("workspace: the library's own edits do not fit: %v", err))
	}
	return d
}

// WriteUnified writes changes as a patch that git apply(1) understands. The
// bytes are the box's own: escape them before they reach a terminal.
func (c *Changes) WriteUnified(w io.Writer, changes []proofbox.Change) error {
	for _, change := range changes {
		if err := c.writeOne(w, change); err != nil {
			return fmt.Errorf("writing the difference of %q: %w", change.Path, err)
		}
	}
	return nil
}

func (c *Changes) writeOne(w io.Writer, change proofbox.Change) error {
	head := header(change)
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	switch {
	case change.Before.Kind == proofbox.Folder && change.After.Kind == proofbox.Absent,
		change.Before.Kind == proofbox.Absent && change.After.Kind == proofbox.Folder,
		change.After.Kind == proofbox.Special:
		return nil
	case change.Large:
		_, err := fmt.Fprintf(w, "too large to show: %d bytes before, %d after\n", change.Before.Size, change.After.Size)
		return err
	case change.Binary:
		_, err := fmt.Fprintf(w, "Binary files %s and %s differ\n", side("a/", change.Before, change.Path), side("b/", change.After, change.Path))
		return err
	}
	before, err := c.body(change.Before)
	if err != nil {
		return err
	}
	after, err := c.body(change.After)
	if err != nil {
		return err
	}
	return writeBody(w, change, before, after)
}

// body is what a side is compared by: a file's text, a link's target.
func (c *Changes) body(e proofbox.Entry) (string, error) {
	if e.Kind == proofbox.Symlink {
		return string(e.Target), nil
	}
	text, _, err := c.text(e)
	return text, err
}

func writeBody(w io.Writer, change proofbox.Change, before, after string) error {
	if before == after {
		return nil
	}
	d := hunks(before, after)
	d.From, d.To = side("a/", change.Before, change.Path), side("b/", change.After, change.Path)
	_, err := io.WriteString(w, d.String())
	return err
}

// side names a side of a change as git does.
func side(prefix string, e proofbox.Entry, path proofbox.Raw) string {
	if e.Kind == proofbox.Absent || e.Kind == proofbox.Folder {
		return "/dev/null"
	}
	return quote(prefix + string(path))
}

// header is git's extended header of a change; see git-diff(1), "Generating
// patch text with -p".
func header(c proofbox.Change) string {
	a, b := quote("a/"+string(c.Path)), quote("b/"+string(c.Path))
	head := fmt.Sprintf("diff --git %s %s\n", a, b)
	old, after := gitMode(c.Before), gitMode(c.After)
	switch {
	case c.Before.Kind == proofbox.Absent:
		head += "new file mode " + after + "\n"
	case c.After.Kind == proofbox.Absent:
		head += "deleted file mode " + old + "\n"
	case old != after:
		head += "old mode " + old + "\nnew mode " + after + "\n"
	}
	if c.Drifted {
		head += "warning: the original changed while the box ran; what was before is not certain\n"
	}
	if c.Refused != "" {
		head += "warning: keep will refuse this: " + c.Refused + "\n"
	}
	return head
}

// gitMode is an entry's mode as git writes it.
func gitMode(e proofbox.Entry) string {
	switch e.Kind {
	case proofbox.Symlink:
		return "120000"
	case proofbox.Folder:
		return fmt.Sprintf("040%03o", e.Mode.Perm())
	case proofbox.File:
		return fmt.Sprintf("100%03o", e.Mode.Perm())
	}
	return "000000"
}

// quote quotes a path as git does where it holds a byte that a reader of the
// patch could take for something else.
func quote(path string) string {
	plain := true
	for i := range len(path) {
		b := path[i]
		plain = plain && b >= 0x20 && b < 0x7f && b != '"' && b != '\\'
	}
	if plain {
		return path
	}
	var out strings.Builder
	out.WriteByte('"')
	for i := range len(path) {
		switch b := path[i]; {
		case b == '"' || b == '\\':
			out.WriteByte('\\')
			out.WriteByte(b)
		case b == '\n':
			out.WriteString(`\n`)
		case b == '\t':
			out.WriteString(`\t`)
		case b < 0x20 || b >= 0x7f:
			fmt.Fprintf(&out, "\\%03o", b)
		default:
			out.WriteByte(b)
		}
	}
	out.WriteByte('"')
	return out.String()
}
