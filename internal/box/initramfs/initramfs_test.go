package initramfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox/internal/box/initramfs"
)

// entry is one of an archive.
type entry struct{ name, mode, device, data string }

// entries reads an archive by the words of the kernel's own description.
func entries(t *testing.T, archive []byte) (list []entry) {
	t.Helper()
	number := func(field int) int {
		n, err := strconv.ParseUint(string(archive[6+8*field:14+8*field]), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	align := func(n int) int { return (n + 3) / 4 * 4 }
	for len(archive) > 0 {
		if string(archive[:6]) != "070701" {
			t.Fatalf("an entry begins %q", archive[:6])
		}
		mode, size, name := number(1), number(6), number(11)
		data := align(110 + name)
		list = append(list, entry{
			string(archive[110 : 110+name-1]), fmt.Sprintf("%o", mode), fmt.Sprintf("%d/%d", number(9), number(10)), string(archive[data : data+size]),
		})
		archive = archive[data+align(size):]
	}
	return list
}

// module makes a kernel module that needs others: an object file with a section
// as modules have it.
func module(t *testing.T, dir, path, depends string) {
	t.Helper()
	full := filepath.Join(dir, "kernel", path)
	source := fmt.Sprintf(`.section .modinfo,"a"`+"\n"+`.asciz "license=GPL"`+"\n"+`.asciz "depends=%s"`+"\n", depends)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("gcc", "-x", "assembler", "-c", "-o", full, "-")
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, "gcc", fmt.Sprintf("%v: %s", err, out))
	}
}

// missing skips a test for want of something, unless it is required.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), what) {
		t.Fatalf("%s is required and missing: %s", what, why)
	}
	t.Skipf("%s is missing: %s", what, why)
}

// kernel makes the modules of a kernel like Debian's, one of them built in.
func kernel(t *testing.T) initramfs.Config {
	t.Helper()
	dir := t.TempDir()
	module(t, dir, "drivers/virtio/virtio.ko", "virtio_ring")
	module(t, dir, "drivers/virtio/virtio_ring.ko", "")
	module(t, dir, "drivers/virtio/virtio_mmio.ko", "virtio,virtio_ring")
	module(t, dir, "drivers/block/virtio_blk.ko", "virtio,virtio_ring")
	module(t, dir, "drivers/char/virtio-console.ko", "virtio")
	module(t, dir, "fs/erofs/erofs.ko", "libcrc32c")
	module(t, dir, "lib/libcrc32c.ko", "")
	builtin := filepath.Join(dir, "modules.builtin")
	program := filepath.Join(dir, "init")
	if err := errors.Join(os.WriteFile(builtin, []byte("kernel/fs/overlayfs/overlay.ko\n"), 0o644), os.WriteFile(program, []byte("program"), 0o755)); err != nil {
		t.Fatal(err)
	}
	return initramfs.Config{Init: program, Modules: dir}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	c := kernel(t)
	var first, second bytes.Buffer
	if err := errors.Join(initramfs.Write(&first, c), initramfs.Write(&second, c)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same parts give other bytes")
	}
	got := map[string]entry{}
	for _, e := range entries(t, first.Bytes()) {
		got[e.name] = e
	}
	for _, want := range []entry{
		{"init", "100755", "0/0", "program"},
		{"dev", "40755", "0/0", ""},
		{"dev/console", "20600", "5/1", ""},
		{"modules", "100644", "0/0", "/lib/virtio_ring.ko\n/lib/virtio.ko\n/lib/virtio_mmio.ko\n/lib/virtio_blk.ko\n/lib/virtio-console.ko\n/lib/libcrc32c.ko\n/lib/erofs.ko\n"},
		{"TRAILER!!!", "0", "0/0", ""},
	} {
		if diff := cmp.Diff(want, got[want.name], cmp.AllowUnexported(entry{})); diff != "" {
			t.Error(diff)
		}
	}
	if len(got) != 13 {
		t.Errorf("it has %d entries", len(got))
	}
}

// TestMissingModule: a kernel that lacks what a guest needs is found out before
// one is started from it.
func TestMissingModule(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"fs/erofs/erofs.ko", "lib/libcrc32c.ko"} {
		c := kernel(t)
		if err := os.Remove(filepath.Join(c.Modules, "kernel", lost)); err != nil {
			t.Fatal(err)
		}
		if err := initramfs.Write(&bytes.Buffer{}, c); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "erofs") {
			t.Errorf("without %s: %v", lost, err)
		}
	}
	c := kernel(t)
	if err := os.WriteFile(filepath.Join(c.Modules, "kernel/fs/erofs/erofs.ko"), []byte("no module"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := initramfs.Write(&bytes.Buffer{}, c); err == nil {
		t.Error("what is no module was taken for one")
	}
}
