package workspace

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRenamesAndCopiesAreFound: by their bytes, whatever the names are.
func TestRenamesAndCopiesAreFound(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a line that stays\n", 3) + "one\ntwo\nthree\nfour\n"
	s := newSite(t, map[string]string{
		"moved": "moved\n", "twice": "twice\n", "edited": long, "stays": "stays as it is\n", "changed": "before\n", "other": "something else\n", "empty": "",
	}).freeze(t, false)
	must(t, os.RemoveAll(s.upper))
	must(t, os.Mkdir(s.upper, 0o755))
	must(t, setOpaque(s.upper))
	plant(t, s.upper, map[string]string{
		"new/moved": "moved\n", "twice1": "twice\n", "twice2": "twice\n", "new/edited": long + "five\n", "stays": "stays as it is\n", "copy": "stays as it is\n",
		"changed": "after\n", "old": "before\n", "other2": "nothing of it is the same\n", "empty2": "",
	})
	got := map[string]string{}
	for _, c := range s.collect(t).List() {
		if c.From != "" {
			got[string(c.Path)] = fmt.Sprintf("%s %d%% renamed %t", c.From, c.Share, c.Renamed)
		}
	}
	want := map[string]string{
		"new/moved": "moved 100% renamed true", "twice1": "twice 100% renamed true", "twice2": "twice 100% renamed false",
		"copy": "stays 100% renamed false", "old": "changed 100% renamed false", "new/edited": "edited 93% renamed true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
