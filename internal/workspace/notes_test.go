package workspace

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox"
)

// TestNamesOfOneFile: which names of one file keeping parts is said, and what is
// reached by another name stays as it was.
func TestNamesOfOneFile(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1", "alone": "1"})
	outside := s.original + ".outside"
	must(t, os.WriteFile(outside, []byte("mine"), 0o644))
	must(t, os.Link(s.original+"/a", s.original+"/b"))
	must(t, os.Link(outside, s.original+"/shared"))
	s.freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2", "alone": "2", "shared": "evil", "x": "3"})
	must(t, os.Link(s.upper+"/x", s.upper+"/y"))
	c := s.collect(t)
	want := map[string]string{
		"a": `another name in the original, "b"`, "alone": "", "shared": "outside of the workspace", "x": `one file with "y" in the box`, "y": `one file with "x" in the box`,
	}
	for _, change := range c.List() {
		got := strings.Join(change.Notes, "; ")
		if w := want[string(change.Path)]; !strings.Contains(got, w) || w == "" && got != "" {
			t.Errorf("%q: it %s, want %q", change.Path, got, w)
		}
	}
	_, err := s.keep(c)
	must(t, err)
	wantTree(t, s.original, map[string]string{"a": "2", "b": "1", "alone": "2", "shared": "evil", "x": "3", "y": "3"})
	if text := value[[]byte](t)(os.ReadFile(outside)); string(text) != "mine" {
		t.Errorf("the file outside is %q", text)
	}
}

// TestAttributesAreSaid: attributes that the box has set are named and not kept;
// those of the original stay.
func TestAttributesAreSaid(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"same": "1", "own": "1", "only": "1"})
	mark(t, s.original+"/own", "user.mine", "x")
	s.freeze(t, true)
	plant(t, s.upper, map[string]string{"same": "2", "own": "2", "only": "1"})
	mark(t, s.upper+"/own", "user.mine", "x")
	mark(t, s.upper+"/own", "user.overlay.origin", "x")
	mark(t, s.upper+"/same", "user.evil", "x")
	mark(t, s.upper+"/only", "user.evil", "x")
	c := s.collect(t)
	got := map[proofbox.Raw]string{}
	for _, change := range c.List() {
		got[change.Path] = fmt.Sprint(change.Notes)
	}
	want := map[proofbox.Raw]string{"own": "[]", "same": `[has got extended attributes, which are not kept: ["user.evil"]]`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if w := strings.Join(c.Warnings(), "\n"); !strings.Contains(w, `["only"]`) {
		t.Errorf("the warnings are %q", w)
	}
	_, err := s.keep(c)
	must(t, err)
	for path, want := range map[string]string{"own": "user.mine", "same": ""} {
		f := value[*os.File](t)(os.Open(s.original + "/" + path))
		names := value[map[string][]byte](t)(attributes(f))
		if _, ok := names[want]; len(names) > 1 || want != "" && !ok || want == "" && len(names) > 0 {
			t.Errorf("%q has %v", path, names)
		}
		must(t, f.Close())
	}
}
