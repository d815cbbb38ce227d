package hazard

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"proofbox"
)

// twinsOf gives the changes of which it is said that they are taken for another
// path, in a tree that has further paths.
func twinsOf(changes []proofbox.Change, tree ...string) (found []string) {
	slices.SortFunc(changes, func(a, b proofbox.Change) int { return strings.Compare(string(a.Path), string(b.Path)) })
	t := NewTwins(changes)
	for _, p := range tree {
		t.See(p)
	}
	for _, c := range changes {
		if h, ok := t.Hazard(c); ok && h.Rule == "twin-name" {
			found = append(found, string(c.Path))
		}
	}
	return found
}

// TestTwins: what is new beside what is taken for it, in whatever way.
func TestTwins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree, added, want []string
	}{
		"case":             {[]string{"README.md"}, []string{"readme.MD", "other"}, []string{"readme.MD"}},
		"a folder's case":  {[]string{"a", "a/post"}, []string{"A", "A/hooks/post"}, []string{"A", "A/hooks/post"}},
		"both new":         {nil, []string{"x/a", "x/A"}, []string{"x/A", "x/a"}},
		"normal form":      {[]string{"caf\u00e9"}, []string{"cafe\u0301"}, []string{"cafe\u0301"}},
		"nobody sees":      {[]string{"ab"}, []string{"a\u200db"}, []string{"a\u200db"}},
		"dots and blanks":  {[]string{"d/x"}, []string{"d/x. .", "d /y"}, []string{"d/x. ."}},
		"Kelvin, long s":   {[]string{"kiss"}, []string{"\u212ai\u017fs"}, []string{"\u212ai\u017fs"}},
		"nothing alike":    {[]string{"a", "b/c"}, []string{"a2", "b/cc", "c"}, nil},
		"it is there":      {[]string{"A"}, nil, nil},
		"it has itself":    {[]string{"a"}, []string{"a"}, nil},
		"colons are apart": {[]string{"a::b"}, []string{"a::c"}, nil},
	} {
		var changes []proofbox.Change
		for _, p := range c.added {
			changes = append(changes, added(p))
		}
		if diff := cmp.Diff(c.want, twinsOf(changes, c.tree...)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	gone := added("readme")
	gone.Before, gone.After = gone.After, gone.Before
	if got := twinsOf([]proofbox.Change{gone, added("README")}, "readme"); got != nil {
		t.Errorf("of a new case: %q", got)
	}
}

// TestTwinKey: the short way for plain paths is the long way's, and a key is its
// own key.
func TestTwinKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringOf(rapid.SampledFrom([]rune("aAbZ./ \u00e9\u0301\u200d\u212a\u017f\u1e9e\u0345"))).Draw(t, "path")
		key := twinKey(p)
		if again := twinKey(key); again != key {
			t.Fatalf("%q has the key %q, which has %q", p, key, again)
		}
		if plainKey(p) && key != p {
			t.Fatalf("%q is plain and has the key %q", p, key)
		}
		if upper := twinKey(strings.ToUpper(p)); !strings.ContainsAny(p, "\u1e9e\u0345\u00df") && upper != key {
			t.Fatalf("%q has the key %q, in capitals %q", p, key, upper)
		}
	})
}
