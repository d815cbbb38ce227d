package workspace

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"

	"proofbox"
	"proofbox/internal/hazard"
)

// Proposal is what a keep would write, in parts that can be tried one after the
// other: each is a path with everything without which it makes no sense.
type Proposal struct {
	// Refused is what was asked for and would not be written, with the reasons.
	Refused []proofbox.Change

	changes *Changes
	parts   [][]wish
	prefer  proofbox.Side
}

// Propose gives what a keep would write, without writing any of it.
func (c *Changes) Propose(o KeepOptions) (*Proposal, error) {
	if err := checkSide(o.Conflict); err != nil {
		return nil, err
	}
	chosen, refused, err := c.choose(o)
	if err != nil {
		return nil, err
	}
	return &Proposal{Refused: refused, changes: c, parts: together(chosen), prefer: o.Conflict}, nil
}

// together divides what is chosen, which is sorted by path: a folder that goes is
// one part with what goes in it, a renamed file with the path that is gone.
func together(chosen []wish) [][]wish {
	at := make(map[proofbox.Raw]wish, len(chosen))
	for _, w := range chosen {
		at[w.Path] = w
	}
	parts := map[proofbox.Raw][]wish{}
	var order []proofbox.Raw
	for _, w := range chosen {
		first := w
		if from, ok := at[w.From]; ok && w.Renamed {
			first = from
		}
		anchor := first.Path
		for dir := range folders(string(anchor)) {
			if above, ok := at[proofbox.Raw(dir)]; ok && goes(above.Change) {
				anchor = above.Path
			}
		}
		if parts[anchor] == nil {
			order = append(order, anchor)
		}
		parts[anchor] = append(parts[anchor], w)
	}
	list := make([][]wish, len(order))
	for i, anchor := range order {
		list[i] = parts[anchor]
	}
	return list
}

// Len is how many parts there are.
func (p *Proposal) Len() int { return len(p.parts) }

// First gives the first n parts.
func (p *Proposal) First(n int) *Proposal {
	return &Proposal{changes: p.changes, parts: p.parts[:n:n], prefer: p.prefer}
}

// Paths lists what is written, sorted.
func (p *Proposal) Paths() []proofbox.Raw {
	var list []proofbox.Raw
	for _, w := range p.wishes() {
		list = append(list, w.Path)
	}
	return list
}

// Last gives the paths of the last part.
func (p *Proposal) Last() []proofbox.Raw {
	last := &Proposal{parts: p.parts[len(p.parts)-1:]}
	return last.Paths()
}

func (p *Proposal) wishes() []wish {
	list := slices.Concat(p.parts...)
	slices.SortFunc(list, func(a, b wish) int { return byPath(a.Change, b.Change) })
	return list
}

// Hunks gives the hunks of the last part: none where it is no single text.
func (p *Proposal) Hunks() ([]proofbox.Hunk, error) {
	last := p.parts[len(p.parts)-1]
	if len(last) != 1 {
		return nil, nil
	}
	return p.changes.Hunks(last[0].Change)
}

// FirstHunks gives everything, but of the last part only the first n hunks.
func (p *Proposal) FirstHunks(n int) (*Proposal, error) {
	hunks, err := p.Hunks()
	if err != nil {
		return nil, err
	}
	chosen := selection{}
	for _, h := range hunks[:n] {
		chosen.add(h.Hash, nil)
	}
	last := p.parts[len(p.parts)-1][0]
	part, err := p.changes.partly(last.Change, chosen)
	if err != nil {
		return nil, err
	}
	return &Proposal{changes: p.changes, prefer: p.prefer, parts: append(slices.Clone(p.parts[:len(p.parts)-1]), []wish{part})}, nil
}

// Write writes a proposal into a copy of the original, or of some state of it, as a
// keep would write it into the original itself: merged with what is there. It gives
// what it wrote. A copy needs no journal.
func (p *Proposal) Write(ctx context.Context, dir string) ([]proofbox.Change, error) {
	t, err := openTarget(dir)
	if err != nil {
		return nil, err
	}
	defer t.close()
	todo, err := p.changes.plan(ctx, t, p.wishes(), p.prefer)
	if err != nil {
		return nil, err
	}
	r := &record{Nonce: rand.Text(), Steps: make([]recordStep, len(todo.steps))}
	if err := t.place(r, todo.steps); err != nil {
		return nil, err
	}
	for _, s := range todo.steps {
		if s.temp == "" {
			continue
		}
		if err := p.changes.stageOne(t, s); err != nil {
			return nil, fmt.Errorf("trying %q: %w", s.change.Path, explain(err))
		}
	}
	return todo.changes(), putInPlace(t, todo.steps)
}

// Files gives the proposal's files and links, without what is only folders: those
// git does not have.
func (p *Proposal) Files() *Proposal {
	files := &Proposal{Refused: p.Refused, changes: p.changes, prefer: p.prefer}
	for _, part := range p.parts {
		part = slices.DeleteFunc(slices.Clone(part), func(w wish) bool { return !patchable(w.Before) && !patchable(w.After) })
		if len(part) > 0 {
			files.parts = append(files.parts, part)
		}
	}
	return files
}

// Refuse leaves out the parts with a change for which a reason is given. Where such
// a change was asked for by name, it is an error.
func (p *Proposal) Refuse(o KeepOptions, why func(proofbox.Change) (string, error)) (*Proposal, error) {
	left := &Proposal{Refused: p.Refused, changes: p.changes, prefer: p.prefer}
	for _, part := range p.parts {
		reason := ""
		for _, w := range part {
			own, err := why(w.Change)
			if err != nil {
				return nil, err
			}
			reason = cmp.Or(reason, own)
		}
		if reason == "" {
			left.parts = append(left.parts, part)
			continue
		}
		for _, w := range part {
			w.Refused = reason
			left.Refused = append(left.Refused, w.Change)
		}
	}
	return left, o.named(left.Refused)
}

// InRepository says whether a change is to a git repository's own files.
func InRepository(c proofbox.Change) bool { return hazard.InRepository(string(c.Path)) }

// Changes lists what is proposed, sorted by path.
func (p *Proposal) Changes() []proofbox.Change {
	var list []proofbox.Change
	for _, w := range p.wishes() {
		list = append(list, w.Change)
	}
	return list
}

// Open opens the bytes of a file, or the target of a link, that a proposal has
// written.
func (p *Proposal) Open(e proofbox.Entry) (io.ReadCloser, error) {
	if e.Kind == proofbox.Symlink {
		return io.NopCloser(strings.NewReader(string(e.Target))), nil
	}
	f, err := p.changes.openBlob(e.Digest)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// changes gives what the steps write.
func (p *plan) changes() []proofbox.Change {
	list := make([]proofbox.Change, len(p.steps))
	for i, s := range p.steps {
		list[i] = s.change
	}
	return list
}
