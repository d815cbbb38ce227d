package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// fileDigest gives a file's digest.
func fileDigest(path string) (string, error) {
	sum := sha256.New()
	if err := addFile(sum, path); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

func addFile(to hash.Hash, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(to, f)
	return err
}

// tree is the digest of a folder, and how many bytes its files have.
type tree struct {
	digest string
	bytes  int64
}

// treeDigest gives the digest of everything below a folder: of each path, in
// order, its name, type and permission bits, and its content or target.
func treeDigest(ctx context.Context, dir string) (tree, error) {
	var t tree
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q %v ", path[len(dir):], info.Mode())
		switch {
		case info.Mode().IsRegular():
			t.bytes += info.Size()
			fmt.Fprintf(sum, "%d ", info.Size())
			return addFile(sum, path)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			fmt.Fprintf(sum, "%q ", target)
			return err
		}
		return nil
	})
	t.digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return t, err
}

// Verify holds everything in the base against the digests of its manifest. It
// reads all of it.
func (b *Base) Verify(ctx context.Context) error {
	kernel, err := fileDigest(b.Kernel)
	if err != nil {
		return fmt.Errorf("verifying the base: %w", err)
	}
	modules, err := treeDigest(ctx, b.Modules)
	if err != nil {
		return fmt.Errorf("verifying the base: %w", err)
	}
	root, err := treeDigest(ctx, b.Root)
	if err != nil {
		return fmt.Errorf("verifying the base: %w", err)
	}
	for _, part := range []struct{ name, got, want string }{
		{"kernel", kernel, b.Manifest.Kernel},
		{"modules", modules.digest, b.Manifest.Modules},
		{"root", root.digest, b.Manifest.Root},
	} {
		if part.got != part.want {
			return fmt.Errorf("the base in %q was altered: its %s has the digest %s, not %s; remove the folder, and %s", b.Dir, part.name, part.got, part.want, next)
		}
	}
	return nil
}
