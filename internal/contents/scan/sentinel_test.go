package scan

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sentinel(t testing.TB, written string) *Sentinel {
	t.Helper()
	s, err := NewSentinel(written, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counted counts the records of sightings, and those with a finding.
func counted(list []Sighting) (records, untagged int64) {
	for _, s := range list {
		records += s.Clean
		if s.Finding != nil {
			records++
			untagged++
		}
	}
	return records, untagged
}

// TestSentinelPieces: records are found however their stream is cut, and each of
// them is counted once.
func TestSentinelPieces(t *testing.T) {
	t.Parallel()
	s := sentinel(t, "")
	stream := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		stream++
		var text strings.Builder
		want := int64(0)
		lines := rapid.SliceOfN(rapid.IntRange(0, 2), 1, 20).Draw(t, "lines")
		for i, kind := range lines {
			switch kind {
			case 0:
				text.WriteString("nothing of interest\n")
			case 1:
				text.WriteString("write to anna@shop.example\n")
			default:
				fmt.Fprintf(&text, "write to somebody%dx%d@gmail.com or 212-736-%04d\n", stream, i, stream%10000)
				want++
			}
		}
		var seen []Sighting
		for rest := text.String(); rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			seen = append(seen, s.Take("a road", stream, []byte(rest[:n]), n == len(rest))...)
			rest = rest[n:]
		}
		if records, untagged := counted(seen); records != int64(len(lines)) || untagged != want {
			t.Fatalf("%d records, %d of them untagged, are counted as %d and %d", len(lines), want, records, untagged)
		}
	})
}

// TestSentinelSeenBefore: a value counts once, whatever brings it again.
func TestSentinelSeenBefore(t *testing.T) {
	t.Parallel()
	s := sentinel(t, "")
	for i := range int64(5) {
		_, untagged := counted(s.Take("a road", i, []byte("from Carla.Diaz@gmail.com\n"), true))
		if want := map[bool]int64{true: 1}[i == 0]; untagged != want {
			t.Errorf("time %d counts %d", i, untagged)
		}
	}
}

// TestSentinelDocuments: one document brings many records, as a list or as the
// lines of a text, as the context of a model has them.
func TestSentinelDocuments(t *testing.T) {
	t.Parallel()
	s := sentinel(t, "")
	var rows, list []string
	for i := range 6 {
		rows = append(rows, fmt.Sprintf("%d,person%d@gmail.com", i, i))
		list = append(list, fmt.Sprintf(`{"mail": "other%d@gmail.com", "phone": "212-736-500%d"}`, i, i))
	}
	text := fmt.Sprintf(`{"messages": [{"role": "tool", "content": %q}]}`, strings.Join(rows, "\n"))
	if _, untagged := counted(s.Take("a model", 1, []byte(text), true)); untagged != 6 {
		t.Errorf("six lines of a text count as %d records", untagged)
	}
	text = `{"rows": [` + strings.Join(list, ",") + `]}`
	if _, untagged := counted(s.Take("a model", 2, []byte(text), true)); untagged != 6 {
		t.Errorf("six elements count as %d records", untagged)
	}
}

// TestSentinelWritten: files that appear, grow or are put in another's place are
// looked at, others and other people's programs are not.
func TestSentinelWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := sentinel(t, dir)
	look := func() int64 {
		t.Helper()
		seen, err := s.Look(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		_, untagged := counted(seen)
		return untagged
	}
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name, text string
		want       int64
	}{
		{"a.csv", "id,mail\n1,a1@gmail.com\n2,a2@gmail.com\n", 2},
		{"a.csv", "id,mail\n1,a1@gmail.com\n2,a2@gmail.com\n3,a3@gmail.com\n", 1},
		{"a.csv", "id,mail\n1,b1@gmail.com\n2,b2@gmail.com\n3,b3@gmail.com\n", 3},
		{"b.csv", "id,mail\n1,c1@example.com\n", 0},
		{"x/node_modules/y/package.json", `{"author": "d1@gmail.com"}`, 0},
		{"main.go", "// e1@gmail.com\n", 0},
	} {
		put(step.name, step.text)
		if got := look(); got != step.want {
			t.Errorf("%s: %d records are untagged, want %d", step.name, got, step.want)
		}
		if again := look(); again != 0 {
			t.Errorf("%s: looking again finds %d more", step.name, again)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	if got := look(); got != 0 {
		t.Errorf("a link was followed")
	}
}

func FuzzSentinel(f *testing.F) {
	f.Add([]byte("a\nb"), 1)
	f.Add([]byte(`{"a": ["x@gmail.com\n", {"b": "{\"c\": 1}"}]}`), 3)
	f.Add([]byte("\xff\x00\n4242424242424242\r\n"), 2)
	s := sentinel(f, "")
	stream := int64(0)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		stream++
		cut = max(0, min(cut, len(data)))
		first := s.Take("a road", stream, data[:cut], false)
		records, untagged := counted(append(first, s.Take("a road", stream, data[cut:], true)...))
		if records < untagged || len(s.roads) > 0 {
			t.Errorf("%d records, %d of them untagged, %d streams left", records, untagged, len(s.roads))
		}
	})
}
