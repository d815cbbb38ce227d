package review

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"proofbox"
	"proofbox/internal/syntax"
	"proofbox/internal/terminal"
)

// file is one change, with its text.
type file struct {
	change proofbox.Change
	text   []textLine
	cursor int
	top    int
	from   int // where a range begins, -1 for none
	split  bool
	folded []bool            // by hunk: of what was decided against before, only the head is shown
	said   []textLine        // before the hunks
	parts  [][][]syntax.Part // of the lines of each hunk, by number; nil while nothing is known
	shift  int               // how many characters of each line are left of the screen
}

// textLine is a line as it came from the box, and where it belongs.
type textLine struct {
	text string
	hunk int // index of its hunk, -1 for none
	n    int // which line of its hunk, from 1; 0 for its head, negative for what belongs to a line
}

// open fetches the text of a change.
func (m *model) open(i int) tea.Cmd {
	path := m.diff.Changes[i].Path
	return func() tea.Msg {
		diff, err := m.run.Diff(m.ctx, proofbox.DiffRequest{Paths: []proofbox.Raw{path}})
		diff.Changes = append([]proofbox.Change(nil), diff.Changes...)
		for _, c := range diff.Changes {
			if c.Path == path { // a folder has what is below it, too
				diff.Changes = []proofbox.Change{c}
				break
			}
		}
		return opened{diff, err}
	}
}

func (m *model) openFile(o opened) tea.Cmd {
	if m.failed(o.err) || len(o.diff.Changes) == 0 {
		return nil
	}
	c := o.diff.Changes[0]
	m.seen[c.Path] = true
	m.file = newFile(c, string(o.diff.Text), m.width-gutterWidth)
	m.file.toHunk(max(1, m.height-5))
	f := m.file
	return func() tea.Msg {
		parts, err := m.run.Colours(m.ctx, syntax.Order{Path: c.Path, Hunks: c.Hunks})
		return coloured{f, parts, err}
	}
}

// toHunk puts the cursor on the first hunk, where what is said before it is on the
// same screen.
func (f *file) toHunk(height int) {
	if f.hunk() == nil {
		f.jump(1)
	}
	if f.cursor >= height {
		f.cursor = 0
	}
}

// gutterWidth is how many columns before each line say what was decided.
const gutterWidth = 4

// newFile lays out a change. What is said of it is broken at a width; its text is
// not.
func newFile(c proofbox.Change, diff string, width int) *file {
	f := &file{change: c, from: -1}
	add := func(text string, hunk, n int) { f.text = append(f.text, textLine{text, hunk, n}) }
	say := func(sign, text string) {
		for i, line := range wrap([]string{terminal.Escape(strings.ReplaceAll(text, "\n", `\n`))}, width-1) {
			if add(sign+line, -1, 0); i == 0 {
				sign = " "
			}
		}
	}
	for _, h := range c.Hazards {
		where := ""
		if h.Line > 0 {
			where = fmt.Sprintf("line %d ", h.Line)
		}
		say("!", where+h.Words)
	}
	if c.From != "" {
		say("#", origin(c))
	}
	for _, n := range c.Notes {
		say("#", "it "+n)
	}
	for _, p := range c.Packages {
		say("#", "package "+p.Words())
	}
	if w := c.Writers; w != nil {
		say("#", "it was written by "+writers(w))
	}
	if c.Refused != "" {
		say("!", "never kept: "+c.Refused)
	}
	if len(c.Hunks) == 0 {
		for line := range strings.Lines(diff) {
			add(strings.TrimSuffix(line, "\n"), -1, 0)
		}
		return f
	}
	f.said = f.text
	f.folded = make([]bool, len(c.Hunks))
	for i, h := range c.Hunks {
		f.folded[i] = h.Rejected != "" && h.Choice == proofbox.Open && !h.Kept
	}
	f.layOut()
	return f
}

// layOut gives the hunks their lines.
func (f *file) layOut() {
	f.text = slices.Clip(f.said)
	for i, h := range f.change.Hunks {
		n := 0
		for line := range strings.Lines(string(h.Text)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case n > 0 && (h.N == 0 || strings.HasPrefix(line, "\\")):
				f.text = append(f.text, textLine{line, i, -1})
				continue
			case n == 0 && h.Rejected != "":
				line += "  discarded before, in " + h.Rejected
				if f.folded[i] {
					line += ": o shows it"
				}
			}
			f.text = append(f.text, textLine{line, i, n})
			if n++; f.folded[i] {
				break
			}
		}
	}
}

// unfold shows or hides what is below the head of the hunk that the cursor is in.
func (f *file) unfold() string {
	if f.hunk() == nil {
		return "the cursor is in no hunk: tab goes to one"
	}
	i := f.text[f.cursor].hunk
	f.folded[i], f.from = !f.folded[i], -1
	f.layOut()
	f.cursor = slices.IndexFunc(f.text, func(l textLine) bool { return l.hunk == i })
	return ""
}

// writers says who has written a change.
func writers(w *proofbox.Writers) string {
	var names []string
	for _, n := range w.Names {
		if n != w.Last {
			names = append(names, string(n))
		}
	}
	text := string(w.Last)
	if len(names) > 0 {
		text += " (" + strings.Join(names, ", ") + ")"
	}
	if w.Unknown != "" {
		text += " and perhaps others: " + w.Unknown
	}
	return strings.TrimSpace(text)
}

// hunk gives the hunk that the cursor is in, nil for none.
func (f *file) hunk() *proofbox.Hunk {
	if f.cursor >= len(f.text) || f.text[f.cursor].hunk < 0 {
		return nil
	}
	return &f.change.Hunks[f.text[f.cursor].hunk]
}

// fileKey handles a key in a change.
func (m *model) fileKey(key string) tea.Cmd {
	f := m.file
	if to, ok := moves(key, f.cursor, len(f.text), max(1, m.height-5)); ok {
		f.cursor = to
		return nil
	}
	i := indexOf(m.diff.Changes, f.change.Path)
	if len(f.change.Hunks) == 0 && strings.Contains("ynu", key) {
		key = strings.ToUpper(key) // it is one whole
	}
	switch key {
	case "esc", "left", "h":
		if f.from >= 0 {
			f.from = -1
			return nil
		}
		m.file = nil
	case "tab":
		f.jump(1)
	case "shift+tab":
		f.jump(-1)
	case "v":
		f.from = f.cursor
		m.status = "a range begins here: move, then y or n; esc ends it"
	case "b":
		m.status = f.block()
	case "o":
		m.status = f.unfold()
	case "s":
		f.split = !f.split
	case ">":
		f.shift += shiftBy
	case "<":
		f.shift = max(0, f.shift-shiftBy)
	case "Y":
		return m.wholeFile(i, proofbox.Take)
	case "N":
		return m.wholeFile(i, proofbox.Drop)
	case "U":
		return m.wholeFile(i, proofbox.Open)
	case "y":
		return m.hunkChoice(i, proofbox.Take)
	case "n":
		return m.hunkChoice(i, proofbox.Drop)
	case "u":
		return m.hunkChoice(i, proofbox.Open)
	}
	return nil
}

// shiftBy is how far a line moves to the left, to show what is far right in it.
const shiftBy = 40

// jump goes to the next or the previous hunk.
func (f *file) jump(by int) {
	here := -1
	if f.cursor < len(f.text) {
		here = f.text[f.cursor].hunk
	}
	for i := f.cursor + by; i >= 0 && i < len(f.text); i += by {
		if h := f.text[i].hunk; h != here && h >= 0 {
			for i > 0 && f.text[i-1].hunk == h {
				i--
			}
			f.cursor = i
			return
		}
	}
}

// block makes a range of the changed lines around the cursor, or of the next ones
// in its hunk.
func (f *file) block() string {
	from := f.cursor
	for from < len(f.text) && !f.text[from].changed() {
		if from++; from == len(f.text) || f.text[from].hunk != f.text[f.cursor].hunk {
			return "there is no changed line here or below in this hunk"
		}
	}
	if from == len(f.text) {
		return "there is nothing here"
	}
	to := from
	for from > 0 && f.text[from-1].changed() {
		from--
	}
	for to+1 < len(f.text) && f.text[to+1].changed() {
		to++
	}
	f.from, f.cursor = from, to
	return fmt.Sprintf("%d lines: y or n decides on them; esc ends the range", to-from+1)
}

func (l textLine) changed() bool {
	return l.n > 0 && (strings.HasPrefix(l.text, "+") || strings.HasPrefix(l.text, "-"))
}

// lines gives the lines of a hunk that a range has chosen; none without a range.
func (f *file) chosen(hunk int) (lines []int) {
	if f.from < 0 {
		return nil
	}
	for i := min(f.from, f.cursor); i <= max(f.from, f.cursor); i++ {
		if l := f.text[i]; l.hunk == hunk && l.changed() {
			lines = append(lines, l.n)
		}
	}
	return lines
}

// wholeFile decides on the change, and asks where it would run.
func (m *model) wholeFile(i int, choice proofbox.Choice) tea.Cmd {
	if i < 0 {
		return nil
	}
	return m.chooseOne(i, choice, func() {
		for j := range m.file.change.Hunks {
			m.file.change.Hunks[j].Choice, m.file.change.Hunks[j].Lines = choice, nil
		}
		m.file.change.Choice = choice
	})
}

// gated asks for a yes before something is kept that would run here.
func (m *model) gated(i int, choice proofbox.Choice, act func([]proofbox.Allowance) tea.Cmd) tea.Cmd {
	c := &m.diff.Changes[i]
	if choice != proofbox.Take || len(c.Hazards) == 0 || m.forbids(c, choice, false) != "" {
		return act(nil)
	}
	lines := []string{"Keep " + terminal.Name(string(c.Path)) + "? On this machine it", ""}
	for _, h := range c.Hazards {
		lines = append(lines, "  "+terminal.Escape(h.Words))
	}
	lines = append(lines, "", "y keeps exactly these bytes nevertheless, any other key does not.")
	m.ask = &question{lines: lines, yes: func() tea.Cmd {
		return act([]proofbox.Allowance{{Path: c.Path, Hash: c.Hash}})
	}}
	return nil
}

// hunkChoice decides on the hunk at the cursor, or on the lines of a range in it.
func (m *model) hunkChoice(i int, choice proofbox.Choice) tea.Cmd {
	f := m.file
	h := f.hunk()
	switch {
	case i < 0:
		return nil
	case h == nil:
		m.status = "the cursor is in no hunk: tab goes to one"
		return nil
	}
	if why := m.forbids(&m.diff.Changes[i], choice, false); why != "" {
		m.status = why
		return nil
	}
	if choice == proofbox.Take && f.folded[f.text[f.cursor].hunk] {
		f.unfold()
		m.status = "it was discarded before: this is what it is, y again keeps it"
		return nil
	}
	lines := f.chosen(f.text[f.cursor].hunk)
	if f.from >= 0 && len(lines) == 0 {
		m.status = "no line of the range has changed"
		return nil
	}
	return m.gated(i, choice, func(allow []proofbox.Allowance) tea.Cmd {
		h.Choice, h.Lines, f.from = choice, lines, -1
		m.noteHunks(i)
		f.jump(1)
		return m.decide(proofbox.ChoiceRequest{Choice: choice, Allow: allow, Hunks: []proofbox.HunkRef{{Path: f.change.Path, N: h.N, Lines: lines, Hash: h.Hash}}})
	})
}

// noteHunks notes what the choices about a change's hunks come to.
func (m *model) noteHunks(i int) {
	hunks := m.file.change.Hunks
	whole := proofbox.Together(hunks)
	some := slices.ContainsFunc(hunks, func(h proofbox.Hunk) bool { return h.Choice == proofbox.Take && !h.Kept })
	c := &m.diff.Changes[i]
	m.file.change.Choice, c.Choice, c.Partly, m.counted = whole, whole, some && whole == proofbox.Open, nil
}

// keys names the keys that do something here.
func (f *file) keys() string {
	if len(f.change.Hunks) == 0 {
		return "y keep  n discard  u undecide  > < shift  ? help  esc back"
	}
	return "tab next  y n u hunk  Y N U file  v range  b block  s sides  ? help  esc back"
}

// lines draws the part of the change that fits.
func (f *file) lines(width, height int) []string {
	out := []string{bold(fit(" "+terminal.Name(string(f.change.Path))+"  ("+f.change.Action()+")", width))}
	height--
	if f.split {
		return append(out, f.sides(width, height)...)
	}
	f.top = window(f.top, f.cursor, len(f.text), height)
	for i := f.top; i < min(len(f.text), f.top+height); i++ {
		out = append(out, f.line(i, width))
	}
	return out
}

// line draws one line: what was decided, and the text.
func (f *file) line(i, width int) string {
	l := f.text[i]
	gutter := "    "
	if l.hunk >= 0 {
		gutter = f.gutter(l)
	}
	shift := f.shift
	if l.n <= 0 && len(f.change.Hunks) > 0 {
		shift = 0 // what is said of the change and its hunks stays in sight
	}
	if !f.marked(i) {
		if line, ok := l.painted(f.partsOf(l), gutter, shift, width); ok {
			return line
		}
	}
	line := fit(gutter+shifted(expand(terminal.Escape(l.text)), shift), width)
	if f.marked(i) {
		return reverse(pad(line, width))
	}
	return l.coloured(line)
}

// partsOf gives the parts of a line, where they are known.
func (f *file) partsOf(l textLine) []syntax.Part {
	if l.n < 1 || l.hunk >= len(f.parts) || l.n >= len(f.parts[l.hunk]) {
		return nil
	}
	return f.parts[l.hunk][l.n]
}

// marked says whether the cursor is on a line, or a range has it.
func (f *file) marked(i int) bool {
	return i == f.cursor || f.from >= 0 && i >= min(f.from, f.cursor) && i <= max(f.from, f.cursor)
}

// coloured gives a line, or a part of it, the colour of what it is.
func (l textLine) coloured(line string) string {
	switch {
	case strings.HasPrefix(l.text, "! ") && l.hunk < 0:
		return bold(line)
	case strings.HasPrefix(l.text, "@@"):
		return cyan(line)
	case strings.HasPrefix(l.text, "+"):
		return green(line)
	case strings.HasPrefix(l.text, "-"):
		return red(line)
	}
	return line
}

// gutter says what was decided about a line's hunk, or about the line itself.
func (f *file) gutter(l textLine) string {
	h := f.change.Hunks[l.hunk]
	mark := map[proofbox.Choice]string{proofbox.Open: " ", proofbox.Take: "y", proofbox.Drop: "n"}[h.Choice]
	if len(h.Lines) > 0 && h.Choice == proofbox.Take && l.n == 0 {
		mark = "~"
	}
	if h.Kept {
		mark = "k"
	}
	if h.Kept && len(h.Lines) > 0 && l.n == 0 {
		mark = "p"
	}
	if l.n == 0 {
		return "[" + mark + "] "
	}
	if !l.changed() || len(h.Lines) > 0 && !slices.Contains(h.Lines, l.n) {
		mark = " "
	}
	return " " + mark + "  "
}

// shifted leaves out the first characters of a line.
func shifted(line string, by int) string {
	for ; by > 0 && line != ""; by-- {
		_, size := utf8.DecodeRuneInString(line)
		line = line[size:]
	}
	return line
}
