package microvm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"proofbox/internal/box/initramfs"
)

// initramfs makes the file that a kernel unpacks into its first root: process 1
// and the drivers of the machine's devices. It is named by what is in it, so
// that it is made once and a different one is another file.
func (r *Runtime) initramfs(k Kernel, init string) (string, error) {
	key, err := initramfsKey(k, init)
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.Cache, key+".cpio")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(r.Cache, 0o700); err != nil {
		return "", fmt.Errorf("making the initramfs' folder: %w", err)
	}
	temp, err := os.CreateTemp(r.Cache, "new-*")
	if err != nil {
		return "", fmt.Errorf("making an initramfs: %w", err)
	}
	defer os.Remove(temp.Name())
	err = initramfs.Write(temp, initramfs.Config{Init: init, Modules: k.Modules})
	if err := errors.Join(err, temp.Chmod(0o444), temp.Close()); err != nil {
		return "", err
	}
	// Whoever was first keeps the name: the file may be in a jail already.
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("storing an initramfs: %w", err)
	}
	return path, nil
}

// initramfsKey is a digest of process 1 and of which kernel's drivers there are.
func initramfsKey(k Kernel, path string) (string, error) {
	init, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading process 1 for an initramfs: %w; `make build` builds it", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d\n", k.Digest, k.Modules, len(init))
	h.Write(init)
	return hex.EncodeToString(h.Sum(nil)), nil
}
