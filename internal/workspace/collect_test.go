package workspace

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// devices is why a test that makes an overlay's whiteouts by hand needs root;
// the property test has real ones.
const devices = "nobody else can make the devices that are an overlay's whiteouts"

func mark(t failer, path, name, text string) {
	t.Helper()
	must(t, unix.Setxattr(path, name, []byte(text), 0))
}

func TestBothFormsOfWhiteouts(t *testing.T) {
	t.Parallel()
	needRoot(t, devices)
	s := newSite(t, map[string]string{"a": "1", "b": "2", "d/x": "3", "d/y": "4"}).freeze(t, false)
	whiteout(t, s.upper+"/a")
	plant(t, s.upper, map[string]string{"b": "", "d/x": ""})
	mark(t, s.upper, attrOpaque, "x")
	mark(t, s.upper+"/b", attrWhiteout, "y")
	mark(t, s.upper+"/d/x", attrWhiteout, "y") // its folder does not say that it holds any
	wantChanges(t, s.collect(t), `deleted "a" file→absent`, `deleted "b" file→absent`, `modified "d/x" file→file`)
}

func TestOpaqueFolderHidesTheBase(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"d/a": "1", "d/sub/b": "2", "e": "3"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"d/a": "1", "d/new": "n"})
	mark(t, s.upper+"/d", attrOpaque, "y")
	wantChanges(t, s.collect(t), `added "d/new" absent→file`, `deleted "d/sub" folder→absent`, `deleted "d/sub/b" file→absent`)
}

func TestMarksThatTheOverlayWasToldNotToMakeEndTheRun(t *testing.T) {
	t.Parallel()
	for attr, where := range map[string]string{attrRedirect: "d", attrMetacopy: "d/a"} {
		s := newSite(t, map[string]string{"d/a": "1"}).freeze(t, false)
		plant(t, s.upper, map[string]string{"d/a": ""})
		mark(t, filepath.Join(s.upper, where), attr, "/etc")
		if _, err := s.tryCollect(); err == nil {
			t.Errorf("%s was believed", attr)
		}
	}
}

func TestFilesThatWereOnlyOpenedAreNoChange(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"same": "1", "touched": "2", "mode": "3"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"same": "1", "touched": "2", "mode": "3"})
	must(t, os.Chmod(s.upper+"/mode", 0o755))
	c := s.collect(t)
	wantChanges(t, c, `modified "mode" file→file`)
	var patch strings.Builder
	must(t, c.WriteUnified(&patch, c.List()))
	want := "# ! mode has become executable: it runs when its name is called\n" +
		"diff --git a/mode b/mode\nold mode 100644\nnew mode 100755\n"
	if patch.String() != want {
		t.Errorf("the patch is %q", patch.String())
	}
}

func TestTypesMaySwap(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"file": "1", "folder/x": "2", "folder/y/z": "3", "link": "→file"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"file/new": "n", "folder": "now a file", "link/in": "n"})
	wantChanges(t, s.collect(t),
		`modified "file" file→folder`, `added "file/new" absent→file`,
		`modified "folder" folder→file`, `deleted "folder/x" file→absent`,
		`deleted "folder/y" folder→absent`, `deleted "folder/y/z" file→absent`,
		`modified "link" symlink→folder`, `added "link/in" absent→file`)
}

func TestDeepNesting(t *testing.T) {
	t.Parallel()
	const depth = 3000
	s := newSite(t, nil).freeze(t, false)
	at := value[int](t)(unix.Open(s.upper, unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	for range depth {
		must(t, unix.Mkdirat(at, "d", 0o755))
		next := value[int](t)(unix.Openat(at, "d", unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
		must(t, unix.Close(at))
		at = next
	}
	must(t, unix.Close(at))
	c := s.collect(t)
	if got := c.Tally().Added; got != depth {
		t.Errorf("%d folders were added, want %d", got, depth)
	}
	receipt, err := s.keep(c)
	if err != nil || len(receipt.Kept) != depth {
		t.Errorf("%d were kept: %v", len(receipt.Kept), err)
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1", "b": "2", "c": "3", "pipe": "FIFO"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "by the box", "c": "by the box"})
	must(t, os.WriteFile(s.original+"/a", []byte("outside"), 0o644))
	must(t, os.WriteFile(s.original+"/b", []byte("outside"), 0o644))
	c := s.collect(t)
	wantChanges(t, c, `modified "a" file→file drifted`, `modified "c" file→file`)
	if len(c.Warnings()) != 1 || !strings.Contains(c.Warnings()[0], `"b" changed in the original`) {
		t.Errorf("the warnings are %q", c.Warnings())
	}
	receipt, err := s.keep(c)
	must(t, err)
	if len(receipt.Kept) != 1 || len(receipt.Refused) != 1 || receipt.Refused[0].Path != "a" {
		t.Errorf("kept %v, refused %v", summary(receipt.Kept), summary(receipt.Refused))
	}
	wantTree(t, s.original, map[string]string{"a": "outside", "b": "outside", "c": "by the box", "pipe": "FIFO"})
}

// A store on a full disk is an error that says so, never a change without bytes.
func TestFullDisk(t *testing.T) {
	needRoot(t, "nobody else can mount a file system that is small enough to fill")
	s := newSite(t, map[string]string{"a": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"big": strings.Repeat("0123456789", 300<<10)})
	small := t.TempDir()
	must(t, unix.Mount("small", small, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m"))
	defer func() { must(t, unix.Unmount(small, 0)) }()
	s.store = filepath.Join(small, "store")
	if _, err := s.tryCollect(); err == nil || !strings.Contains(err.Error(), "make room where PROOFBOX_HOME is and run it again") {
		t.Errorf("the error is %v", err)
	}
	plant(t, s.original, map[string]string{"large": strings.Repeat("0123456789", 300<<10)})
	o := s.options()
	o.Dir = filepath.Join(small, "base")
	if _, err := Freeze(t.Context(), o); err == nil || !strings.Contains(err.Error(), "the original is untouched") {
		t.Errorf("the error is %v", err)
	}
	if entries := value[[]os.DirEntry](t)(os.ReadDir(small)); len(entries) > 1 {
		t.Errorf("something is left of the base: %v", entries)
	}
}

func TestStoreThatWasAlteredIsNotApplied(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2"})
	c := s.collect(t)
	blob := value[string](t)(c.blob(digestText("2")))
	must(t, os.WriteFile(blob, []byte("3"), 0o600))
	if _, err := s.keep(c, "a"); err == nil || !strings.Contains(err.Error(), "altered") {
		t.Errorf("the error is %v", err)
	}
	wantTree(t, s.original, map[string]string{"a": "1"})
}

func TestIndexThatWasAlteredIsNotRead(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1", "b": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2", "b": "2"})
	s.collect(t)
	index := filepath.Join(s.store, changesFile)
	data := string(value[[]byte](t)(os.ReadFile(index)))
	for old, with := range map[string]string{
		`"a"`: `"../a"`, `"b"`: `"/b"`, `"path":"b"`: `"path":"a"`, `"kind":"file"`: `"kind":"door"`,
		`"digest":"sha256:`: `"digest":"sha256:/`, `"version":2`: `"version":9`, `"size":1`: `"size":-1`,
	} {
		altered := strings.Replace(data, old, with, 1)
		if altered == data {
			t.Errorf("%q is not in the index", old)
		}
		must(t, os.WriteFile(index, []byte(altered), 0o600))
		if _, err := Load(s.store); err == nil {
			t.Errorf("an index with %s was read", with)
		}
	}
	must(t, os.WriteFile(index, []byte(data), 0o600))
	if c, err := Load(s.store); err != nil || fmt.Sprint(summary(c.List())) != `[modified "a" file→file modified "b" file→file]` {
		t.Errorf("the index itself: %v", err)
	}
}
