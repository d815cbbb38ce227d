package review

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"proofbox/internal/syntax"
	"proofbox/internal/terminal"
)

// styles are escape sequences for the parts of a line that has not changed.
var styles = map[syntax.Class]string{syntax.Keyword: "\x1b[35m", syntax.Comment: "\x1b[2m", syntax.Literal: "\x1b[33m", syntax.Name: "\x1b[34m"}

// changedStyles are those for the parts of one that comes or goes, beside the colour
// that says so.
var changedStyles = map[syntax.Class]string{syntax.Keyword: "\x1b[1m", syntax.Comment: "\x1b[2m"}

// cell is a character on the screen. What is dangerous is several, as its escape is.
type cell struct {
	r     rune
	class syntax.Class
}

// cells gives the characters of a line, whose parts must be all of it but its sign,
// and end where characters do.
func cells(line string, parts []syntax.Part) ([]cell, bool) {
	if strings.IndexByte(" +-", line[0]) < 0 {
		return nil, false
	}
	at := 1
	row := []cell{{rune(line[0]), syntax.Plain}}
	for _, p := range parts {
		if p.Bytes < 0 || p.Bytes > len(line)-at {
			return nil, false
		}
		for _, r := range terminal.Escape(line[at : at+p.Bytes]) {
			if r != '\t' {
				row = append(row, cell{r, p.Class})
				continue
			}
			for range tabStop(len(row)) {
				row = append(row, cell{' ', p.Class})
			}
		}
		if at += p.Bytes; at < len(line) && !utf8.RuneStart(line[at]) {
			return nil, false
		}
	}
	return row, at == len(line)
}

// painted draws a line with the colours of its parts; ok is false where they are not
// known.
func (l textLine) painted(parts []syntax.Part, gutter string, shift, width int) (text string, ok bool) {
	if len(parts) == 0 || l.n < 1 || l.text == "" {
		return "", false
	}
	row, ok := cells(l.text, parts)
	if !ok {
		return "", false
	}
	base, style := "", styles
	switch l.text[0] {
	case '+':
		base, style = "\x1b[32m", changedStyles
	case '-':
		base, style = "\x1b[31m", changedStyles
	}
	var out strings.Builder
	out.WriteString(gutter)
	was := syntax.Class(255)
	row = row[min(shift, len(row)):]
	for _, c := range row[:min(len(row), 2*width)] { // some characters take no column
		if c.class != was {
			out.WriteString("\x1b[0m" + base + style[c.class])
			was = c.class
		}
		out.WriteRune(c.r)
	}
	return ansi.Truncate(out.String(), width, "…") + "\x1b[0m", true
}
