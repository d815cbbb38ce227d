package tree

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestWalk names everything, and opens nothing that leads outside or that
// would wait.
func TestWalk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "sub"), 0o755),
		os.WriteFile(filepath.Join(dir, "sub", "b"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "a"), []byte("text"), 0o644),
		os.Symlink("/etc", filepath.Join(dir, "link")),
		unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	err := Walk(context.Background(), dir, func(e Entry) error {
		got[e.Name] = e.Problem == ""
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"a": true, "sub/b": true, "link": false, "pipe": false}, got); diff != "" {
		t.Error(diff)
	}
	if err := Walk(context.Background(), filepath.Join(dir, "link"), nil); err == nil {
		t.Error("a link was taken for a data set")
	}
}

// TestReadChanged: a file that is written to while it is read is not taken, and
// neither is a link that stands where the file stood.
func TestReadChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := Walk(context.Background(), path, func(e Entry) error {
		err := e.Read(func(f *os.File, _ int64) error {
			_, err := io.Copy(io.Discard, f)
			return errors.Join(err, os.WriteFile(path, []byte("other text"), 0o644))
		})
		if !errors.Is(err, errChanged) {
			t.Errorf("reading a file that changes gives %v", err)
		}
		if err := errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path)); err != nil {
			return err
		}
		if err := e.Read(func(*os.File, int64) error { t.Error("the link was followed"); return nil }); err == nil {
			t.Error("a link was read")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
