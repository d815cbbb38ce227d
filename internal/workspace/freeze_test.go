package workspace

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox"
)

func TestFoldersThatCannotBeAWorkspace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plant(t, dir, map[string]string{"file": "x", "folder/state/x": "x"})
	for name, c := range map[string]struct {
		original, want string
		reserved       []string
	}{
		"missing":             {dir + "/none", "does not exist", nil},
		"a file":              {dir + "/file", "is a file", nil},
		"the host":            {"/", "the whole host", nil},
		"holds the state":     {dir + "/folder", "must not lie in each other", []string{dir + "/folder/state"}},
		"lies in the state":   {dir + "/folder/state", "must not lie in each other", []string{dir + "/folder"}},
		"is the state itself": {dir + "/folder", "must not lie in each other", []string{dir + "/folder"}},
	} {
		base := filepath.Join(t.TempDir(), "base")
		_, err := Freeze(context.Background(), Options{Original: c.original, Reserved: c.reserved, Dir: base})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %q in it", name, err, c.want)
		}
		if _, err := os.Lstat(base); err == nil {
			t.Errorf("%s: something is left of the base", name)
		}
	}
}

func TestPatternsThatWouldHideNothingAreRefused(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"[", "a/[b", "x**y", "../secret", "./secret", "a/../b", `end\`} {
		if _, err := newHider([]string{p}); err == nil {
			t.Errorf("the pattern %q was taken", p)
		}
	}
}

func TestHiddenFilesAreNotCopied(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{
		".env": "secret", "keep": "seen", "deep/x.pem": "secret", "deep/ok": "seen", "secrets/a/b": "secret", "other": "secret",
	})
	must(t, os.Remove(s.original+"/other"))
	must(t, os.Link(s.original+"/.env", s.original+"/other")) // another name of a hidden file
	s.freeze(t, false, ".env", "*.pem", "secrets/")
	wantTree(t, s.base.Lower, map[string]string{"keep": "seen", "deep/ok": "seen"})
	if got := s.base.Freezing.Hidden; got != 4 {
		t.Errorf("%d paths are hidden, want 4", got)
	}
}

func TestSparseFilesStaySparse(t *testing.T) {
	t.Parallel()
	const size = 5 << 30
	s := newSite(t, nil)
	f := value[*os.File](t)(os.Create(s.original + "/big"))
	must(t, f.Truncate(size))
	_, err := f.WriteAt([]byte("in the middle"), size/2)
	must(t, err)
	must(t, f.Close())
	from := value[*os.File](t)(os.Open(s.original + "/big"))
	defer from.Close()
	to := value[*os.File](t)(os.Create(s.upper + "/copy"))
	defer to.Close()
	must(t, copySparse(to, from, size))
	var st unix.Stat_t
	must(t, unix.Fstat(int(to.Fd()), &st))
	if st.Size != size || st.Blocks*512 > 1<<20 {
		t.Errorf("the copy has %d bytes, of which %d are stored", st.Size, st.Blocks*512)
	}
	if equal, err := sameBytes(from, to, size); err != nil || !equal {
		t.Errorf("the copy differs: %v", err)
	}
	_, err = to.WriteAt([]byte("!"), size-1)
	must(t, err)
	if equal, err := sameBytes(from, to, size); err != nil || equal {
		t.Errorf("a byte in a hole is not seen: %v", err)
	}
}

func TestWhatCannotBeCopiedIsNotCopied(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"pipe": "FIFO", "loop": "→loop", "a": "→b", "b": "→a", "up": "→..", "file": "x"})
	f := value[proofbox.Freezing](t)(Survey(context.Background(), s.options()))
	if f.Method != byOverlay || !strings.Contains(f.Why, "FIFO") {
		t.Errorf("it is frozen by %s: %s", f.Method, f.Why)
	}
	s.freeze(t, false)
	if s.base.Lower != s.original {
		t.Errorf("the base is %q", s.base.Lower)
	}
}

// A tree that changes while it is copied must not give a base that never was.
func TestOriginalThatMovesWhileItIsCopied(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "one", "b": "two"})
	m, _, err := survey(context.Background(), s.options())
	must(t, err)
	must(t, os.WriteFile(s.original+"/b", []byte("other"), 0o644))
	if err := copyTree(context.Background(), m, s.original, filepath.Join(t.TempDir(), "copy"), false); err != errMoved && !strings.Contains(err.Error(), errMoved.Error()) {
		t.Errorf("the error is %v", err)
	}
}
