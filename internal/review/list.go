package review

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	tea "charm.land/bubbletea/v2"

	"proofbox"
	"proofbox/internal/hazard"
	"proofbox/internal/terminal"
)

// filter says which changes are listed.
type filter int

const (
	all filter = iota
	risky
	open
)

func (f filter) String() string {
	return [...]string{"all changes", "what would run here or hides text", "what is open"}[f]
}

// list is the tree of changes.
type list struct {
	filter filter
	search string
	rows   []row
	shown  []row // without those in closed folders
	closed map[string]bool
	outer  map[string]bool // closed folders of the list that is searched, nil without a search
	sums   hazard.Folding  // of folders that are closed at first, what their changes would run
	cursor int
	top    int
}

// row is a folder or a change.
type row struct {
	folder string // with a slash at its end; empty for a change
	change int    // its index; of a folder that has not changed itself, -1
	depth  int
	below  []int // the changes in a folder, and its own
	risks  int   // how many of them have hazards
}

// add notes a change in a folder.
func (r *row) add(i int, c *proofbox.Change) {
	if r.below = append(r.below, i); len(c.Hazards) > 0 {
		r.risks++
	}
}

// newList lists changes, which are sorted by path, with the folders that they
// lie in.
func newList(changes []proofbox.Change, f filter, search string) *list {
	l := &list{filter: f, search: search, closed: map[string]bool{}}
	at := map[string]int{}
	var dir string // of the change before, and the rows of its folders
	var above []int
	search = strings.ToLower(search)
	for i := range changes {
		c := &changes[i]
		if !l.wants(c, search) {
			continue
		}
		path := string(c.Path)
		if own := path[:strings.LastIndexByte(path, '/')+1]; own != dir || above == nil {
			dir, above = own, l.above(own, at)
		}
		depth := len(above)
		for _, j := range above {
			l.rows[j].add(i, c)
		}
		own := row{change: i, depth: depth}
		if isParent(changes, i) {
			own.folder = path + "/"
			own.add(i, c)
			at[own.folder] = len(l.rows)
		}
		l.rows = append(l.rows, own)
	}
	l.changed()
	return l
}

// above gives the rows of a folder, which ends in a slash, and of those that it is in,
// the outermost first. Those that are missing are made.
func (l *list) above(dir string, at map[string]int) []int {
	rows := []int{}
	for end, level := 0, 0; end < len(dir); level++ {
		end += strings.IndexByte(dir[end:], '/') + 1
		folder := dir[:end]
		j, ok := at[folder]
		if !ok {
			j = len(l.rows)
			at[folder] = j
			l.rows = append(l.rows, row{folder: folder, change: -1, depth: level})
		}
		rows = append(rows, j)
	}
	return rows
}

// isParent says whether a change is a folder with further changes in it. Paths
// sort by bytes, so that others may lie between.
func isParent(changes []proofbox.Change, i int) bool {
	if changes[i].After.Kind != proofbox.Folder && changes[i].Before.Kind != proofbox.Folder {
		return false
	}
	below := string(changes[i].Path) + "/"
	at := sort.Search(len(changes), func(i int) bool { return string(changes[i].Path) >= below })
	return at < len(changes) && strings.HasPrefix(string(changes[at].Path), below)
}

// wants says whether a change is listed, whose path has what is searched for in it.
func (l *list) wants(c *proofbox.Change, search string) bool {
	if search != "" && !strings.Contains(strings.ToLower(string(c.Path)), search) {
		return false
	}
	switch l.filter {
	case risky:
		return len(c.Hazards) > 0
	case open:
		return c.Choice == proofbox.Open && !c.Kept
	}
	return true
}

// at puts the cursor on what another list had it on, or near there, and closes the
// same folders.
func (l *list) at(old *list) *list {
	l.inherit(old)
	l.changed()
	l.cursor = min(old.cursor, max(0, len(l.shown)-1))
	if old.cursor < len(old.shown) {
		l.reveal(old.shown[old.cursor])
	}
	return l
}

// reveal puts the cursor on what a row of another list stands for, and opens the
// folders in which it lies, where it is listed here at all.
func (l *list) reveal(was row) {
	at := slices.IndexFunc(l.rows, was.same)
	if at < 0 {
		return
	}
	for i, depth := at, l.rows[at].depth; depth > 0; i-- {
		if r := l.rows[i]; r.folder != "" && r.depth < depth {
			delete(l.closed, r.folder)
			depth = r.depth
		}
	}
	l.changed()
	l.cursor = max(0, slices.IndexFunc(l.shown, was.same))
}

// inherit takes over which folders are closed. What is searched for is found in all
// of them.
func (l *list) inherit(old *list) {
	l.sums = old.sums
	switch {
	case (l.search == "") == (old.search == ""):
		l.closed, l.outer = old.closed, old.outer
	case l.search == "":
		l.closed = old.outer
	default:
		l.outer = old.closed
	}
}

// fold closes new folders that bring many hazards: an installed package has
// hundreds.
func (l *list) fold(sums hazard.Folding) {
	l.sums = sums
	for folder := range sums {
		l.closed[string(folder)+"/"] = true
	}
	l.changed()
}

// same says whether two rows stand for the same.
func (r row) same(o row) bool {
	return r.folder == o.folder && (r.folder != "" || r.change == o.change)
}

// toChange puts the cursor on the first change that is listed.
func (l *list) toChange() {
	if i := slices.IndexFunc(l.shown, func(r row) bool { return r.change >= 0 && r.folder == "" }); i >= 0 {
		l.cursor = i
	}
}

// narrowed says which changes are listed, where it is not all.
func (l *list) narrowed() string {
	var parts []string
	if l.filter != all {
		parts = append(parts, l.filter.String())
	}
	if l.search != "" {
		parts = append(parts, "/"+terminal.Escape(l.search))
	}
	if len(parts) == 0 {
		return ""
	}
	return "listed: " + strings.Join(parts, ", ") + " (esc lists all)"
}

// changed hides what lies in closed folders.
func (l *list) changed() {
	l.shown = l.shown[:0]
	skip := ""
	depth := -1
	for _, r := range l.rows {
		if skip != "" && r.depth > depth {
			continue
		}
		skip = ""
		l.shown = append(l.shown, r)
		if r.folder != "" && l.closed[r.folder] {
			skip, depth = r.folder, r.depth
		}
	}
	l.cursor = max(0, min(l.cursor, len(l.shown)-1))
}

// listKey handles a key in the list.
func (m *model) listKey(key string) tea.Cmd {
	l := m.list
	page := max(1, m.height-4)
	if to, ok := moves(key, l.cursor, len(l.shown), page); ok {
		l.cursor = to
		return nil
	}
	switch key {
	case "f":
		f := (l.filter + 1) % 3
		m.list = newList(m.diff.Changes, f, l.search).at(l)
		if f == all {
			m.status = "listed: " + f.String()
		}
	case "/":
		m.search = new(string)
	case "esc":
		m.list = newList(m.diff.Changes, all, "").at(l)
	}
	if len(l.shown) == 0 {
		return nil
	}
	r := l.shown[l.cursor]
	switch key {
	case "enter", "right", "l":
		if r.folder != "" {
			l.closed[r.folder] = !l.closed[r.folder]
			l.changed()
			return nil
		}
		return m.open(r.change)
	case "y":
		return m.chooseRow(r, proofbox.Take)
	case "n":
		return m.chooseRow(r, proofbox.Drop)
	case "u":
		return m.chooseRow(r, proofbox.Open)
	}
	return nil
}

// chooseRow decides on what a row stands for.
func (m *model) chooseRow(r row, choice proofbox.Choice) tea.Cmd {
	if r.folder != "" {
		return m.chooseAll(r.below, choice)
	}
	return m.chooseOne(r.change, choice, nil)
}

// moves says where a key moves a cursor to.
func moves(key string, at, n, page int) (int, bool) {
	switch key {
	case "up", "k":
		at--
	case "down", "j":
		at++
	case "pgup":
		at -= page
	case "pgdown", "space":
		at += page
	case "home", "g":
		at = 0
	case "end", "G":
		at = n - 1
	default:
		return at, false
	}
	return max(0, min(at, n-1)), true
}

// nothing says why nothing is listed.
func (l *list) nothing(changes int) string {
	switch {
	case changes == 0:
		return "The run has changed nothing. q leaves."
	case l.search != "":
		return "No path has that in it. esc lists all again."
	}
	return "There is nothing of that kind. f changes the filter, esc lists all."
}

// lines draws the part of the list that fits.
func (l *list) lines(changes []proofbox.Change, width, height int) []string {
	if len(l.shown) == 0 {
		return []string{"", "  " + l.nothing(len(changes))}
	}
	l.top = window(l.top, l.cursor, len(l.shown), height)
	var out []string
	for i := l.top; i < min(len(l.shown), l.top+height); i++ {
		line := fit(l.line(l.shown[i], changes), width)
		if i == l.cursor {
			line = reverse(pad(line, width))
		}
		out = append(out, line)
	}
	return out
}

// window scrolls so that a cursor is seen.
func window(top, cursor, n, height int) int {
	if cursor < top {
		top = cursor
	}
	if cursor >= top+height {
		top = cursor - height + 1
	}
	return max(0, min(top, n-height))
}

func (l *list) line(r row, changes []proofbox.Change) string {
	indent := strings.Repeat("  ", min(r.depth, 10))
	if r.folder != "" {
		name := r.folder[strings.LastIndexByte(strings.TrimSuffix(r.folder, "/"), '/')+1:]
		sign := "▾"
		if l.closed[r.folder] {
			sign = "▸"
		}
		mark, act := "   ", ""
		if r.change >= 0 {
			mark, act = markOf(changes[r.change]), action(changes[r.change])+" "
		}
		risks := ""
		if r.risks > 0 {
			risks = fmt.Sprintf(", %d !", r.risks)
		}
		text := fmt.Sprintf(" %s   %s%s %s%s  (%d%s)", mark, indent, sign, act, terminal.Name(name), len(r.below), risks)
		if sum := l.sums[proofbox.Raw(strings.TrimSuffix(r.folder, "/"))]; sum != "" && l.closed[r.folder] {
			text += "  " + sum
		}
		return text
	}
	c := changes[r.change]
	name := string(c.Path)[strings.LastIndexByte(string(c.Path), '/')+1:]
	danger := " "
	if len(c.Hazards) > 0 {
		danger = "!"
	}
	text := fmt.Sprintf(" %s %s %s%s %s%s", markOf(c), danger, indent, action(c), terminal.Name(name)+became(c), amount(c))
	switch {
	case len(c.Hazards) > 0:
		text += "  " + terminal.Escape(c.Hazards[0].Words)
	case c.Refused != "":
		text += "  never kept: " + terminal.Escape(c.Refused)
	case c.From != "":
		text += "  " + origin(c)
	}
	if c.Rejected != "" {
		text += "  discarded before, in " + terminal.Name(c.Rejected)
	}
	return text
}

// markOf is what was decided about a change.
func markOf(c proofbox.Change) string {
	switch {
	case c.Kept:
		return "[k]"
	case c.Choice == proofbox.Take:
		return "[y]"
	case c.Choice == proofbox.Drop:
		return "[n]"
	case c.Partly:
		return "[~]"
	case c.PartKept:
		return "[p]"
	case c.Refused != "" || c.Drifted:
		return "[x]"
	}
	return "[ ]"
}

func action(c proofbox.Change) string {
	return map[string]string{"added": "A", "deleted": "D", "modified": "M"}[c.Action()]
}

// became says where a link leads and how a mode has changed.
func became(c proofbox.Change) string {
	switch {
	case c.After.Kind == proofbox.Symlink:
		return " → " + terminal.Name(string(c.After.Target))
	case c.Before.Kind == c.After.Kind && c.Before.Mode != c.After.Mode:
		return fmt.Sprintf(" (mode %o → %o)", c.Before.Mode.Perm(), c.After.Mode.Perm())
	}
	return ""
}

// origin says where an added file's bytes are from.
func origin(c proofbox.Change) string {
	verb := "copied"
	if c.Renamed {
		verb = "renamed"
	}
	return fmt.Sprintf("%s from %s, %d%% the same", verb, terminal.Name(string(c.From)), c.Share)
}

func amount(c proofbox.Change) string {
	switch {
	case c.After.Kind == proofbox.Symlink:
		return ""
	case c.Binary || c.Large:
		return fmt.Sprintf("  %s → %s", proofbox.Size(c.Before.Size).Rounded(), proofbox.Size(c.After.Size).Rounded())
	case c.Insertions+c.Deletions > 0:
		return fmt.Sprintf("  +%d -%d", c.Insertions, c.Deletions)
	case c.After.Kind == proofbox.Folder || c.Before.Kind == proofbox.Folder:
		return "/"
	}
	return ""
}

// indexOf finds a change by its path; the changes are sorted by it.
func indexOf(changes []proofbox.Change, p proofbox.Raw) int {
	at := sort.Search(len(changes), func(i int) bool { return changes[i].Path >= p })
	if at == len(changes) || changes[at].Path != p {
		return -1
	}
	return at
}
