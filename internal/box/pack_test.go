package box_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"proofbox/internal/box"
	"proofbox/internal/box/boxtest"
	"proofbox/internal/box/jail"
)

// packFolder makes this test binary a packer of one folder, see
// TestKilledPackerLeavesNothing.
const packFolder = "PROOFBOX_TEST_PACK"

func TestMain(m *testing.M) {
	if folder := os.Getenv(packFolder); folder != "" {
		h := &box.Host{State: os.Getenv("HOME"), Jail: os.Getenv("PROOFBOX_TEST_JAIL")}
		_, err := h.PackRoot(context.Background(), "killed", shown(folder))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// packer gives a host that can pack, or skips.
func packer(t *testing.T) *box.Host {
	t.Helper()
	bin := os.Getenv("PROOFBOX_BIN")
	if bin == "" {
		bin = "../../bin"
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		t.Fatal(err)
	}
	h := &box.Host{State: t.TempDir(), Jail: filepath.Join(bin, "proofbox-jail")}
	if _, err := os.Stat(h.Jail); err != nil {
		boxtest.Missing(t, "proofbox-jail", err.Error())
	}
	if _, err := box.MkfsErofs(); err != nil {
		boxtest.Missing(t, "erofs", err.Error())
	}
	return h
}

// secret is what must not be in an image that could not see it.
const secret = "the bytes of a secret, unlike any others"

// original is a tree with everything that a workspace may hold, and links that
// lead out of it.
func original(t *testing.T) string {
	t.Helper()
	dir, outside := t.TempDir(), t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(outside, "secret"), []byte(secret), 0o644),
		os.Chmod(dir, 0o755), os.Chmod(outside, 0o755),
		os.Mkdir(filepath.Join(dir, "sub"), 0o750),
		os.WriteFile(filepath.Join(dir, "script"), []byte("#!/bin/sh\n"), 0o755),
		os.WriteFile(filepath.Join(dir, "private"), []byte("mine"), 0o600),
		os.Link(filepath.Join(dir, "script"), filepath.Join(dir, "sub", "twin")),
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "link")),
		os.Symlink(outside, filepath.Join(dir, "folder link")),
		os.WriteFile(filepath.Join(dir, "line\nbreak"), nil, 0o444),
		os.WriteFile(filepath.Join(dir, "hidden"), []byte(secret), 0o644),
		os.WriteFile(filepath.Join(dir, "sparse"), []byte("begin"), 0o644),
		os.Truncate(filepath.Join(dir, "sparse"), 8<<20),
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
		unix.Setxattr(filepath.Join(dir, "script"), "user.note", []byte("an attribute"), 0),
		os.Chtimes(filepath.Join(dir, "script"), time.Time{}, time.Unix(1_000_000_000, 500)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// facts are what dump.erofs says of a path in an image.
var facts = regexp.MustCompile(`(?s)Size: (\d+) .*?  (\S[^\n]*)\n.*Links: (\d+) .*Uid: (\d+)   Gid: (\d+)  Access: (\d+)/.*Timestamp: ([0-9-]+ \S+)`)

// look gives size, type, links, owner and mode of a path in an image.
func look(t *testing.T, p box.Packed, path string) string {
	t.Helper()
	cmd := exec.Command("dump.erofs", "--path="+path, p.Path)
	cmd.Env = []string{"TZ=UTC", "PATH=/usr/bin:/usr/sbin"}
	out, _ := cmd.CombinedOutput() // of a path that is not there it says nothing of this form
	m := facts.FindStringSubmatch(string(out))
	if m == nil {
		return ""
	}
	return strings.Join(m[1:7], " ")
}

func contents(t *testing.T, p box.Packed) []byte {
	t.Helper()
	data, err := os.ReadFile(p.Path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPackWorkspace(t *testing.T) {
	t.Parallel()
	h, folder := packer(t), original(t)
	for _, hidden := range [][]string{nil, {"hidden"}} {
		var noted []string
		p, err := h.PackWorkspace(t.Context(), t.TempDir(), &box.Workspace{
			Lower: folder, UID: os.Getuid(), GID: os.Getgid(), Hidden: hidden,
		}, func(o box.Object) error {
			noted = append(noted, string(o.Kind))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"/script": "10 regular file 2 1000 1000 0755", "/sub/twin": "10 regular file 2 1000 1000 0755",
			"/private": "4 regular file 1 1000 1000 0600", "/sparse": "8388608 regular file 1 1000 1000 0644",
			"/line\nbreak": "0 regular file 1 1000 1000 0444", "/fifo": "0 FIFO file 1 1000 1000 0600",
			"/hidden": fmt.Sprintf("%d regular file 1 1000 1000 0644", len(secret)),
		}
		if hidden != nil {
			want["/hidden"] = ""
		}
		got := map[string]string{}
		for path := range want {
			got[path] = look(t, p, path)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("hidden %q: %s", hidden, diff)
		}
		if diff := cmp.Diff([]string{"file", "process", "pid namespace"}, noted); diff != "" {
			t.Error(diff)
		}
		data := contents(t, p)
		if !bytes.Contains(data, []byte("an attribute")) {
			t.Error("the extended attribute is missing")
		}
		// The one with nothing hidden shows that the secret would be found.
		if bytes.Contains(data, []byte(secret)) != (hidden == nil) {
			t.Errorf("hidden %q, and the secret is there: %v", hidden, hidden != nil)
		}
		extracted(t, p)
	}
}

// extracted takes an image apart and compares what its links and times are.
func extracted(t *testing.T, p box.Packed) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	out, err := exec.Command("fsck.erofs", "--extract="+dir, "--no-preserve-owner", "--preserve-perms", p.Path).CombinedOutput()
	if err != nil {
		t.Fatalf("taking the image apart: %v: %s", err, out)
	}
	for _, name := range []string{"link", "folder link"} {
		if to, err := os.Readlink(filepath.Join(dir, name)); err != nil || !filepath.IsAbs(to) {
			t.Errorf("%s leads to %q, %v", name, to, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "script"))
	if err != nil || info.ModTime().Unix() != 1_000_000_000 {
		t.Errorf("script: %v, %v", info, err)
	}
}

// TestPackWorkspaceOfSomebody: the owner becomes the box's user, and what is
// another's stays another's.
func TestPackWorkspaceOfSomebody(t *testing.T) {
	t.Parallel()
	h := packer(t)
	if os.Geteuid() != 0 {
		boxtest.Missing(t, "root", "only root can make files of others")
	}
	folder := t.TempDir()
	for name, owner := range map[string]int{"owned": 1234, "root's": 0, "other": 4321, "box": 1000} {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.WriteFile(path, []byte(name), 0o600), os.Chown(path, owner, owner)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(folder, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	p, err := h.PackWorkspace(t.Context(), t.TempDir(), &box.Workspace{Lower: folder, UID: 1234, GID: 1234}, func(box.Object) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"owned": "5 regular file 1 1000 1000 0600", "root's": "6 regular file 1 0 0 0600",
		"other": "5 regular file 1 4321 4321 0600", "box": "3 regular file 1 1234 1234 0600",
	}
	got := map[string]string{}
	for name := range want {
		got[name] = look(t, p, "/"+name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestPackWorkspaceTooLarge: what cannot become a disk is refused before
// anything is made.
func TestPackWorkspaceTooLarge(t *testing.T) {
	t.Parallel()
	h, dir := packer(t), t.TempDir()
	_, err := h.PackWorkspace(t.Context(), dir, &box.Workspace{Lower: t.TempDir(), Bytes: 1 << 40}, func(o box.Object) error {
		t.Errorf("%s was to be made", o.Name)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "hide what is large") {
		t.Errorf("the error is %v", err)
	}
}

// TestPackWorkspaceThatGrows: the bound holds also where a file is larger than
// anybody has said, and nothing runs on.
func TestPackWorkspaceThatGrows(t *testing.T) {
	t.Parallel()
	h, folder := packer(t), t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(folder, "endless"), nil, 0o644), os.Truncate(filepath.Join(folder, "endless"), 1<<43)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	dir := t.TempDir()
	enough := errors.New("enough")
	_, err := h.PackWorkspace(ctx, dir, &box.Workspace{Lower: folder, UID: os.Getuid(), GID: os.Getgid()}, func(o box.Object) error {
		if o.Kind == box.PIDSpace {
			go func() {
				for info, err := os.Stat(filepath.Join(dir, "workspace.erofs")); err == nil && info.Size() < 1<<20 && ctx.Err() == nil; {
					info, err = os.Stat(filepath.Join(dir, "workspace.erofs"))
				}
				cancel(enough)
			}()
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("the error is %v", err)
	}
}

// TestPackWorkspaceWithUnreadable: what the jail may not read ends the packing
// with what to do.
func TestPackWorkspaceWithUnreadable(t *testing.T) {
	t.Parallel()
	h := packer(t)
	if os.Geteuid() != 0 {
		boxtest.Missing(t, "root", "only root can make a file of somebody else")
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "foreign")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 1<<20, 1<<20); err != nil {
		t.Fatal(err)
	}
	_, err := h.PackWorkspace(t.Context(), t.TempDir(), &box.Workspace{Lower: folder}, func(box.Object) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "foreign owner") {
		t.Errorf("the error is %v", err)
	}
}

// TestPackWorkspaceTooDeep: a tree that is nested deeper than mkfs.erofs can
// follow is refused.
func TestPackWorkspaceTooDeep(t *testing.T) {
	t.Parallel()
	h, folder := packer(t), t.TempDir()
	at, err := unix.Open(folder, unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 1500 {
		if err := unix.Mkdirat(at, "deep", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, "deep", unix.O_DIRECTORY, 0)
		if err := errors.Join(err, unix.Close(at)); err != nil {
			t.Fatal(err)
		}
		at = next
	}
	if err := unix.Close(at); err != nil {
		t.Fatal(err)
	}
	w := &box.Workspace{Lower: folder, UID: os.Getuid(), GID: os.Getgid()}
	_, err = h.PackWorkspace(t.Context(), t.TempDir(), w, func(box.Object) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "4095 bytes") {
		t.Errorf("the error is %v", err)
	}
}

// shown are the steps of a root with one folder in it.
func shown(folder string) []jail.Step {
	return []jail.Step{
		{Bind: &jail.Bind{Source: folder, Target: "/srv", Folder: true}},
		{Link: &jail.Link{Path: "/bin", Target: "srv/sub"}},
		{File: &jail.File{Path: "/etc/passwd", Mode: 0o644, Data: []byte("box")}},
	}
}

func TestPackRoot(t *testing.T) {
	t.Parallel()
	h, folder := packer(t), original(t)
	p, err := h.PackRoot(t.Context(), "first", shown(folder))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"/srv/script": "10 regular file 2 0 0 0755", "/bin": "7 symlink file 1 0 0 0777",
		"/etc/passwd": "3 regular file 1 0 0 0644", "/workspace": "27 directory 2 0 0 0755",
		box.CanaryPath: "0 regular file 1 0 0 0444", "/srv/private": "4 regular file 1 0 0 0600",
	}
	if os.Geteuid() == 0 { // its boxes are a user who could not read it
		want["/srv/private"], want["/srv/script"] = "", "10 regular file 1 0 0 0755"
	}
	got := map[string]string{}
	for path := range want {
		got[path] = look(t, p, path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again, err := h.PackRoot(t.Context(), "second", shown(folder))
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != p.Digest || again.Path == p.Path {
		t.Errorf("of the same tree there are %+v and %+v", p, again)
	}
}

// TestPackRootBelowWritable: what a box has a new folder over cannot be shown.
func TestPackRootBelowWritable(t *testing.T) {
	t.Parallel()
	h := packer(t)
	_, err := h.PackRoot(t.Context(), "below", []jail.Step{{Bind: &jail.Bind{Source: t.TempDir(), Target: "/tmp/shown", Folder: true}}})
	if err == nil || !strings.Contains(err.Error(), "/tmp/shown") {
		t.Errorf("the error is %v", err)
	}
}

// TestPackedRootIsVerified: a kept image is taken as it is, taken after its
// bytes were read again where only its times differ, and packed anew where it
// was altered or is not whole.
func TestPackedRootIsVerified(t *testing.T) {
	t.Parallel()
	folder := original(t)
	for name, c := range map[string]struct {
		alter func(path string) error
		anew  bool
	}{
		"kept":    {func(string) error { return nil }, false},
		"touched": {func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(1, 0)) }, false},
		"altered": {func(p string) error { return errors.Join(os.Chmod(p, 0o600), overwrite(p, 2000)) }, true},
		"cut":     {func(p string) error { return errors.Join(os.Chmod(p, 0o600), os.Truncate(p, 4096)) }, true},
		"gone":    {os.Remove, true},
		"no record": {func(p string) error {
			return os.Remove(strings.TrimSuffix(p, ".erofs") + ".json")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := packer(t)
			p, err := h.PackRoot(t.Context(), "key", shown(folder))
			if err != nil {
				t.Fatal(err)
			}
			before := inode(t, p.Path)
			held, err := os.Open(p.Path) // so that its inode is not used again
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			if err := c.alter(p.Path); err != nil {
				t.Fatal(err)
			}
			again, err := h.PackRoot(t.Context(), "key", shown(folder))
			if err != nil {
				t.Fatal(err)
			}
			if again != p {
				t.Errorf("it was %+v and is %+v", p, again)
			}
			if anew := inode(t, p.Path) != before; anew != c.anew {
				t.Errorf("it was packed anew: %v", anew)
			}
		})
	}
}

func overwrite(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte{0xff}, at)
	return err
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestPackersDoNotCollide(t *testing.T) {
	t.Parallel()
	h, folder := packer(t), original(t)
	var packers sync.WaitGroup
	digests := make([]string, 4)
	for i := range digests {
		packers.Go(func() {
			p, err := h.PackRoot(t.Context(), "key", shown(folder))
			if err != nil {
				t.Error(err)
			}
			digests[i] = p.Digest
		})
	}
	packers.Wait()
	for _, d := range digests {
		if d != digests[0] || d == "" {
			t.Errorf("the digests are %q", digests)
		}
	}
	checkShelf(t, h, "key.erofs", "key.json")
}

func checkShelf(t *testing.T, h *box.Host, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.State, "cache", "erofs"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// TestKilledPackerLeavesNothing kills a packer while it writes: its jail ends
// with it, and the next one removes what it has left.
func TestKilledPackerLeavesNothing(t *testing.T) {
	t.Parallel()
	h, folder := packer(t), original(t)
	if err := os.Truncate(filepath.Join(folder, "sparse"), 4<<30); err != nil { // takes a while to write
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), packFolder+"="+folder, "HOME="+h.State, "PROOFBOX_TEST_JAIL="+h.Jail)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for t.Context().Err() == nil && written(h) == 0 {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid)); err != nil {
			t.Fatalf("the packer ended: %s", said.String())
		}
	}
	jails := children(t, cmd.Process.Pid)
	if len(jails) == 0 {
		t.Fatal("the packer has no jail")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the packer ended by itself")
	}
	for _, pid := range jails { // they end without anybody's help
		for t.Context().Err() == nil {
			if _, err := os.Stat("/proc/" + pid); err != nil {
				break
			}
		}
	}
	if written(h) == 0 {
		t.Fatal("the killed packer has left nothing, so this test shows nothing")
	}
	if _, err := h.PackRoot(t.Context(), "next", shown(filepath.Join(folder, "sub"))); err != nil {
		t.Fatal(err)
	}
	checkShelf(t, h, "next.erofs", "next.json")
}

// children lists the processes that a process has started.
func children(t *testing.T, pid int) []string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.Fields(string(text))...)
	}
	return list
}

// written gives the size of what is being written on a host's shelf.
func written(h *box.Host) int64 {
	files, _ := filepath.Glob(filepath.Join(h.State, "cache", "erofs", "new-*"))
	var size int64
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			size += info.Size()
		}
	}
	return size
}
