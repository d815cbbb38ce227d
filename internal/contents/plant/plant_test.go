package plant

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBound holds it against values of Clopper and Pearson's interval: 0 of n gives
// 1 - .05^(1/n), and n-1 of n gives .95^(1/n).
func TestBound(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 10, 3000} {
		if got, want := Bound(0, n), 1-math.Pow(.05, 1/float64(n)); math.Abs(got-want) > 1e-9 {
			t.Errorf("0 of %d: %g, want %g", n, got, want)
		}
		if got, want := Bound(n-1, n), math.Pow(.95, 1/float64(n)); math.Abs(got-want) > 1e-6 {
			t.Errorf("%d of %d: %g, want %g", n-1, n, got, want)
		}
	}
	if Bound(5, 5) != 1 {
		t.Error("all missed")
	}
}

// TestShadows: each value is where the shadow says, among the set's own records, and the
// set stays as it is.
func TestShadows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	const set = "{\"id\":1,\"text\":\"a record of the set\"}\nplain line of it\n"
	if err := os.WriteFile(path, []byte(set), 0o644); err != nil {
		t.Fatal(err)
	}
	shadows, err := Shadows(t.Context(), path, 330)
	if err != nil {
		t.Fatal(err)
	}
	kinds, all := map[string]int{}, ""
	for _, s := range shadows {
		all += s.Text
		for _, p := range s.Plants {
			value := s.Text[p.Start:p.End]
			if kinds[p.Kind]++; value != strings.Trim(value, " \"") || p.Kind == "email" && !strings.Contains(value, "@") {
				t.Errorf("%s is %q", p.Kind, value)
			}
		}
	}
	if kinds["card"] != 30 || kinds["email"] != 60 || !strings.Contains(all, "a record of the set") || !strings.Contains(all, "plain line of it") {
		t.Errorf("%v", kinds)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != set {
		t.Errorf("the set is %q, %v", data, err)
	}
}
