package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox"
)

// told gives of which paths and hunks ("path:N") it is said that they were decided
// against before, and in which run.
func told(t *testing.T, r *Rejections, run string, c *Changes) map[string]string {
	t.Helper()
	list := append([]proofbox.Change(nil), c.List()...)
	for i := range list {
		list[i].Hunks = value[[]proofbox.Hunk](t)(c.Hunks(list[i]))
	}
	must(t, r.Tell(run, list))
	found := map[string]string{}
	for _, change := range list {
		if change.Rejected != "" {
			found[string(change.Path)] = change.Rejected
		}
		for _, h := range change.Hunks {
			if h.Rejected != "" {
				found[string(change.Path)+":"+string(rune('0'+h.N))] = h.Rejected
			}
		}
	}
	return found
}

// TestRejectionsAreTold: what was decided against is told in a later run that makes
// it again, although the rest of the file is another, and nothing is decided by it;
// whoever takes it back has it forgotten.
func TestRejectionsAreTold(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x\n", 20)
	dir := filepath.Join(t.TempDir(), "rejected")
	run := func(files map[string]string) *Changes {
		s := newSite(t, map[string]string{"a": "1\n" + text + "2\n", "b": "1\n"}).freeze(t, false)
		plant(t, s.upper, files)
		return s.collect(t)
	}
	r := OpenRejections(dir, "/original")
	note := func(name string, c *Changes, q proofbox.ChoiceRequest) {
		t.Helper()
		must(t, c.Decide(q))
		must(t, r.Note(name, "/original", c, q))
	}
	first := run(map[string]string{"a": "one\n" + text + "two\n", "b": "2\n", "n": "new\n", "l": "→b", "d/": ""})
	if got := told(t, r, "r2", first); len(got) > 0 {
		t.Errorf("before anything was decided: %v", got)
	}
	note("r1", first, proofbox.ChoiceRequest{Choice: proofbox.Drop, Hunks: []proofbox.HunkRef{{Path: "a", N: 1}}})
	note("r1", first, proofbox.ChoiceRequest{Choice: proofbox.Drop, Paths: []proofbox.Raw{"b", "l", "n"}})
	note("r1", first, proofbox.ChoiceRequest{Choice: proofbox.Drop, Hunks: []proofbox.HunkRef{{Path: "a", N: 2, Lines: []int{5}}}})
	if got := told(t, r, "r1", first); len(got) > 0 {
		t.Errorf("in the run itself: %v", got)
	}
	second := run(map[string]string{"a": "one\n" + text + "zwei\n", "b": "2\n", "n": "new\nmore\n", "l": "→b", "m": "new\n"})
	want := map[string]string{"a:1": "r1", "b": "r1", "b:1": "r1", "l": "r1"}
	if diff := cmp.Diff(want, told(t, r, "r2", second)); diff != "" {
		t.Error(diff)
	}
	for _, change := range second.List() {
		if change.Choice != proofbox.Open {
			t.Errorf("%q is decided: %q", change.Path, change.Choice)
		}
	}
	note("r2", second, proofbox.ChoiceRequest{Choice: proofbox.Take, Paths: []proofbox.Raw{"b"}})
	note("r2", second, proofbox.ChoiceRequest{Choice: proofbox.Drop, Hunks: []proofbox.HunkRef{{Path: "a", N: 1}}})
	want = map[string]string{"a:1": "r2", "l": "r1"}
	if diff := cmp.Diff(want, told(t, r, "r3", second)); diff != "" {
		t.Error(diff)
	}
	if got := told(t, OpenRejections(dir, "/another"), "r3", second); len(got) > 0 {
		t.Errorf("of another original: %v", got)
	}
	must(t, os.WriteFile(filepath.Join(dir, r.name), []byte("{damaged"), 0o600))
	if got := told(t, r, "r3", second); len(got) > 0 {
		t.Errorf("of a damaged file: %v", got)
	}
}

// TestRejectionsAreBounded: the oldest are forgotten.
func TestRejectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := storedRejections{Version: storeVersion}
	for n := range 3 {
		var about []rejection
		for i := range maxRejections / 2 {
			about = append(about, rejection{"r", proofbox.Raw(strings.Repeat("p", n+1)), hashOf(string(rune(i)))})
		}
		s = s.after("/o", about, true)
	}
	if len(s.Rejections) != maxRejections || s.Rejections[0].Path != "pp" {
		t.Errorf("%d are left, the first of %q", len(s.Rejections), s.Rejections[0].Path)
	}
	r := OpenRejections(t.TempDir(), "/o")
	for i := range s.Rejections {
		s.Rejections[i].Path = proofbox.Raw(strings.Repeat("p", 1000))
	}
	must(t, r.save(s))
	if again := value[storedRejections](t)(r.read()); len(again.Rejections) == 0 || len(again.Rejections) > maxRejections/2 {
		t.Errorf("%d with long paths were remembered", len(again.Rejections))
	}
}
