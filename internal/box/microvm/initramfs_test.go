package microvm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestInitramfsStays: of many that are made at once, the first is the one that all
// get, and none is replaced under a box that has it.
func TestInitramfsStays(t *testing.T) {
	r, dir := &Runtime{Cache: t.TempDir()}, t.TempDir()
	init := filepath.Join(dir, "init")
	var builtin strings.Builder
	for _, name := range []string{"virtio_mmio", "virtio_blk", "virtio_console", "erofs", "overlay"} {
		fmt.Fprintf(&builtin, "kernel/%s.ko\n", name)
	}
	if err := errors.Join(
		os.WriteFile(init, []byte("process 1"), 0o755), os.Mkdir(filepath.Join(dir, "kernel"), 0o755),
		os.WriteFile(filepath.Join(dir, "modules.builtin"), []byte(builtin.String()), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	found := make([]os.FileInfo, 16)
	var all sync.WaitGroup
	for i := range found {
		all.Go(func() {
			path, err := r.initramfs(Kernel{Modules: dir}, init)
			if err == nil {
				found[i], err = os.Stat(path)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if i := slices.IndexFunc(found, func(f os.FileInfo) bool { return f == nil || !os.SameFile(f, found[0]) }); i > 0 {
		t.Errorf("the %dth got another file", i)
	}
	if left, err := os.ReadDir(r.Cache); err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}
