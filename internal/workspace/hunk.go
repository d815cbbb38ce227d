package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"proofbox"
)

// hunk is a part of a change of text, see [proofbox.Hunk].
type hunk struct {
	from, to int // its first line on either side, from 1
	lines    []line
	hash     string
}

// line is a line of a hunk, with its end where it has one.
type line struct {
	sign byte // ' ' on both sides, '-' before, '+' after
	text string
}

// divisible says whether a change has parts that make sense one by one: a file
// of text that stays one, or a new one.
func divisible(c proofbox.Change) bool {
	return !c.Large && !c.Binary && c.After.Kind == proofbox.File &&
		(c.Before.Kind == proofbox.File || c.Before.Kind == proofbox.Absent)
}

// hunksOf gives the hunks of a change that is divisible, and the text before.
func (c *Changes) hunksOf(change proofbox.Change) (hunks []hunk, before string, err error) {
	if !divisible(change) {
		return nil, "", nil
	}
	before, _, err = c.text(change.Before)
	if err != nil {
		return nil, "", err
	}
	after, _, err := c.text(change.After)
	if err != nil {
		return nil, "", err
	}
	return hunksBetween(before, after), before, nil
}

// hunksBetween compares two texts line by line. The library bounds its own work,
// at the cost of longer differences.
func hunksBetween(before, after string) []hunk {
	b := hunkBuilder{lines: splitLines(before)}
	for _, e := range udiff.Lines(before, after) {
		b.edit(e)
	}
	b.close()
	seen := map[string]int{}
	for i := range b.list {
		h := &b.list[i]
		body := h.changed()
		h.hash = hashOf(fmt.Sprintf("%d\n%s", seen[body], body))
		seen[body]++
	}
	return b.list
}

// hunkBuilder makes hunks of edits that come in order and begin and end where
// lines do.
type hunkBuilder struct {
	lines  []string // of what was before
	at     int      // the first line that is not in a hunk yet, from 0
	offset int      // and where it begins, in bytes
	growth int      // by how many lines the edits so far make the text longer
	list   []hunk
}

func (b *hunkBuilder) edit(e udiff.Edit) {
	skipped := 0
	for offset := b.offset; offset < e.Start; skipped++ {
		offset += len(b.lines[b.at+skipped])
	}
	if len(b.list) == 0 || skipped > 2*contextLines {
		skipped += b.at
		b.close()
		b.skip(max(0, skipped-b.at-contextLines))
		b.list = append(b.list, hunk{from: b.at + 1, to: b.at + 1 + b.growth})
	}
	for b.offset < e.Start {
		b.take(' ')
	}
	for b.offset < e.End {
		b.take('-')
		b.growth--
	}
	h := &b.list[len(b.list)-1]
	for _, text := range splitLines(e.New) {
		h.lines = append(h.lines, line{'+', text})
		b.growth++
	}
}

// skip leaves lines out of all hunks.
func (b *hunkBuilder) skip(n int) {
	for range n {
		b.offset += len(b.lines[b.at])
		b.at++
	}
}

// take puts the next line into the last hunk.
func (b *hunkBuilder) take(sign byte) {
	h := &b.list[len(b.list)-1]
	h.lines = append(h.lines, line{sign, b.lines[b.at]})
	b.skip(1)
}

// close ends the last hunk with the lines that follow it.
func (b *hunkBuilder) close() {
	for n := 0; len(b.list) > 0 && n < contextLines && b.at < len(b.lines); n++ {
		b.take(' ')
	}
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return digestPrefix + hex.EncodeToString(sum[:])
}

// changed gives the lines that go and come.
func (h *hunk) changed() string {
	var out strings.Builder
	for _, l := range h.lines {
		if l.sign != ' ' {
			out.WriteByte(l.sign)
			out.WriteString(l.text)
		}
	}
	return out.String()
}

// count gives how many lines of a hunk have one of the signs.
func (h *hunk) count(signs string) (n int) {
	for _, l := range h.lines {
		if strings.IndexByte(signs, l.sign) >= 0 {
			n++
		}
	}
	return n
}

// text gives the hunk in unified form; see diff(1).
func (h *hunk) text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "@@ -%s +%s @@\n", span(h.from, h.count(" -")), span(h.to, h.count(" +")))
	for _, l := range h.lines {
		out.WriteByte(l.sign)
		out.WriteString(l.text)
		if !strings.HasSuffix(l.text, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
	return out.String()
}

// span says which lines of a side a hunk has. Where it has none, it names the
// line before.
func span(first, lines int) string {
	switch lines {
	case 0:
		return fmt.Sprintf("%d,0", first-1)
	case 1:
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d,%d", first, lines)
}

// modeHash is the hash of a change of mode, which is decided like a hunk.
func modeHash(c proofbox.Change) string {
	return hashOf("mode " + gitMode(c.Before) + " " + gitMode(c.After))
}

// modeHunk gives the change of mode as a hunk; ok is false where there is none.
func modeHunk(c proofbox.Change) (proofbox.Hunk, bool) {
	if c.Before.Kind != proofbox.File || c.Before.Mode == c.After.Mode {
		return proofbox.Hunk{}, false
	}
	text := fmt.Sprintf("old mode %s\nnew mode %s\n", gitMode(c.Before), gitMode(c.After))
	return proofbox.Hunk{Hash: modeHash(c), Text: proofbox.Raw(text)}, true
}

// Hunks gives the parts of a change that can be decided on one by one, with what
// was decided: none where it is one whole.
func (c *Changes) Hunks(change proofbox.Change) ([]proofbox.Hunk, error) {
	hunks, _, err := c.hunksOf(change)
	if err != nil || !divisible(change) {
		return nil, err
	}
	var list []proofbox.Hunk
	if m, ok := modeHunk(change); ok {
		list = append(list, m)
	}
	for i := range hunks {
		h := &hunks[i]
		list = append(list, proofbox.Hunk{N: i + 1, Hash: h.hash, Text: proofbox.Raw(h.text())})
	}
	c.decisions.tell(change.Path, list)
	return list, nil
}

// selection says which lines of a change are chosen: by a hunk's hash, all of
// its lines (an empty list) or some, counted from 1.
type selection map[string][]int

// chooses says whether a line of a hunk is chosen.
func (s selection) chooses(hash string, line int) bool {
	lines, ok := s[hash]
	return ok && (len(lines) == 0 || slices.Contains(lines, line))
}

// add chooses a hunk, or some of its lines.
func (s selection) add(hash string, lines []int) {
	old, ok := s[hash]
	if ok && len(old) == 0 || len(lines) == 0 {
		s[hash] = nil
		return
	}
	s[hash] = append(old, lines...)
}

// compose applies the chosen lines of hunks to a text. A line that is not chosen
// stays as it was: gone ones stay, new ones do not come.
func compose(before string, hunks []hunk, chosen selection) string {
	var out strings.Builder
	rest := splitLines(before)
	at := 1
	ended := true
	write := func(line string) {
		if !ended { // only the last line of a side may have no end
			out.WriteByte('\n')
		}
		out.WriteString(line)
		ended = strings.HasSuffix(line, "\n")
	}
	for _, h := range hunks {
		for ; at < h.from && len(rest) > 0; at++ {
			write(rest[0])
			rest = rest[1:]
		}
		for i, l := range h.lines {
			taken := chosen.chooses(h.hash, i+1)
			if l.sign != '+' {
				rest, at = rest[1:], at+1
			}
			if l.sign == ' ' || taken == (l.sign == '+') {
				write(l.text)
			}
		}
	}
	for _, line := range rest {
		write(line)
	}
	return out.String()
}

// splitLines gives the lines of a text with their ends.
func splitLines(text string) []string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// part gives a change of which only the selection is taken; the bytes that it
// makes are stored.
func (c *Changes) part(change proofbox.Change, chosen selection) (proofbox.Change, error) {
	hunks, before, err := c.hunksOf(change)
	if err != nil {
		return change, err
	}
	if !divisible(change) {
		return change, fmt.Errorf("%q has no hunks: it is kept as a whole or not at all", change.Path)
	}
	text := compose(before, hunks, chosen)
	digest, err := c.putText(text)
	if err != nil {
		return change, fmt.Errorf("storing what is kept of %q: %w", change.Path, err)
	}
	mode := change.After.Mode
	if _, ok := modeHunk(change); ok {
		if _, taken := chosen[modeHash(change)]; !taken {
			mode = change.Before.Mode
		}
	}
	change.After = proofbox.Entry{Kind: proofbox.File, Mode: mode, Size: int64(len(text)), Digest: digest}
	return change, nil
}
