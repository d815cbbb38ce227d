package workspace

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"proofbox"
)

// chunk is a run of lines of a base that a side has replaced by others.
type chunk struct {
	start, end int // lines of the base, from 0, end excluded
	lines      []string
}

// chunksBetween lists what a side has replaced. Two chunks have an unchanged
// line between them.
func chunksBetween(base, side string) []chunk {
	var list []chunk
	for _, h := range hunksBetween(base, side) {
		at, inside := h.from-1, false
		for _, l := range h.lines {
			if l.sign == ' ' {
				at, inside = at+1, false
				continue
			}
			if !inside {
				list, inside = append(list, chunk{start: at, end: at}), true
			}
			last := &list[len(list)-1]
			if l.sign == '+' {
				last.lines = append(last.lines, l.text)
			} else {
				at++
				last.end = at
			}
		}
	}
	return list
}

// merged is what has become of a text that two sides have changed.
type merged struct {
	text      string
	conflicts int // regions that both have changed, each in its own way
	first     int // the line of the text where the first of them begins, from 1
}

// merge3 merges by content: what one side has changed is taken from it, what
// both have changed alike is taken once. As git has it, changes that touch
// without an unchanged line between them are one region. Where the sides
// disagree, the preferred one is taken; with none, both are in the text between
// git's marks.
func merge3(base, original, run string, prefer proofbox.Side) merged {
	m := merger{base: splitLines(base), prefer: prefer}
	m.sides = [2][]chunk{chunksBetween(base, original), chunksBetween(base, run)}
	for m.region() {
	}
	m.copy(len(m.base))
	return merged{m.out.String(), m.conflicts, m.first}
}

// merger goes through a base and what two sides have made of it.
type merger struct {
	base      []string
	sides     [2][]chunk // what is still to come: of the original, of the run
	prefer    proofbox.Side
	at        int // the next line of the base
	out       strings.Builder
	conflicts int
	first     int
}

// copy takes lines of the base as they are.
func (m *merger) copy(end int) {
	for ; m.at < end; m.at++ {
		m.out.WriteString(m.base[m.at])
	}
}

// region merges the next region that a side has changed.
func (m *merger) region() bool {
	start, ok := m.start()
	if !ok {
		return false
	}
	m.copy(start)
	var own [2][]chunk
	end := start
	for moved := true; moved; {
		moved = false
		for i := range m.sides {
			for len(m.sides[i]) > 0 && m.sides[i][0].start <= end {
				own[i], end = append(own[i], m.sides[i][0]), max(end, m.sides[i][0].end)
				m.sides[i], moved = m.sides[i][1:], true
			}
		}
	}
	original, run := m.render(own[0], start, end), m.render(own[1], start, end)
	switch {
	case len(own[1]) == 0 || original == run:
		m.out.WriteString(original)
	case len(own[0]) == 0:
		m.out.WriteString(run)
	default:
		m.conflict(original, run)
	}
	m.at = end
	return true
}

// start is where the next region begins.
func (m *merger) start() (at int, ok bool) {
	at = len(m.base) + 1
	for _, side := range m.sides {
		if len(side) > 0 {
			at, ok = min(at, side[0].start), true
		}
	}
	return at, ok
}

// render gives what a side has made of a region.
func (m *merger) render(chunks []chunk, start, end int) string {
	var out strings.Builder
	for _, c := range chunks {
		for _, line := range m.base[start:c.start] {
			out.WriteString(line)
		}
		for _, line := range c.lines {
			out.WriteString(line)
		}
		start = c.end
	}
	for _, line := range m.base[start:end] {
		out.WriteString(line)
	}
	return out.String()
}

func (m *merger) conflict(original, run string) {
	switch m.prefer {
	case proofbox.TakeOriginal:
		m.out.WriteString(original)
		return
	case proofbox.TakeRun:
		m.out.WriteString(run)
		return
	}
	if m.conflicts++; m.conflicts == 1 {
		m.first = strings.Count(m.out.String(), "\n") + 1
	}
	fmt.Fprintf(&m.out, "<<<<<<< original\n%s=======\n%s>>>>>>> run\n", ended(original), ended(run))
}

// ended gives a text whose last line has an end.
func ended(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

// disagreement says why three versions of a path have no merge.
type disagreement struct {
	why  string
	text string // with conflict marks, where the versions are text
}

// reconcile merges what a path was, what it should become and what it is now.
// Each kind of conflict has a rule:
//
//	text          by lines; regions that both changed conflict
//	binary        one version or the other
//	mode          the side that has changed it; both differently conflict
//	link, kind    one version or the other
//	deletion      conflicts with any change on the other side
//	new folder    made on both sides it is there already, with the original's mode
//	new file      made on both sides it conflicts, unless it is the same
//
// With a preferred side there is no conflict.
func (c *Changes) reconcile(base, want, now proofbox.Entry, prefer proofbox.Side) (proofbox.Entry, *disagreement, error) {
	switch {
	case now == base || now == want:
		return want, nil, nil
	case want == base, want.Kind == proofbox.Folder && now.Kind == proofbox.Folder && base.Kind == proofbox.Absent:
		return now, nil, nil
	case now.Kind == proofbox.Special:
		return now, &disagreement{why: "it is a device, FIFO or socket in the original now"}, nil
	}
	alike := base.Kind == want.Kind && want.Kind == now.Kind
	if alike && want.Kind == proofbox.File {
		return c.reconcileFiles(base, want, now, prefer)
	}
	if alike && want.Kind == proofbox.Folder {
		want.Mode = preferred(base.Mode, want.Mode, now.Mode, prefer)
		return want, nil, nil
	}
	switch prefer {
	case proofbox.TakeRun:
		return want, nil, nil
	case proofbox.TakeOriginal:
		return now, nil, nil
	}
	return now, &disagreement{why: disagree(base, want, now)}, nil
}

// disagree says in words how two sides differ.
func disagree(base, want, now proofbox.Entry) string {
	switch {
	case now.Kind == proofbox.Absent:
		return "it is gone in the original, and the run has changed it"
	case want.Kind == proofbox.Absent:
		return "the run has deleted it, and it has changed in the original since the run began"
	case base.Kind == proofbox.Absent:
		return fmt.Sprintf("it has been made in the original since the run began, as a %s, and the run has made another", now.Kind)
	case now.Kind != want.Kind:
		return fmt.Sprintf("it is a %s in the original now, and a %s in the run", now.Kind, want.Kind)
	}
	return fmt.Sprintf("the %s has changed in the original since the run began, and differently in the run", now.Kind)
}

// preferred merges a mode; where both sides have changed it and none is
// preferred, it is the original's.
func preferred(base, want, now fs.FileMode, prefer proofbox.Side) fs.FileMode {
	if now == base || prefer == proofbox.TakeRun && want != base {
		return want
	}
	return now
}

func (c *Changes) reconcileFiles(base, want, now proofbox.Entry, prefer proofbox.Side) (proofbox.Entry, *disagreement, error) {
	out := now
	out.Mode = preferred(base.Mode, want.Mode, now.Mode, prefer)
	if prefer == "" && want.Mode != base.Mode && now.Mode != base.Mode && want.Mode != now.Mode {
		return now, &disagreement{why: fmt.Sprintf("its mode is %s in the original now, and %s in the run", gitMode(now), gitMode(want))}, nil
	}
	switch {
	case want.Digest == base.Digest || want.Digest == now.Digest:
		return out, nil, nil
	case now.Digest == base.Digest:
		out.Size, out.Digest = want.Size, want.Digest
		return out, nil, nil
	}
	texts, ok, err := c.texts(base, now, want)
	if err != nil {
		return now, nil, err
	}
	if !ok {
		switch prefer {
		case proofbox.TakeRun:
			out.Size, out.Digest = want.Size, want.Digest
			return out, nil, nil
		case proofbox.TakeOriginal:
			return out, nil, nil
		}
		return now, &disagreement{why: "it has changed in the original since the run began, and is no text of at most 2 MiB that could be merged"}, nil
	}
	m := merge3(texts[0], texts[1], texts[2], prefer)
	if m.conflicts > 0 {
		why := fmt.Sprintf("it has changed in the original since the run began, in the same lines (line %d)", m.first)
		return now, &disagreement{why: why, text: m.text}, nil
	}
	out.Size = int64(len(m.text))
	out.Digest, err = c.putText(m.text)
	return out, nil, err
}

// texts reads stored files; ok is false where one is not text.
func (c *Changes) texts(entries ...proofbox.Entry) (texts []string, ok bool, err error) {
	for _, e := range entries {
		text, ok, err := c.text(e)
		if err != nil || !ok {
			return nil, false, err
		}
		texts = append(texts, text)
	}
	return slices.Clip(texts), true, nil
}
