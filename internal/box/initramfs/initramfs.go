// Package initramfs makes the file system that a guest's kernel starts with:
// proofbox-init as its first process, and the kernel modules that it needs to
// reach its disks and the host. The same program and kernel give the same bytes.
package initramfs

import (
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/door/guest"
)

// Config says what goes in.
type Config struct {
	Init    string // path of cmd/proofbox-init, statically linked
	Modules string // folder of a kernel's modules, lib/modules/VERSION
}

// needed are the modules without which there is no guest. What they need
// themselves comes with them.
var needed = []string{"virtio_mmio", "virtio_blk", "virtio_console", "erofs", "overlay"}

// Write writes the archive, uncompressed, in the "newc" format of cpio.
func Write(w io.Writer, c Config) error {
	modules, err := loadOrder(c.Modules, needed)
	if err != nil {
		return err
	}
	a := &archive{to: w}
	for _, dir := range []string{"dev", "lib"} {
		if err := a.node(dir, unix.S_IFDIR|0o755, 0, 0); err != nil {
			return err
		}
	}
	// The kernel opens it for its first process.
	if err := a.node("dev/console", unix.S_IFCHR|0o600, 5, 1); err != nil {
		return err
	}
	if err := a.copy(strings.TrimPrefix(guest.Program, "/"), 0o755, c.Init); err != nil {
		return err
	}
	var list strings.Builder
	for _, m := range modules {
		name := "lib/" + path.Base(m)
		if err := a.copy(name, 0o644, m); err != nil {
			return err
		}
		fmt.Fprintf(&list, "/%s\n", name)
	}
	if err := a.file(strings.TrimPrefix(guest.ModuleList, "/"), 0o644, []byte(list.String())); err != nil {
		return err
	}
	return a.end()
}

// copy adds a file of the host.
func (a *archive) copy(name string, mode uint32, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("adding %q to the initramfs: %w", name, err)
	}
	return a.file(name, mode, data)
}
