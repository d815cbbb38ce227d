package debian

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStanzas(t *testing.T) {
	t.Parallel()
	text := "Package: a\nDepends: b (= 1:2),\n c\nDescription: x\n y: z\n\n\nPackage: b\nEmpty:\n"
	want := []map[string]string{
		{"Package": "a", "Depends": "b (= 1:2),", "Description": "x"},
		{"Package": "b", "Empty": ""},
	}
	if diff := cmp.Diff(want, stanzas([]byte(text))); diff != "" {
		t.Error(diff)
	}
}

// FuzzStanzas: what is read of a text stands in it, on one line each.
func FuzzStanzas(f *testing.F) {
	f.Add("Package: a\n\nPackage: b\n c: d")
	f.Add(":\n\n\n\n: :")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range stanzas([]byte(text)) {
			for name, value := range s {
				if strings.ContainsAny(name+value, "\n") || !strings.Contains(text, name+":") || !strings.Contains(text, value) {
					t.Errorf("%q: %q is not in it", name, value)
				}
			}
		}
	})
}
