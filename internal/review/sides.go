package review

import (
	"strings"

	"proofbox/internal/terminal"
)

// pair is a row of the screen with the old text on the left and the new one on the
// right: the indices of two lines, -1 for none. A line that has no sides is both.
type pair struct{ old, new int }

// pairs puts the lines that come in a place beside those that go there.
func (f *file) pairs() []pair {
	var rows []pair
	for i := 0; i < len(f.text); {
		gone := f.run(i, "-")
		come := f.run(gone, "+")
		if come == i {
			rows = append(rows, pair{i, i})
			i++
			continue
		}
		for n := range max(gone-i, come-gone) {
			row := pair{-1, -1}
			if i+n < gone {
				row.old = i + n
			}
			if gone+n < come {
				row.new = gone + n
			}
			rows = append(rows, row)
		}
		i = come
	}
	return rows
}

// run gives where the changed lines with a sign end that begin at a line.
func (f *file) run(at int, sign string) int {
	for at < len(f.text) && f.text[at].changed() && strings.HasPrefix(f.text[at].text, sign) {
		at++
	}
	return at
}

// sides draws the part of the change that fits, old and new side by side.
func (f *file) sides(width, height int) (out []string) {
	rows := f.pairs()
	cursor := 0
	for i, r := range rows {
		if r.old == f.cursor || r.new == f.cursor {
			cursor = i
		}
	}
	f.top = window(f.top, cursor, len(rows), height)
	half := max(10, (width-3)/2)
	for _, r := range rows[f.top:min(len(rows), f.top+height)] {
		if r.old == r.new && f.text[r.old].n <= 0 {
			out = append(out, f.line(r.old, width))
			continue
		}
		out = append(out, f.half(r.old, half)+" │ "+f.half(r.new, half))
	}
	return out
}

// half draws a line on its side.
func (f *file) half(i, width int) string {
	if i < 0 {
		return strings.Repeat(" ", width)
	}
	l := f.text[i]
	gutter := f.gutter(l)[:3]
	if !f.marked(i) {
		if line, ok := l.painted(f.partsOf(l), gutter, f.shift, width); ok {
			return pad(line, width)
		}
	}
	line := pad(fit(gutter+shifted(expand(terminal.Escape(l.text)), f.shift), width), width)
	if f.marked(i) {
		return reverse(line)
	}
	return l.coloured(line)
}
