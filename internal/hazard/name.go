package hazard

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"proofbox"
)

// ofName looks for what a path hides, whose end counts, and for what a system on
// which the folder may lie next would take it for.
func ofName(path string) []proofbox.Hazard {
	var list []proofbox.Hazard
	if words := hidden(path + "/"); words != "" {
		list = append(list, proofbox.Hazard{Rule: "hidden-name", Words: "has a name that " + words})
	}
	for part := range strings.SplitSeq(path, "/") {
		if words := elsewhere(part); words != "" {
			return append(list, proofbox.Hazard{Rule: "foreign-name", Words: words})
		}
	}
	return list
}

// elsewhere says what Windows makes of a part of a path; empty where it is the same
// there.
func elsewhere(part string) string {
	switch {
	case strings.Contains(part, `\`):
		return "has a backslash in its name, after which Windows looks in a folder"
	case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
		return "has a name with a dot or a blank at its end, which Windows leaves out"
	case isDevice(part):
		return "has a name that Windows takes for a device, with or without what follows the dot"
	}
	return ""
}

// isDevice knows the names of devices; see git's compat/mingw.c, is_valid_win32_path.
func isDevice(part string) bool {
	part, _, _ = strings.Cut(part, ".")
	part, _, _ = strings.Cut(part, ":")
	switch name := strings.ToLower(strings.TrimRight(part, " ")); name {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	default:
		number, ok := strings.CutPrefix(name, "com")
		if !ok {
			number, ok = strings.CutPrefix(name, "lpt")
		}
		return ok && slices.Contains([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"}, number)
	}
}

// Twins finds new paths that careless file systems take for another one of the
// tree: without regard to case, to how an accent is written, to characters that
// nobody sees and to dots and blanks at the end. Of two such names, the one that
// is written last decides what both are (CVE-2014-9390, CVE-2021-21300,
// CVE-2024-32002).
type Twins struct {
	changes []proofbox.Change
	seed    maphash.Seed
	added   []twin            // sorted by hash
	found   map[string]string // new paths, and a path that each is taken for
}

// twin is a path that was added.
type twin struct {
	hash   uint64 // of its key
	change int
}

// NewTwins begins with the changes of a run, which are sorted by path.
func NewTwins(changes []proofbox.Change) *Twins {
	t := &Twins{changes: changes, seed: maphash.MakeSeed(), found: map[string]string{}}
	for i := range changes {
		if c := &changes[i]; c.Before.Kind == proofbox.Absent {
			t.added = append(t.added, twin{maphash.String(t.seed, twinKey(string(c.Path))), i})
		}
	}
	slices.SortFunc(t.added, func(a, b twin) int { return cmp.Compare(a.hash, b.hash) })
	for i := range t.added {
		t.See(string(changes[t.added[i].change].Path))
	}
	return t
}

// See tells of a path that is in the tree. One that goes is no path of it.
func (t *Twins) See(p string) {
	if len(t.added) == 0 {
		return
	}
	key := twinKey(p)
	hash := maphash.String(t.seed, key)
	at, _ := slices.BinarySearchFunc(t.added, hash, func(x twin, h uint64) int { return cmp.Compare(x.hash, h) })
	for ; at < len(t.added) && t.added[at].hash == hash; at++ {
		mine := string(t.changes[t.added[at].change].Path)
		if mine != p && twinKey(mine) == key && !t.goes(p) {
			t.found[mine] = p
		}
	}
}

// goes says whether the run has deleted a path.
func (t *Twins) goes(p string) bool {
	at, ok := slices.BinarySearchFunc(t.changes, p, func(c proofbox.Change, p string) int { return strings.Compare(string(c.Path), p) })
	return ok && t.changes[at].After.Kind == proofbox.Absent
}

// Hazard says of a change that it is taken for another path, or lies in a folder
// that is.
func (t *Twins) Hazard(c proofbox.Change) (proofbox.Hazard, bool) {
	if len(t.found) == 0 || c.After.Kind == proofbox.Absent {
		return proofbox.Hazard{}, false
	}
	p := string(c.Path)
	for end := len(p); end > 0; end = strings.LastIndexByte(p[:end], '/') {
		if other, ok := t.found[p[:end]]; ok {
			return proofbox.Hazard{Rule: "twin-name", Words: "has a name that some file systems take for that of " + short(other) + ", so that one of them gets the other's bytes"}, true
		}
	}
	return proofbox.Hazard{}, false
}

// twinKey is the same for paths that are twins.
func twinKey(p string) string {
	if plainKey(p) {
		return p
	}
	parts := strings.Split(norm.NFD.String(p), "/")
	for i, part := range parts {
		part = strings.Map(func(r rune) rune {
			if ignorable(r) {
				return -1
			}
			return smallest(r)
		}, part)
		if trimmed := strings.TrimRight(part, ". "); trimmed != "" {
			part = trimmed
		}
		parts[i] = part
	}
	return norm.NFD.String(strings.Join(parts, "/"))
}

// plainKey says whether a path is its own key, as most are.
func plainKey(p string) bool {
	for i := range len(p) {
		switch c := p[i]; {
		case c >= utf8.RuneSelf || c >= 'A' && c <= 'Z':
			return false
		case (c == '.' || c == ' ') && (i+1 == len(p) || p[i+1] == '/'):
			return false
		}
	}
	return true
}

// smallest gives, of the characters that differ in case alone, always the same one.
func smallest(r rune) rune {
	if r < utf8.RuneSelf {
		return unicode.ToLower(r) // the Kelvin sign and the long s come to the same
	}
	low := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		low = min(low, next)
	}
	return unicode.ToLower(low)
}
