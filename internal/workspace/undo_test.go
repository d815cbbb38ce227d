package workspace

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"proofbox"
)

func (s *site) undo(c *Changes) (proofbox.KeepReceipt, error) {
	return c.Undo(context.Background(), UndoOptions{Original: s.original})
}

// everyKind changes everything that a change can be.
func everyKind(t testing.TB) *site {
	t.Helper()
	s := newSite(t, map[string]string{
		"text": "1\n2\n3\n", "binary": "\x00", "mode": "x", "gone/deep/file": "x", "gone/link": "→deep", "link": "→text",
		"file to folder": "x", "folder to file/in it": "x", "closed/file": "x", "empty/": "", "file to link": "x",
	})
	closed := fs.FileMode(0o500)
	if os.Geteuid() != 0 {
		closed = 0o700 // see TestClosedFolderIsNamed
	}
	must(t, os.Chmod(s.original+"/closed", closed))
	s.freeze(t, false)
	must(t, os.RemoveAll(s.upper))
	copyAll(t, s.original, s.upper)
	must(t, setOpaque(s.upper))
	must(t, os.RemoveAll(s.upper+"/gone"))
	must(t, os.RemoveAll(s.upper+"/folder to file"))
	must(t, os.Chmod(s.upper+"/closed", 0o700))
	for _, name := range []string{"file to folder", "file to link", "link", "empty"} {
		must(t, os.Remove(s.upper+"/"+name))
	}
	plant(t, s.upper, map[string]string{
		"text": "1\n2\n3\n4\n", "binary": "\x00\x01", "new/deep/file": "new", "new/empty/": "", "link": "→mode",
		"file to folder/a/b": "x", "folder to file": "x", "closed/file": "y", "closed/new": "z", "file to link": "→text",
	})
	must(t, os.Chmod(s.upper+"/mode", 0o755))
	must(t, os.Chmod(s.upper+"/closed", closed))
	return s
}

// setOpaque marks an upper layer as hiding all of the base.
func setOpaque(upper string) error { return unix.Setxattr(upper, attrOpaque, []byte("y"), 0) }

// copyAll copies a tree of files, folders and links.
func copyAll(t testing.TB, from, to string) {
	t.Helper()
	tree := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(from))
	must(t, os.MkdirAll(to, 0o755))
	for p, e := range tree {
		path := to + "/" + string(p)
		switch e.Kind {
		case proofbox.Folder:
			must(t, os.MkdirAll(path, 0o755))
		case proofbox.Symlink:
			must(t, os.MkdirAll(path[:strings.LastIndex(path, "/")], 0o755))
			must(t, os.Symlink(string(e.Target), path))
		case proofbox.File:
			must(t, os.MkdirAll(path[:strings.LastIndex(path, "/")], 0o755))
			must(t, os.WriteFile(path, value[[]byte](t)(os.ReadFile(from+"/"+string(p))), 0o600))
		}
	}
	for p, e := range tree {
		if e.Kind == proofbox.File || e.Kind == proofbox.Folder {
			must(t, os.Chmod(to+"/"+string(p), e.Mode))
		}
	}
}

// TestClosedFolderIsNamed: a folder that its owner has closed stays closed, and
// nothing is kept in part. Root may write to every folder, and all is kept.
func TestClosedFolderIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"closed/file": "x", "other": "x"})
	must(t, os.Chmod(s.original+"/closed", 0o500))
	s.freeze(t, false)
	plant(t, s.upper, map[string]string{"closed/file": "y", "other": "y"})
	must(t, os.Chmod(s.upper+"/closed", 0o500))
	t.Cleanup(func() { must(t, exec.Command("chmod", "-R", "u+w", filepath.Dir(s.original)).Run()) })
	_, err := s.keep(s.collect(t))
	want, refused := "x", true
	if os.Geteuid() == 0 {
		want, refused = "y", false
	}
	said := err != nil && strings.Contains(err.Error(), `nothing was kept: "closed/file" cannot change, because its folder "closed"`)
	if said != refused || !refused && err != nil {
		t.Errorf("got %v", err)
	}
	if text := value[[]byte](t)(os.ReadFile(s.original + "/other")); string(text) != want {
		t.Errorf("the other file holds %q", text)
	}
}

// TestUndoIsExact keeps changes of every kind and takes them back.
func TestUndoIsExact(t *testing.T) {
	t.Parallel()
	s := everyKind(t)
	was := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
	c := s.collect(t)
	receipt, err := s.keep(c)
	must(t, err)
	if len(receipt.Refused) > 0 || len(receipt.Kept) < 15 {
		t.Fatalf("%d kept, refused: %v", len(receipt.Kept), summary(receipt.Refused))
	}
	saw := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.upper))
	is := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
	if diff := cmp.Diff(saw, is); diff != "" {
		t.Fatalf("the copy and the original (-want +got)\n%s", diff)
	}
	c = value[*Changes](t)(Load(s.store)) // by another process
	undone, err := s.undo(c)
	must(t, err)
	if !undone.Undid || len(undone.Kept) != len(receipt.Kept) {
		t.Errorf("%d of %d were taken back", len(undone.Kept), len(receipt.Kept))
	}
	if diff := cmp.Diff(was, value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))); diff != "" {
		t.Fatalf("after the undo (-want +got)\n%s", diff)
	}
	_, err = s.undo(c)
	if _, ok := errors.AsType[*NothingToUndoError](err); !ok {
		t.Errorf("a second undo: %v", err)
	}
	again, err := s.keep(value[*Changes](t)(Load(s.store)))
	if err != nil || len(again.Kept) != len(receipt.Kept) {
		t.Errorf("kept again: %d, %v", len(again.Kept), err)
	}
}

// TestUndoOfAnything keeps and takes back generated changes.
func TestUndoOfAnything(t *testing.T) {
	t.Parallel()
	needOverlay(t)
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir := value[string](t)(os.MkdirTemp(root, "case"))
		s := &site{original: dir + "/original", upper: dir + "/upper", store: dir + "/store"}
		drawOriginal(t, s.original)
		must(t, os.Mkdir(s.upper, 0o755))
		was := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
		s.freeze(t, false)
		s.agent(t, rapid.SliceOfN(rapid.Custom(drawAct), 1, 25).Draw(t, "acts")...)
		c := s.collect(t)
		receipt, err := s.keep(c)
		must(t, err)
		if len(receipt.Kept) > 0 {
			_, err = s.undo(c)
			must(t, err)
		}
		if diff := cmp.Diff(was, value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))); diff != "" {
			t.Fatalf("after the undo (-want +got)\n%s", diff)
		}
		must(t, removeTree(dir))
	})
}

// TestUndoLeavesWhatWasEditedSince merges, and refuses rather than guess.
func TestUndoLeavesWhatWasEditedSince(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1\n2\n3\n", "b": "1\n"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "1\n2\n3\n4\n", "b": "2\n"})
	c := s.collect(t)
	_, err := s.keep(c)
	must(t, err)
	plant(t, s.original, map[string]string{"a": "0\n1\n2\n3\n4\n", "b": "mine\n"})
	_, err = s.undo(c)
	if conflict, ok := errors.AsType[*ConflictError](err); !ok || len(conflict.Conflicts) != 1 || !strings.Contains(err.Error(), "nothing was undone") {
		t.Fatalf("the error is %v", err)
	}
	wantTree(t, s.original, map[string]string{"a": "0\n1\n2\n3\n4\n", "b": "mine\n"})
	receipt, err := c.Undo(t.Context(), UndoOptions{Original: s.original, UndoRequest: proofbox.UndoRequest{Conflict: proofbox.TakeOriginal}})
	must(t, err)
	if len(receipt.Merged) != 1 {
		t.Errorf("merged: %q", receipt.Merged)
	}
	wantTree(t, s.original, map[string]string{"a": "0\n1\n2\n3\n", "b": "mine\n"})
}

// TestDecisionsOutliveTheProcess: they are data, and can be taken back.
func TestDecisionsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x\n", 20)
	s := newSite(t, map[string]string{"a": "1\n" + text + "2\n", "b": "1\n", "c": "1\n"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "one\n" + text + "two\n", "b": "2\n", "c": "2\n"})
	c := s.collect(t)
	decide := func(choice proofbox.Choice, paths []proofbox.Raw, hunks ...proofbox.HunkRef) {
		t.Helper()
		c = value[*Changes](t)(Load(s.store))
		must(t, c.Decide(proofbox.ChoiceRequest{Choice: choice, Paths: paths, Hunks: hunks}))
		c = value[*Changes](t)(Load(s.store))
	}
	decide(proofbox.Take, []proofbox.Raw{"a", "b"})
	decide(proofbox.Drop, nil, proofbox.HunkRef{Path: "a", N: 1})
	decide(proofbox.Open, []proofbox.Raw{"b"})
	hunks := value[[]proofbox.Hunk](t)(c.Hunks(c.List()[0]))
	if hunks[0].Choice != proofbox.Drop || hunks[1].Choice != proofbox.Take {
		t.Errorf("the hunks are decided %q and %q", hunks[0].Choice, hunks[1].Choice)
	}
	_, err := c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{Decided: true}})
	must(t, err)
	wantTree(t, s.original, map[string]string{"a": "1\n" + text + "two\n", "b": "1\n", "c": "1\n"})
	if err := c.Decide(proofbox.ChoiceRequest{Choice: proofbox.Take, Hunks: []proofbox.HunkRef{{Path: "a", N: 1, Hash: hunks[1].Hash}}}); err == nil {
		t.Error("a hunk that was not shown was decided on")
	}
	if err := c.Decide(proofbox.ChoiceRequest{Choice: "maybe", Paths: []proofbox.Raw{"a"}}); err == nil {
		t.Error("an unknown choice was taken")
	}
}

// TestAllHunksAreTheWhole: what is decided hunk by hunk, and comes to the whole
// change, is a choice about that, and can be taken apart again.
func TestAllHunksAreTheWhole(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x\n", 20)
	s := newSite(t, map[string]string{"a": "1\n" + text + "2\n"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "one\n" + text + "two\n"})
	c := s.collect(t)
	decide := func(choice proofbox.Choice, n int) proofbox.Change {
		t.Helper()
		must(t, c.Decide(proofbox.ChoiceRequest{Choice: choice, Hunks: []proofbox.HunkRef{{Path: "a", N: n}}}))
		c = value[*Changes](t)(Load(s.store))
		return c.List()[0]
	}
	for _, step := range []struct {
		choice proofbox.Choice
		hunk   int
		want   proofbox.Choice
		partly bool
	}{
		{proofbox.Drop, 1, proofbox.Open, false},
		{proofbox.Drop, 2, proofbox.Drop, false},
		{proofbox.Take, 1, proofbox.Open, true},
		{proofbox.Take, 2, proofbox.Take, false},
		{proofbox.Open, 2, proofbox.Open, true},
	} {
		if got := decide(step.choice, step.hunk); got.Choice != step.want || got.Partly != step.partly {
			t.Errorf("after hunk %d is decided %q: the change is %q, partly %t", step.hunk, step.choice, got.Choice, got.Partly)
		}
	}
	_, err := c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{Decided: true}})
	must(t, err)
	wantTree(t, s.original, map[string]string{"a": "one\n" + text + "2\n"})
}
