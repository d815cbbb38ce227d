package review

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Styles are escape sequences of the program's own, around text that holds none.
// bubbletea leaves colours out where the terminal has none or $NO_COLOR is set.
func bold(text string) string    { return "\x1b[1m" + text + "\x1b[0m" }
func faint(text string) string   { return "\x1b[2m" + text + "\x1b[0m" }
func reverse(text string) string { return "\x1b[7m" + text + "\x1b[0m" }
func red(text string) string     { return "\x1b[31m" + text + "\x1b[0m" }
func green(text string) string   { return "\x1b[32m" + text + "\x1b[0m" }
func cyan(text string) string    { return "\x1b[36m" + text + "\x1b[0m" }

// bar is a line across the screen.
func bar(text string, width int) string { return reverse(pad(fit(text, width), width)) }

// maxLine bounds how many bytes of a line are looked at: more than any screen
// shows.
const maxLine = 4096

// fit cuts a line to a width in columns.
func fit(line string, width int) string {
	if len(line) > maxLine {
		line = strings.ToValidUTF8(line[:maxLine], "")
	}
	return ansi.Truncate(line, width, "…")
}

// pad fills a line up to a width.
func pad(line string, width int) string {
	return line + strings.Repeat(" ", max(0, width-ansi.StringWidth(line)))
}

// expand replaces tabs by blanks, up to the next of every four columns.
func expand(line string) string {
	if !strings.Contains(line, "\t") {
		return line
	}
	var out strings.Builder
	column := 0
	for _, r := range line {
		if r != '\t' {
			out.WriteRune(r)
			column++
			continue
		}
		n := tabStop(column)
		out.WriteString(strings.Repeat(" ", n))
		column += n
	}
	return out.String()
}

// tabStop is how many blanks a tab is that follows so many characters: the sign of a
// line takes a column.
func tabStop(column int) int { return 4 - (column+3)%4 }

// wrap breaks lines at a width.
func wrap(lines []string, width int) []string {
	var out []string
	for _, line := range lines {
		out = append(out, strings.Split(ansi.Wrap(expand(line), max(10, width-2), ""), "\n")...)
	}
	for i := range out {
		out[i] = " " + out[i]
	}
	return out
}
