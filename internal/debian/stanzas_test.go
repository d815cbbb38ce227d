package debian

import (
	"os"
	"path/filepath"
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

func TestSignedBy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.sources": "# ours\nTypes: deb\nSigned-By: /k/one.gpg\n\nTypes: deb\n\nTypes: deb\nSigned-By:\n -----BEGIN\n",
		"b.list":    "deb http://m x main\ndeb [arch=amd64 signed-by=/k/two.gpg] http://m x main\ndeb [signed-by=/k/three.gpg arch=amd64] http://m x main\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for entry, want := range map[string]string{
		"a.sources:1": "[signed-by=/k/one.gpg] ", "a.sources:2": "", "a.sources:3": "", "a.sources:4": "", "a.sources:0": "",
		"b.list:1": "", "b.list:2": "[signed-by=/k/two.gpg] ", "b.list:3": "[signed-by=/k/three.gpg] ", "b.list:9": "",
		"none.list:1": "", "": "", ":": "", "b.list": "",
	} {
		if got := signedBy(filepath.Join(dir, entry)); got != want {
			t.Errorf("%q: %q, want %q", entry, got, want)
		}
	}
}
