package workspace

import (
	"fmt"
	"strings"

	"proofbox"
)

// notes says in words what git has no words for, one line each.
func notes(c proofbox.Change) string {
	var out strings.Builder
	note := func(format string, args ...any) { fmt.Fprintf(&out, "# "+format+"\n", args...) }
	name := quote(string(c.Path))
	for _, e := range []struct {
		entry proofbox.Entry
		verb  string
	}{{c.Before, "deleted"}, {c.After, "new"}} {
		if c.Before.Kind != c.After.Kind && (e.entry.Kind == proofbox.Folder || e.entry.Kind == proofbox.Special) {
			note("%s %s %s (mode %s)", e.verb, describeKind(e.entry), name, gitMode(e.entry))
		}
	}
	if c.Before.Kind == c.After.Kind && !patchable(c.After) {
		note("%s %s: mode %s, was %s", describeKind(c.After), name, gitMode(c.After), gitMode(c.Before))
	}
	if c.Large {
		note("%s is too large to show: %d bytes before, %d after", name, c.Before.Size, c.After.Size)
	}
	if c.Drifted {
		note("%s changed in the original while the box ran; what was before is not certain", name)
	}
	for _, n := range c.Notes {
		note("%s %s", name, n)
	}
	for _, p := range c.Packages {
		note("%s package %q", name, p.Words())
	}
	for _, h := range c.Hazards {
		if h.Line > 0 {
			note("! %s line %d %s", name, h.Line, h.Words)
		} else {
			note("! %s %s", name, h.Words)
		}
	}
	if c.Refused != "" {
		note("keep will refuse %s: %s", name, c.Refused)
	}
	return out.String()
}

func describeKind(e proofbox.Entry) string {
	if e.Kind == proofbox.Special {
		return "device, FIFO or socket"
	}
	return string(e.Kind)
}

// side names a side of a change as git does.
func side(prefix string, e proofbox.Entry, path proofbox.Raw) string {
	if !patchable(e) {
		return "/dev/null"
	}
	return quote(prefix + string(path))
}

// tabbed ends a name with a blank in it where readers would end it too early.
func tabbed(name string) string {
	if strings.Contains(name, " ") {
		return name + "\t"
	}
	return name
}

// header is git's extended header of a change; see git-diff(1), "Generating
// patch text with -p".
func header(c proofbox.Change) string {
	head := fmt.Sprintf("diff --git %s %s\n", quote("a/"+string(c.Path)), quote("b/"+string(c.Path)))
	old, after := gitMode(c.Before), gitMode(c.After)
	switch {
	case !patchable(c.Before):
		head += "new file mode " + after + "\n"
	case !patchable(c.After):
		head += "deleted file mode " + old + "\n"
	case old != after:
		head += "old mode " + old + "\nnew mode " + after + "\n"
	}
	return head
}

// gitMode is an entry's mode as git writes it, with all of its permission bits.
func gitMode(e proofbox.Entry) string {
	mode := statMode(e.Mode)
	switch e.Kind {
	case proofbox.Symlink:
		return "120000"
	case proofbox.Folder:
		return fmt.Sprintf("04%04o", mode)
	case proofbox.File:
		return fmt.Sprintf("10%04o", mode)
	}
	return fmt.Sprintf("%04o", mode)
}

// quote quotes a path as git does where it holds a byte that a reader of the
// patch could take for something else.
func quote(path string) string {
	if strings.IndexFunc(path, special) < 0 {
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
			fmt.Fprintf(&out, `\%03o`, b)
		default:
			out.WriteByte(b)
		}
	}
	out.WriteByte('"')
	return out.String()
}

func special(r rune) bool { return r < 0x20 || r >= 0x7f || r == '"' || r == '\\' }
