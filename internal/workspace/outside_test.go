package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox"
)

// TestLinksOfTheBoxAreNotFollowed (CVE-2022-39253, CVE-2023-22490): what a link of
// the box points to is neither listed nor stored.
func TestLinksOfTheBoxAreNotFollowed(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	plant(t, outside, map[string]string{"secret": "nobody's but mine"})
	s := newSite(t, map[string]string{"was": "x"}).freeze(t, false)
	plant(t, s.upper, map[string]string{".git/objects": "→" + outside, "file": "→" + outside + "/secret", "folder": "→" + outside})
	c := s.collect(t)
	wantChanges(t, c, `added ".git" absent→folder`, `added ".git/objects" absent→symlink refused`, `added "file" absent→symlink refused`, `added "folder" absent→symlink refused`)
	if blobs := value[[]os.DirEntry](t)(os.ReadDir(filepath.Join(s.store, blobsDir))); len(blobs) > 0 {
		t.Errorf("the store holds %v", blobs)
	}
}

// TestASetWritesThroughNoLinkOfItsOwn (CVE-2023-23946): a set whose index was made
// to say that a link comes, and a file below it.
func TestASetWritesThroughNoLinkOfItsOwn(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	s := newSite(t, map[string]string{"was": "x"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"l/x": "evil", "m": "→sub"})
	c := s.collect(t)
	for target, refused := range map[string]bool{"sub": false, outside: true} {
		at, _ := c.find("l")
		c.list.Changes[at].After = proofbox.Entry{Kind: proofbox.Symlink, Target: proofbox.Raw(target)}
		must(t, c.save())
		c = value[*Changes](t)(Load(s.store))
		if _, err := s.keep(c); (err == nil) && !refused {
			t.Errorf("it was written through a link to %q", target)
		}
		if names := value[[]os.DirEntry](t)(os.ReadDir(outside)); len(names) > 0 {
			t.Errorf("outside there is %v", names)
		}
		if _, err := os.Lstat(s.original + "/sub"); err == nil {
			t.Error("something was written where the link points to")
		}
	}
}

// TestPlantedTemporaryName (CVE-2023-25652): somebody has guessed the name that a
// new file has at first, and made a link or a file of it. It is not written
// through, and nothing is kept.
func TestPlantedTemporaryName(t *testing.T) {
	t.Parallel()
	for name, plantAt := range map[string]func(path, outside string) error{
		"link": func(path, outside string) error { return os.Symlink(outside, path) },
		"name": func(path, outside string) error { return os.Link(outside, path) },
		"FIFO": func(path, _ string) error { return unix.Mkfifo(path, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, map[string]string{"a": "1", "b": "1"}).freeze(t, false)
			outside := s.original + "-outside"
			must(t, os.WriteFile(outside, []byte("mine"), 0o644))
			plant(t, s.upper, map[string]string{"a": "2", "b": "2"})
			c := s.collect(t)
			chosen, _, err := c.choose(KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{All: true}})
			must(t, err)
			target := value[*target](t)(openTarget(s.original))
			defer target.close()
			p := value[*plan](t)(c.plan(t.Context(), target, chosen, ""))
			r := value[*record](t)(c.newRecord(s.original, p.steps))
			r.Nonce = strings.Repeat("A", 26)
			must(t, plantAt(s.original+"/"+r.tempName(1), outside))
			if err := c.carryOut(t.Context(), target, r, p.steps); !errors.Is(err, unix.EEXIST) {
				t.Errorf("the error is %v", err)
			}
			if text := value[[]byte](t)(os.ReadFile(outside)); string(text) != "mine" {
				t.Errorf("outside there is %q", text)
			}
			wantTree(t, s.original, map[string]string{"a": "1", "b": "1"})
		})
	}
}

// TestOriginalWhoseLinksLeadIn is what os.Root would write through: while the box
// ran, names of the original have become links that stay inside of it, or names
// of a file outside. Taking the run's side replaces such a name, and leaves what
// it led to.
func TestOriginalWhoseLinksLeadIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"README.md": "1", "innocent/hooks/pre-commit": "1", "twin": "1", ".git/config": "mine", ".git/hooks/pre-commit": "mine"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"README.md": "evil", "innocent/hooks/pre-commit": "evil", "twin": "evil"})
	c := s.collect(t)
	outside := s.original + "-outside"
	must(t, os.WriteFile(outside, []byte("mine"), 0o644))
	for _, name := range []string{"README.md", "innocent", "twin"} {
		must(t, os.RemoveAll(s.original+"/"+name))
	}
	must(t, os.Symlink(".git/config", s.original+"/README.md"))
	must(t, os.Symlink(".git", s.original+"/innocent"))
	must(t, os.Link(outside, s.original+"/twin"))
	was := map[string]string{"README.md": "→.git/config", "innocent": "→.git", "twin": "mine", ".git/config": "mine", ".git/hooks/pre-commit": "mine"}
	keep := func(paths ...proofbox.Raw) error {
		_, err := c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{Paths: paths, Conflict: proofbox.TakeRun}})
		return err
	}
	if err := keep("innocent/hooks/pre-commit"); err == nil {
		t.Error("a file was kept through a link")
	}
	wantTree(t, s.original, was)
	must(t, keep("README.md", "twin"))
	was["README.md"], was["twin"] = "evil", "evil"
	wantTree(t, s.original, was)
	if text := value[[]byte](t)(os.ReadFile(outside)); string(text) != "mine" {
		t.Errorf("outside there is %q", text)
	}
}

// TestDevicesAreRefused: a device of the box is refused, whatever its numbers are.
func TestDevicesAreRefused(t *testing.T) {
	t.Parallel()
	needRoot(t, devices)
	s := newSite(t, map[string]string{"was": "x"}).freeze(t, false)
	for path, mode := range map[string]uint32{"char": unix.S_IFCHR, "block": unix.S_IFBLK} {
		must(t, unix.Mknod(s.upper+"/"+path, mode|0o666, int(unix.Mkdev(1, 3))))
	}
	c := s.collect(t)
	wantChanges(t, c, `added "block" absent→special refused`, `added "char" absent→special refused`)
}

// TestRightsOfFilesAreNotKept: what would give a program or another user rights is
// said of a change, and not written: sticky bits, capabilities, access lists.
func TestRightsOfFilesAreNotKept(t *testing.T) {
	t.Parallel()
	needRoot(t, "nobody else can set capabilities")
	s := newSite(t, map[string]string{"was": "x"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"sticky": "x", "capable": "x", "shared": "x", "d/": ""})
	must(t, os.Chmod(s.upper+"/sticky", 0o644|os.ModeSticky))
	must(t, os.Chmod(s.upper+"/d", 0o777|os.ModeSticky))
	const netRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_raw=ep, see capabilities(7)
	must(t, unix.Setxattr(s.upper+"/capable", "security.capability", []byte(netRaw), 0))
	const forOther = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x06\x00\xd2\x04\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff" // user 1234 may write
	acl := unix.Setxattr(s.upper+"/shared", "system.posix_acl_access", []byte(forOther), 0)
	if acl != nil && !errors.Is(acl, unix.EOPNOTSUPP) {
		t.Fatal(acl)
	}
	c := s.collect(t)
	_, err := s.keep(c)
	must(t, err)
	for _, path := range []string{"sticky", "d"} {
		if info := value[os.FileInfo](t)(os.Stat(s.original + "/" + path)); info.Mode()&os.ModeSticky != 0 {
			t.Errorf("%q has the mode %v", path, info.Mode())
		}
	}
	for path, name := range map[string]string{"capable": "security.capability", "shared": "system.posix_acl_access"} {
		if n, err := unix.Getxattr(s.original+"/"+path, name, make([]byte, 128)); err == nil {
			t.Errorf("%q has %d bytes of %s", path, n, name)
		}
		at, _ := c.find(path)
		if notes := strings.Join(c.List()[at].Notes, "\n"); !strings.Contains(notes, name) && (path != "shared" || acl == nil) {
			t.Errorf("of %q it says %q", path, notes)
		}
	}
}

// immutable is FS_IMMUTABLE_FL, see ioctl_iflags(2).
const immutable = 0x10

// TestOriginalThatMayNotChange: a file that is marked immutable stays, and so does
// everything else.
func TestOriginalThatMayNotChange(t *testing.T) {
	t.Parallel()
	needRoot(t, "nobody else can mark a file immutable")
	s := newSite(t, map[string]string{"a": "1", "b": "1", "c": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2", "b": "2", "c": "2"})
	c := s.collect(t)
	f := value[*os.File](t)(os.Open(s.original + "/b"))
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|immutable)
	}
	if err != nil {
		missing(t, "immutable", err.Error())
	}
	_, err = s.keep(c)
	must(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags))
	if !errors.Is(err, unix.EPERM) {
		t.Errorf("the error is %v", err)
	}
	wantTree(t, s.original, map[string]string{"a": "1", "b": "1", "c": "1"})
	_, err = s.keep(c)
	must(t, err)
}

// TestChangesAtLineEndsAreSaid: a line that is hidden among hundreds whose ends
// alone have changed is named by its number.
func TestChangesAtLineEndsAreSaid(t *testing.T) {
	t.Parallel()
	lines := strings.Repeat("x\ny\n", 100)
	s := newSite(t, map[string]string{"all": lines, "one": lines, "few": "a\nb\n", "other": lines}).freeze(t, false)
	crlf := strings.ReplaceAll(lines, "\n", "\r\n")
	plant(t, s.upper, map[string]string{"all": crlf, "one": crlf[:3*50] + "evil\r\n" + crlf[3*50:], "few": "a \nb \n", "other": strings.ReplaceAll(lines, "x", "z")})
	want := map[string]string{"all": "200 lines in nothing but", "one": "200 lines in nothing but line ends and blanks before them, and 1 otherwise, from line 51 on", "few": "", "other": ""}
	for _, change := range s.collect(t).List() {
		notes := strings.Join(change.Notes, "\n")
		if w := want[string(change.Path)]; !strings.Contains(notes, w) || w == "" && notes != "" {
			t.Errorf("of %q it says %q", change.Path, notes)
		}
	}
}

// TestPathsThatAreNone: in an index and in a patch, a path is one below the
// workspace, or there is none.
func TestPathsThatAreNone(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2"})
	s.collect(t)
	index := filepath.Join(s.store, changesFile)
	data := string(value[[]byte](t)(os.ReadFile(index)))
	for _, path := range []string{"", "/a", "//a", "..", "../a", "a/..", "a/../../b", ".", "./a", "a/./b", "a//b", "a/", "a\u0000b"} {
		must(t, os.WriteFile(index, []byte(strings.Replace(data, `"a"`, `"`+path+`"`, 1)), 0o600))
		if _, err := Load(s.store); err == nil {
			t.Errorf("an index with the path %q was read", path)
		}
	}
	must(t, os.WriteFile(index, []byte(data), 0o600))
	c := value[*Changes](t)(Load(s.store))
	keep := func(path string) error {
		patch := "diff --git a/" + path + " b/" + path + "\n--- a/" + path + "\n+++ b/" + path + "\n@@ -1 +1 @@\n-1\n\\ No newline at end of file\n+2\n\\ No newline at end of file\n"
		_, err := c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{Patch: proofbox.Raw(patch)}})
		return err
	}
	for _, path := range []string{"/etc/passwd", "../a", "x/../a", "./a", "x//a", ".git/config", ".GIT/config"} {
		if keep(path) == nil {
			t.Errorf("a patch with the path %q was kept", path)
		}
	}
	wantTree(t, s.original, map[string]string{"a": "1"})
	must(t, keep("a")) // the patch is one, but for the path
	wantTree(t, s.original, map[string]string{"a": "2"})
}
