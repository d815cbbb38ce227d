package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"proofbox/internal/box"
	"proofbox/internal/box/jail"
)

// disks measures packing the large tree as a microVM's disk, beside the bare
// program on the same tree, and finding an image that was packed before.
func (b *bench) disks(ctx context.Context) error {
	mkfs, err := box.MkfsErofs()
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "tree")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) { // the measurement of the tree was left out
		if err := grow(dir); err != nil {
			return err
		}
	}
	h := &box.Host{State: filepath.Join(b.dir, "state"), Jail: filepath.Join(b.bin, "proofbox-jail")}
	began := time.Now()
	w := &box.Workspace{Lower: dir, UID: os.Getuid(), GID: os.Getgid()}
	if _, err := h.PackWorkspace(ctx, b.dir, w, func(box.Object) error { return nil }); err != nil {
		return err
	}
	ours := time.Since(began)
	began = time.Now()
	if err := quietly(exec.CommandContext(ctx, mkfs, "--quiet", filepath.Join(b.dir, "bare.erofs"), dir)); err != nil {
		return err
	}
	bare := time.Since(began)
	b.add(target{"packing 100,000 files as a disk", ours.Seconds() / bare.Seconds(), "x", 1.5, fmt.Sprintf("%.1f s, mkfs.erofs alone %.1f s", ours.Seconds(), bare.Seconds())})
	return b.findImage(ctx, h)
}

// findImage measures using an image again.
func (b *bench) findImage(ctx context.Context, h *box.Host) error {
	steps := []jail.Step{{Bind: &jail.Bind{Source: "/usr/bin", Target: "/usr/bin", Folder: true}}}
	if _, err := h.PackRoot(ctx, "bench", steps); err != nil {
		return err
	}
	began := time.Now()
	if _, err := h.PackRoot(ctx, "bench", steps); err != nil {
		return err
	}
	b.add(target{"finding an image that was packed before", time.Since(began).Seconds() * 1000, "ms", 1, ""})
	return nil
}
