package workspace

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox"
)

// TestSum: what is below what was named, or below the workspace, folder by folder.
func TestSum(t *testing.T) {
	t.Parallel()
	var changes []proofbox.Change
	for _, p := range []proofbox.Raw{"a", "a/b", "a/b/1", "a/b/2", "a/c", "a/c/1", "d", "e/f"} {
		c := proofbox.Change{Path: p, Insertions: 1}
		if p == "a/b/2" {
			c.Hazards = []proofbox.Hazard{{Rule: "x"}}
		}
		changes = append(changes, c)
	}
	show := func(list []proofbox.FolderSum) (text string) {
		for _, s := range list {
			text += fmt.Sprintf("%s:%d+%d!%d ", s.Path, s.Changes, s.Insertions, s.Hazards)
		}
		return text
	}
	for named, want := range map[string]string{"": "a:6+6!1 d:1+1!0 e:1+1!0 ", "a/": "a/b:3+3!1 a/c:2+2!0 a:1+1!0 d:1+1!0 e:1+1!0 ", "./a/b": "a:3+3!0 a/b:1+1!0 a/b/1:1+1!0 a/b/2:1+1!1 d:1+1!0 e:1+1!0 "} {
		var paths []proofbox.Raw
		if named != "" {
			paths = append(paths, proofbox.Raw(named))
		}
		if diff := cmp.Diff(want, show(Sum(changes, paths))); diff != "" {
			t.Errorf("%q: %s", named, diff)
		}
	}
	var many []proofbox.Change
	for i := range 3 * maxSums {
		many = append(many, proofbox.Change{Path: proofbox.Raw(fmt.Sprint(i))})
	}
	if list := Sum(many, nil); len(list) != maxSums+1 || list[maxSums].Path != "" || list[maxSums].Changes != 2*maxSums {
		t.Errorf("of very many there are %d: %+v", len(list), list[len(list)-1])
	}
}
