package workspace

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"proofbox"
)

// checkProposal tries what a keep of everything would write on a copy, and some
// first parts of it: that these can be written alone is what a proof needs. It
// gives what the copy became with everything.
func checkProposal(t *rapid.T, s *site, c *Changes) map[proofbox.Raw]proofbox.Entry {
	before := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
	r := proofbox.KeepRequest{All: true}
	for _, change := range c.List() {
		if len(change.Hazards) > 0 {
			r.Allow = append(r.Allow, proofbox.Allowance{Path: change.Path, Hash: change.Hash})
		}
	}
	p := value[*Proposal](t)(c.Propose(KeepOptions{Original: s.original, KeepRequest: r}))
	last := map[proofbox.Raw]proofbox.Entry{}
	for _, n := range []int{rapid.IntRange(0, p.Len()).Draw(t, "parts"), p.Len()} {
		some := p.First(n)
		last = s.copyWith(t, some)
		want := maps.Clone(before)
		for _, w := range some.wishes() {
			if want[w.Path] = result(w.Change); w.After.Kind == proofbox.Absent {
				delete(want, w.Path)
			}
		}
		if diff := cmp.Diff(want, last); diff != "" {
			t.Fatalf("the copy with %d of %d parts (-want +got)\n%s", n, p.Len(), diff)
		}
	}
	if after := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original)); !cmp.Equal(before, after) {
		t.Fatalf("a proposal has changed the original\n%s", cmp.Diff(before, after))
	}
	return last
}

// copyWith freezes the original with a proposal in it and describes the copy.
func (s *site) copyWith(t failer, p *Proposal) map[proofbox.Raw]proofbox.Entry {
	t.Helper()
	dir := s.original + ".proof"
	b := value[*Base](t)(Freeze(context.Background(), Options{Original: s.original, Dir: dir, Keep: p}))
	if b.live {
		t.Fatalf("a proposal is in the original itself")
	}
	found := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(b.Lower))
	for p, e := range found {
		own := b.manifest.find(string(p))
		if own == nil || e.Kind == proofbox.File && own.size != e.Size {
			t.Fatalf("the manifest has %+v of %q, the copy %+v", own, p, e)
		}
	}
	must(t, removeTree(dir))
	return found
}

// TestProposalParts: what makes no sense alone is one part, and of a text the
// first hunks are.
func TestProposalParts(t *testing.T) {
	t.Parallel()
	numbers := strings.Split("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 ", " ")
	text := strings.Join(numbers, "\n")
	s := newSite(t, map[string]string{"text": text, "gone/a": "1", "gone/b/c": "2", "old": "a name that moves", "z": "1"}).freeze(t, false)
	must(t, os.RemoveAll(s.upper))
	plant(t, filepath.Dir(s.upper), map[string]string{
		"upper/text": strings.NewReplacer("\n3\n", "\nthree\n", "\n18\n", "\neighteen\n").Replace(text), "upper/new": "a name that moves", "upper/z": "2", "upper/gone": "a file now",
	})
	must(t, setOpaque(s.upper))
	c := s.collect(t)
	p := value[*Proposal](t)(c.Propose(KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{All: true}}))
	var parts [][]proofbox.Raw
	for n := range p.Len() {
		parts = append(parts, p.First(n+1).Last())
	}
	want := [][]proofbox.Raw{{"gone", "gone/a", "gone/b", "gone/b/c"}, {"new", "old"}, {"text"}, {"z"}}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Fatal(diff)
	}
	upTo := p.First(3)
	if hunks := value[[]proofbox.Hunk](t)(upTo.Hunks()); len(hunks) != 2 {
		t.Fatalf("the hunks are %v", hunks)
	}
	some := value[*Proposal](t)(upTo.FirstHunks(1))
	got := s.copyWith(t, some)["text"]
	if got.Digest != digestText(strings.Replace(text, "\n3\n", "\nthree\n", 1)) {
		t.Errorf("with the first hunk it is %+v", got)
	}
	if hunks := value[[]proofbox.Hunk](t)(p.First(1).Hunks()); len(hunks) > 0 {
		t.Errorf("a folder that goes has hunks: %v", hunks)
	}
}

// TestProvenKeep: a keep that is bound to a proof writes what the proof was on,
// and nothing else.
func TestProvenKeep(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1\n", "b": "1\n"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2\n", "b": "2\n"})
	c := s.collect(t)
	o := KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{Paths: []proofbox.Raw{"a"}}}
	base := value[*Base](t)(Freeze(t.Context(), Options{Original: s.original, Dir: s.original + ".proof", Keep: value[*Proposal](t)(c.Propose(o))}))
	o.Proven = base.Written
	other := o
	other.Paths = append(slices.Clone(o.Paths), "b")
	moved := func(o KeepOptions) {
		t.Helper()
		_, err := c.Keep(t.Context(), o)
		if _, ok := errors.AsType[*ConflictError](err); !ok {
			t.Errorf("it was kept: %v", err)
		}
	}
	moved(other)
	plant(t, s.original, map[string]string{"a": "1\n\n\n\n\nmine\n"})
	o.Conflict = proofbox.TakeOriginal
	moved(o)
	wantTree(t, s.original, map[string]string{"a": "1\n\n\n\n\nmine\n", "b": "1\n"})
	plant(t, s.original, map[string]string{"a": "1\n"})
	o.Conflict = ""
	_, err := c.Keep(t.Context(), o)
	must(t, err)
	wantTree(t, s.original, map[string]string{"a": "2\n", "b": "1\n"})
}

// TestProposalNeedsACopy: what cannot be copied cannot be tried.
func TestProposalNeedsACopy(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1", "pipe": "FIFO"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2"})
	p := value[*Proposal](t)(s.collect(t).Propose(KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{All: true}}))
	if _, err := Freeze(t.Context(), Options{Original: s.original, Dir: s.original + ".proof", Keep: p}); err == nil || !strings.Contains(err.Error(), "FIFO") {
		t.Errorf("the error is %v", err)
	}
}
