package workspace

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox"
)

func TestKeepRefusesByName(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"fine": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{
		"fine": "2", "pipe": "FIFO", "setuid": "x", "setgid": "x",
		"absolute": "→/etc/passwd", "escape": "→../outside", "sneaky": "→d/../../outside", "inside": "→fine",
		"gitlink": "→.git/hooks/x", ".git/hooks/pre-commit": "#!/bin/sh", "sub/.GIT/config": "x",
	})
	must(t, os.Chmod(s.upper+"/setuid", 0o755|os.ModeSetuid))
	must(t, os.Chmod(s.upper+"/setgid", 0o755|os.ModeSetgid))
	c := s.collect(t)
	receipt, err := s.keepAllowing(c, false)
	must(t, err)
	refused := map[proofbox.Raw]string{}
	for _, r := range receipt.Refused {
		refused[r.Path] = r.Refused
	}
	for path, why := range map[proofbox.Raw]string{
		"pipe": "FIFO", "setuid": "somebody else", "setgid": "somebody else", "absolute": "absolute", "escape": "leaves",
		"sneaky": "could leave", "gitlink": "repository", ".git/hooks/pre-commit": "git commit", "sub/.GIT/config": "git status",
	} {
		if !strings.Contains(refused[path], why) {
			t.Errorf("%q is refused with %q, want %q in it", path, refused[path], why)
		}
	}
	wantTree(t, s.original, map[string]string{"fine": "2", "inside": "→fine", "sub/": ""})

	// Asked for by name, what is never kept is an error, and nothing is written.
	for _, path := range []proofbox.Raw{"pipe", "setuid", "absolute", "escape"} {
		_, err := s.keepAllowing(c, false, path)
		if _, ok := errors.AsType[*ConflictError](err); !ok {
			t.Errorf("keeping %q: %v", path, err)
		}
	}
	// What would run wants a yes that is bound to its bytes.
	at, _ := c.find(".git/hooks/pre-commit")
	hook := c.List()[at]
	_, err = s.keepAllowing(c, false, hook.Path)
	if conflict, ok := errors.AsType[*ConflictError](err); !ok || !strings.Contains(conflict.Error(), "--allow "+hook.Hash[len(digestPrefix):][:16]) {
		t.Errorf("without a yes: %v", err)
	}
	allow := func(hash string) error {
		_, err := c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{
			Paths: []proofbox.Raw{hook.Path}, Allow: []proofbox.Allowance{{Path: hook.Path, Hash: hash}},
		}})
		return err
	}
	for _, hash := range []string{"", hook.Hash[:len(digestPrefix)+8], strings.Repeat("0", 64), hook.After.Digest} {
		if allow(hash) == nil {
			t.Errorf("the yes %q was taken", hash)
		}
	}
	must(t, allow(hook.Hash))
	if _, err := os.Lstat(s.original + "/.git/hooks/pre-commit"); err != nil {
		t.Errorf("asked for by name, it is not there: %v", err)
	}
}

func TestKeepOnlyWhatWasShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2", "b": "n"})
	c := s.collect(t)
	shown := value[string](t)(Shown(c.List()[:1]))
	_, err := c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{All: true, Shown: shown}})
	if _, ok := errors.AsType[*ConflictError](err); !ok {
		t.Errorf("more was kept than was shown: %v", err)
	}
	_, err = c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{Paths: []proofbox.Raw{"./a/"}, Shown: shown}})
	must(t, err)
	wantTree(t, s.original, map[string]string{"a": "2"})
}

func TestKeepWritesNothingWhereOnePathHasMoved(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(t failer, original string){
		"edited":        func(t failer, o string) { must(t, os.WriteFile(o+"/b", []byte("outside"), 0o644)) },
		"gone":          func(t failer, o string) { must(t, os.Remove(o+"/b")) },
		"a link now":    func(t failer, o string) { must(t, os.Remove(o+"/b")); must(t, os.Symlink("a", o+"/b")) },
		"a folder now":  func(t failer, o string) { must(t, os.Remove(o+"/b")); must(t, os.Mkdir(o+"/b", 0o755)) },
		"made meantime": func(t failer, o string) { plant(t, o, map[string]string{"new/file": "outside"}) },
		"link in the way": func(t failer, o string) {
			must(t, os.Symlink("/tmp", o+"/new"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, map[string]string{"a": "1", "b": "2", "z": "3"}).freeze(t, false)
			plant(t, s.upper, map[string]string{"a": "by the box", "b": "by the box", "new/file": "by the box", "z": "by the box"})
			c := s.collect(t)
			move(t, s.original)
			was := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
			_, err := s.keep(c)
			if _, ok := errors.AsType[*ConflictError](err); !ok {
				t.Errorf("the error is %v", err)
			}
			is := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
			if len(difference(was, is)) != 0 {
				t.Errorf("it has written: %v", difference(was, is))
			}
			_, err = s.keep(c, "a", "z") // the others are free
			must(t, err)
		})
	}
}

// What hard links share in the original, only the kept name loses: nothing is
// written in place.
func TestKeepDoesNotWriteThroughHardLinks(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1"})
	outside := s.original + "-outside"
	must(t, os.Link(s.original+"/a", outside))
	s.freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2"})
	_, err := s.keep(s.collect(t))
	must(t, err)
	if text := value[[]byte](t)(os.ReadFile(outside)); string(text) != "1" {
		t.Errorf("another name of the file has %q", text)
	}
	wantTree(t, s.original, map[string]string{"a": "2"})
}

func TestKeepLeavesFoldersThatAreNotEmpty(t *testing.T) {
	t.Parallel()
	needRoot(t, devices)
	s := newSite(t, map[string]string{"d/a": "1", "d/b": "2"}).freeze(t, false)
	whiteout(t, s.upper+"/d")
	c := s.collect(t)
	plant(t, s.original, map[string]string{"d/mine": "outside"})
	if _, err := s.keep(c); err == nil || !strings.Contains(err.Error(), `"d/mine" in it`) {
		t.Errorf("the error is %v", err)
	}
	must(t, os.Remove(s.original+"/d/mine"))
	_, err := s.keep(c)
	must(t, err)
	wantTree(t, s.original, map[string]string{})
}

func TestKeptFilesBelongToTheOriginalsOwner(t *testing.T) {
	t.Parallel()
	needRoot(t, "nobody else can have an original that belongs to somebody else")
	const owner = 4711
	s := newSite(t, map[string]string{"a": "1", "d/b": "2"})
	for _, p := range []string{"", "/a", "/d", "/d/b"} {
		must(t, os.Lchown(s.original+p, owner, owner))
	}
	s.freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2", "d/new": "n", "made/x": "n", "l": "→a"})
	_, err := s.keep(s.collect(t))
	must(t, err)
	for _, p := range []string{"a", "d/new", "made", "made/x", "l"} {
		var st unix.Stat_t
		must(t, unix.Lstat(s.original+"/"+p, &st))
		if st.Uid != owner || st.Gid != owner {
			t.Errorf("%q belongs to %d:%d", p, st.Uid, st.Gid)
		}
	}
}

// TestShelfGivesWhatIsThere: what was remembered is the caller's own, and is read
// anew once it has changed.
func TestShelfGivesWhatIsThere(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1", "b": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2", "b": "2"})
	s.collect(t)
	var shelf Shelf
	first := value[*Changes](t)(shelf.Load(s.store))
	must(t, first.Decide(proofbox.ChoiceRequest{Choice: proofbox.Drop, Paths: []proofbox.Raw{"a"}}))
	first.List()[1].Refused = "altered by its owner"
	second := value[*Changes](t)(shelf.Load(s.store))
	if second.List()[0].Choice != proofbox.Drop || second.List()[1].Refused != "" {
		t.Errorf("the second time it is %+v", second.List())
	}
	_, err := s.keep(second, "b")
	must(t, err)
	if third := value[*Changes](t)(shelf.Load(s.store)); !third.List()[1].Kept || third.List()[0].Kept {
		t.Errorf("after a keep it is %+v", third.List())
	}
	must(t, os.RemoveAll(s.store))
	if _, err := shelf.Load(s.store); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is gone gives %v", err)
	}
}

// TestKeepThatDoesNotFit: many links to one file are as many files where they are
// kept; what is made of holes takes no room.
func TestKeepThatDoesNotFit(t *testing.T) {
	needRoot(t, "nobody else can mount a file system that is small enough")
	s := newSite(t, nil)
	must(t, unix.Mount("small", s.original, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m"))
	defer func() { must(t, unix.Unmount(s.original, 0)) }()
	s.freeze(t, false)
	plant(t, s.upper, map[string]string{"a": strings.Repeat("0123456789", 60<<10), "hole": ""})
	must(t, os.Truncate(s.upper+"/hole", 8<<20))
	must(t, os.Link(s.upper+"/a", s.upper+"/b"))
	c := s.collect(t)
	if _, err := s.keep(c); err == nil || !strings.Contains(err.Error(), "nothing was kept: it needs 1.2MiB or more, and 1MiB are free") {
		t.Errorf("the error is %v", err)
	}
	wantTree(t, s.original, map[string]string{})
	receipt, err := c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{Paths: []proofbox.Raw{"a", "hole"}}})
	if err != nil || len(receipt.Kept) != 2 {
		t.Errorf("%d kept: %v", len(receipt.Kept), err)
	}
}
