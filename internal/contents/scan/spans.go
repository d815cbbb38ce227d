package scan

import (
	"cmp"
	"context"
	"slices"

	"proofbox"
	"proofbox/internal/contents/tree"
)

// Span is a finding with its value and its place in the file's bytes, for who
// replaces it. What is between Offset and End is the value as the file has it: with
// the escapes of JSON and of tables.
type Span struct {
	proofbox.Finding
	End  int64
	Text string
	// Planned says that it is the whole value of a field of which somebody said what it
	// is.
	Planned bool
}

// Guide says what the values of a field are, where somebody knows: a kind, or ""
// where they are nothing to replace.
type Guide func(field string) (kind string, known bool)

// Finder finds what there is to replace. It knows no tags: what is in a source is
// somebody's, also where it has one by chance.
type Finder struct {
	Guide Guide
	Names bool // look for names, too
}

// Spans gives the spans of one file in their order; none overlaps another. What a
// finder gives depends on the file alone. The result has the file's digest, and
// problems where something could not be read. The error is that of give.
func (f *Finder) Spans(ctx context.Context, e tree.Entry, give func(Span) error) (*Result, error) {
	secrets, err := newSecrets()
	if err != nil {
		return nil, err
	}
	c := &collector{secrets: secrets, kinds: map[string]*proofbox.KindCount{}}
	if f.Names {
		c.namer = ownNames // which never fails
	}
	c.spans = &spans{ctx: ctx, guide: f.Guide, give: give}
	if err := c.file(e); err != nil {
		return nil, err
	}
	c.spans.settle(-1)
	return c.finish(), c.spans.err
}

// spans holds what was found until nothing that is found later can overlap it.
type spans struct {
	ctx     context.Context
	guide   Guide
	give    func(Span) error
	pending []Span
	given   int64 // up to this offset
	err     error
}

// add notes a hit in a value. end is where the file goes on behind it.
func (s *spans) add(found proofbox.Finding, end int64, text string, planned bool) {
	s.pending = append(s.pending, Span{Finding: found, End: end, Text: text, Planned: planned})
}

// settle gives what begins before an offset; -1 for all. Of those that overlap the
// planned one stays, else the surer, else the longer.
func (s *spans) settle(before int64) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	slices.SortStableFunc(s.pending, func(a, b Span) int { return cmp.Compare(a.Offset, b.Offset) })
	n := len(s.pending)
	if before >= 0 {
		n, _ = slices.BinarySearchFunc(s.pending, before, func(p Span, at int64) int { return cmp.Compare(p.Offset, at) })
	}
	for _, p := range best(s.pending[:n]) {
		if s.err == nil && p.Offset >= s.given && p.End > p.Offset {
			s.given = p.End
			s.err = s.give(p)
		}
	}
	s.pending = slices.Delete(s.pending, 0, n)
}

// best keeps of spans, which are in order, those that win over what they overlap, in their space.
func best(sorted []Span) []Span {
	kept := sorted[:0]
	for _, p := range sorted {
		if last := len(kept) - 1; last >= 0 && p.Offset < kept[last].End {
			if !better(p, kept[last]) {
				continue
			}
			kept = kept[:last]
		}
		kept = append(kept, p)
	}
	return kept
}

func better(a, b Span) bool {
	if a.Planned != b.Planned {
		return a.Planned
	}
	return cmp.Or(cmp.Compare(a.Confidence, b.Confidence), cmp.Compare(a.End-a.Offset, b.End-b.Offset)) > 0
}

// planned takes a value of a field of which somebody said what it is, and says
// whether that is so.
func (c *collector) planned(v value) bool {
	if c.spans == nil || c.spans.guide == nil || v.field == "" || v.heading {
		return false
	}
	kind, known := c.spans.guide(v.field)
	if !known {
		return false
	}
	if kind != "" && v.text != "" {
		if v.seen > 0 || len(v.text) >= maxText {
			c.problem(v.place.of(0), "the field has more than %d bytes, and is not the %s that the plan says", maxText, kind)
		}
		c.report(v, hit{start: 0, end: len(v.text), kind: kind, confidence: 1, planned: true})
	}
	return true
}
