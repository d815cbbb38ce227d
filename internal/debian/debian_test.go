package debian_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/boxtest"
	"proofbox/internal/debian"
)

// hostBase opens the base of this host, or skips.
func hostBase(t *testing.T) *debian.Base {
	t.Helper()
	dir, err := debian.Dir()
	if err != nil {
		t.Fatal(err)
	}
	b, err := debian.Open(dir)
	if err != nil {
		boxtest.Missing(t, "base", err.Error())
	}
	return b
}

// TestHostBase: what setup has made on this host is what it says, and has what
// a microVM boots from.
func TestHostBase(t *testing.T) {
	t.Parallel()
	b := hostBase(t)
	if err := b.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if !b.Current() {
		t.Error("it is of another recipe than this version's; run `proofbox setup --install`")
	}
	kernel, err := os.ReadFile(b.Kernel)
	if err != nil || len(kernel) < 1<<20 || string(kernel[0x202:0x206]) != "HdrS" { // see Linux' Documentation/arch/x86/boot.rst
		t.Errorf("the kernel is no bzImage of %d bytes, %v", len(kernel), err)
	}
	modules, err := os.ReadFile(filepath.Join(b.Modules, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"virtio_mmio", "virtio_blk", "virtio_console", "virtio-rng", "erofs", "overlay"} {
		if !strings.Contains(string(modules), "/"+name+".ko:") {
			t.Errorf("the kernel has no module %s", name)
		}
	}
	for _, name := range []string{"python3", "git", "gcc", "libc6-dev", "bash", "coreutils"} {
		if b.Manifest.Packages[name] == "" {
			t.Errorf("the root has no package %s", name)
		}
	}
}

// TestHostBaseIsHarmless: everybody may read all of the root, nobody but its
// maker write to it, and nothing in it gives a privilege.
func TestHostBaseIsHarmless(t *testing.T) {
	t.Parallel()
	b := hostBase(t)
	seen := 0
	err := filepath.WalkDir(b.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		seen++
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode()
		switch {
		case mode&fs.ModeSymlink != 0:
		case mode&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket|fs.ModeSetuid|fs.ModeSetgid) != 0,
			mode.Perm()&0o022 != 0, mode.Perm()&0o044 != 0o044, mode.IsDir() && mode.Perm()&0o011 != 0o011:
			t.Errorf("%s has the mode %v", path, mode)
		}
		return nil
	})
	if err != nil || seen < 1000 {
		t.Errorf("%d files were seen, %v", seen, err)
	}
}

// TestHostBaseTellsNothing: a box learns nothing of the host from the base that
// was made on it.
func TestHostBaseTellsNothing(t *testing.T) {
	t.Parallel()
	b := hostBase(t)
	for _, name := range []string{"etc/hostname", "etc/resolv.conf", "etc/apt/sources.list", "etc/apt/sources.list.d", "etc/apt/apt.conf.d"} {
		if _, err := os.Lstat(filepath.Join(b.Root, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is /%s, %v", name, err)
		}
	}
}

// fake makes a folder that looks like a base.
func fake(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "base")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "kernel/modules/6.1"), 0o755),
		os.MkdirAll(filepath.Join(dir, "root/etc"), 0o755),
		os.WriteFile(filepath.Join(dir, "kernel/vmlinuz"), []byte("kernel"), 0o644),
		os.WriteFile(filepath.Join(dir, "root/etc/x"), []byte("x"), 0o644),
		os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"format": 1, "version": "6.1"}`), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpen(t *testing.T) {
	t.Parallel()
	if _, err := debian.Open(fake(t)); err != nil {
		t.Fatalf("what is whole is refused: %v", err)
	}
	write := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	}
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"no manifest":   {func(dir string) error { return os.Remove(filepath.Join(dir, "manifest.json")) }, "there is no base"},
		"half manifest": {write("manifest.json", `{"format": 1, "vers`), "unexpected end"},
		"later form":    {write("manifest.json", `{"format": 2, "version": "6.1"}`), "of the form 2"},
		"a way out":     {write("manifest.json", `{"format": 1, "version": "../../.."}`), "of the form"},
		"no kernel":     {func(dir string) error { return os.Remove(filepath.Join(dir, "kernel/vmlinuz")) }, "vmlinuz"},
		"writable":      {func(dir string) error { return os.Chmod(filepath.Join(dir, "root"), 0o777) }, "by others"},
		"a link": {func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "root")), os.Symlink("/", filepath.Join(dir, "root")))
		}, "neither a folder nor a file"},
	} {
		dir := fake(t)
		if err := c.spoil(dir); err != nil {
			t.Fatal(err)
		}
		_, err := debian.Open(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "proofbox setup --install") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// TestVerify: a base with another byte, name or mode than its manifest's is
// found out.
func TestVerify(t *testing.T) {
	t.Parallel()
	dir := fake(t)
	if err := debian.Seal(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	b, err := debian.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(b.Root, "etc/x")
	for name, alter := range map[string]struct{ do, undo func() error }{
		"mode":   {func() error { return os.Chmod(file, 0o744) }, func() error { return os.Chmod(file, 0o644) }},
		"name":   {func() error { return os.Rename(file, file+"x") }, func() error { return os.Rename(file+"x", file) }},
		"byte":   {func() error { return flip(file) }, func() error { return flip(file) }},
		"kernel": {func() error { return flip(b.Kernel) }, func() error { return flip(b.Kernel) }},
	} {
		if err := errors.Join(b.Verify(t.Context()), alter.do()); err != nil {
			t.Fatal(err)
		}
		if err := b.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "altered") {
			t.Errorf("%s: the error is %v", name, err)
		}
		if err := alter.undo(); err != nil {
			t.Fatal(err)
		}
	}
}

// flip changes one bit of a file, or changes it back.
func flip(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte{b[0] ^ 1}, 0)
	return err
}

// TestMakeSparesOthers: a folder with something else in it is left alone.
func TestMakeSparesOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "thesis")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := debian.Small.Make(t.Context(), dir, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "PROOFBOX_BASE") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestOneSetupAtATime(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "base")
	lock, err := os.Create(dir + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	_, err = debian.Small.Make(t.Context(), dir, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "another setup") {
		t.Errorf("the error is %v", err)
	}
}

func TestDir(t *testing.T) {
	t.Setenv("PROOFBOX_BASE", "/srv/base")
	for _, find := range []func() (string, error){debian.Dir, debian.OwnDir} {
		if dir, err := find(); dir != "/srv/base" || err != nil {
			t.Errorf("it is %q, %v", dir, err)
		}
	}
	t.Setenv("PROOFBOX_BASE", "")
	t.Setenv("XDG_DATA_HOME", "/srv/data")
	want := []string{"/srv/data/proofbox/base"}
	if os.Geteuid() == 0 {
		want = []string{"/var/lib/proofbox/base"}
	}
	if dir, err := debian.OwnDir(); !slices.Contains(want, dir) || err != nil {
		t.Errorf("it is %q, %v", dir, err)
	}
}
