package workspace

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestManifestIsReadAsWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		var m manifest
		for range rapid.IntRange(0, 20).Draw(t, "entries") {
			m.entries = append(m.entries, entry{
				path:   string(rapid.SliceOfN(rapid.Byte(), 1, 30).Draw(t, "path")),
				target: string(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "target")),
				mode:   rapid.Uint32().Draw(t, "mode"), size: rapid.Int64Min(0).Draw(t, "size"),
				mtime: rapid.Int64().Draw(t, "mtime"), ctime: rapid.Int64().Draw(t, "ctime"),
				ino: rapid.Uint64().Draw(t, "ino"), nlink: rapid.Uint64().Draw(t, "nlink"),
			})
		}
		n++
		path := filepath.Join(dir, "manifest")
		if err := os.Remove(path); err != nil && n > 1 {
			t.Fatal(err)
		}
		if err := m.write(path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readManifest(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m.entries, got.entries, cmp.AllowUnexported(entry{})); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
	})
}

func FuzzReadManifest(f *testing.F) {
	f.Add(manifestHeader + "\n100644 5 1 2 3 1 \"a\"\n120777 1 1 2 3 1 \"l\" \"target\"\n")
	f.Fuzz(func(t *testing.T, in string) {
		m, err := readManifest(strings.NewReader(in))
		if err == nil && m == nil {
			t.Error("neither a manifest nor an error")
		}
	})
}

func TestBelowGivesWhatLiesInAFolder(t *testing.T) {
	t.Parallel()
	var m manifest
	for _, p := range []string{"a", "a!", "a-b", "a/b", "a/b/c", "a/c", "a0", "b"} {
		m.entries = append(m.entries, entry{path: p})
	}
	var got []string
	for _, e := range m.below("a") {
		got = append(got, e.path)
	}
	if diff := cmp.Diff([]string{"a/b", "a/b/c", "a/c"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(m.below(".")) != len(m.entries) || m.find("a/c") == nil || m.find("a/d") != nil {
		t.Error("the whole tree or a single path is not found")
	}
}
