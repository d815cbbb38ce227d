package workspace

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestManifestIsReadAsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m manifest
		for path := range rapid.MapOf(rapid.StringN(1, 12, 40), rapid.Bool()).Draw(t, "paths") {
			e := entry{
				path: path, mode: rapid.Uint32().Draw(t, "mode"), size: rapid.Int64Min(0).Draw(t, "size"),
				mtime: rapid.Int64().Draw(t, "mtime"), ctime: rapid.Int64().Draw(t, "ctime"),
				ino: rapid.Uint64().Draw(t, "ino"), nlink: rapid.Uint64().Draw(t, "nlink"),
			}
			if e.kind() == unix.S_IFLNK {
				e.target = string(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "target"))
			}
			m.entries = append(m.entries, e)
		}
		slices.SortFunc(m.entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
		got, err := decodeManifest(m.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m.entries, got.entries, cmp.AllowUnexported(entry{})); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
	})
}

func TestManifestWithAnyByteAlteredIsRefused(t *testing.T) {
	t.Parallel()
	m := manifest{entries: []entry{{path: "a", mode: unix.S_IFREG | 0o644, size: 3}, {path: "l", mode: unix.S_IFLNK | 0o777, target: "a"}}}
	data := m.encode()
	for i := range data {
		altered := slices.Clone(data)
		altered[i] ^= 0x40
		if _, err := decodeManifest(altered); err == nil {
			t.Errorf("byte %d may be altered", i)
		}
		if _, err := decodeManifest(data[:i]); err == nil {
			t.Errorf("%d bytes are taken for a manifest", i)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	m := manifest{entries: []entry{{path: "a", mode: unix.S_IFREG | 0o644, size: 3}, {path: "b", mode: unix.S_IFLNK | 0o777, target: "a"}}}
	data := m.encode()
	f.Add(data[len(manifestHeader) : len(data)-sha256.Size])
	f.Fuzz(func(t *testing.T, body []byte) {
		whole := slices.Concat([]byte(manifestHeader), body)
		sum := sha256.Sum256(whole)
		m, err := decodeManifest(slices.Concat(whole, sum[:]))
		if err != nil {
			return
		}
		if again, err := decodeManifest(m.encode()); err != nil || len(again.entries) != len(m.entries) {
			t.Errorf("what was read cannot be written and read again: %v", err)
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

func TestHiddenPathsAreFoundFromAboveAndBelow(t *testing.T) {
	t.Parallel()
	m := manifest{hidden: []string{".env", "a/secret"}}
	for p, want := range map[string]bool{".env": true, "a": false, "a/secret": true, "a/secret/x/y": true, "a/secrets": false, "b": false} {
		if m.hides(p) != want {
			t.Errorf("hides(%q) = %v", p, !want)
		}
	}
	for p, want := range map[string]bool{"a": true, ".env": false, "a/secret": false, "b": false} {
		if m.hidesBelow(p) != want {
			t.Errorf("hidesBelow(%q) = %v", p, !want)
		}
	}
}
