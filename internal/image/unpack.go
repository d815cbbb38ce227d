package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Bounds of an unpacked image.
const (
	maxBytes   = 16 << 30
	maxEntries = 1_000_000
	maxDepth   = 256
)

// Names of whiteouts; see "Whiteouts" in the OCI image layer specification.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// unpack writes an image's layers over each other into a new folder. Layers
// are hostile: every path is resolved inside the folder, links are made but
// never left, devices are left out, set-user-ID bits and owners are dropped.
// Their contents must have the digests that the image's configuration gives,
// see "Layer DiffID" in the OCI image specification. A layer's own DiffID says
// nothing: for an image on the disk it is computed from what lies there.
func unpack(ctx context.Context, img v1.Image, dir string) error {
	layers, err := img.Layers()
	if err != nil {
		return fmt.Errorf("reading the layers: %w", err)
	}
	if len(layers) > maxLayers {
		return fmt.Errorf("the image has %d layers; at most %d are unpacked", len(layers), maxLayers)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	digests := config.RootFS.DiffIDs
	if len(digests) != len(layers) {
		return fmt.Errorf("the image has %d layers and its configuration the digests of %d", len(layers), len(digests))
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	u := &unpacker{root: root, bytes: maxBytes, entries: maxEntries}
	for i, l := range layers {
		if err := u.layer(ctx, l, digests[i]); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

// unpacker counts what is left of the bounds.
type unpacker struct {
	root    *os.Root
	bytes   int64
	entries int
}

// layer unpacks one layer. What the layer itself has written is remembered, so
// that an opaque whiteout removes only what lay below.
func (u *unpacker) layer(ctx context.Context, l v1.Layer, want v1.Hash) error {
	stream, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer stream.Close()
	sum := sha256.New()
	content := io.TeeReader(stream, sum)
	written := map[string]bool{}
	archive := tar.NewReader(content)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if u.entries--; u.entries < 0 {
			return fmt.Errorf("the image has more than %d entries", maxEntries)
		}
		if err := u.entry(h, archive, written); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
	// What is behind the archive counts for the digest too.
	rest, err := io.Copy(io.Discard, io.LimitReader(content, maxTrailer))
	switch got := hex.EncodeToString(sum.Sum(nil)); {
	case err != nil:
		return err
	case rest == maxTrailer:
		return errors.New("there is too much behind the end of the archive")
	case want.Algorithm != "sha256" || want.Hex != got:
		return fmt.Errorf("its content has the digest %s, not %v: it was altered", got, want)
	}
	return nil
}

// maxTrailer bounds what may follow the end of a layer's archive.
const maxTrailer = 64 << 20

func (u *unpacker) entry(h *tar.Header, content io.Reader, written map[string]bool) error {
	name, err := localName(h.Name)
	if err != nil || name == "." {
		return err
	}
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if base == opaque {
		return u.clear(dir, written)
	}
	if hidden, ok := strings.CutPrefix(base, whiteout); ok {
		if hidden == "" || hidden == "." || hidden == ".." {
			return fmt.Errorf("a whiteout of %q", hidden)
		}
		return u.root.RemoveAll(path.Join(dir, hidden))
	}
	if err := u.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	written[name] = true
	return u.make(h, name, content)
}

// localName cleans a name of an archive, which must stay inside.
func localName(name string) (string, error) {
	clean := path.Clean("/" + name)[1:]
	if clean == "" {
		return ".", nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || len(part) > 255 {
			return "", errors.New("the name leaves the image or is too long")
		}
	}
	if strings.ContainsRune(name, 0) || strings.Count(clean, "/") > maxDepth {
		return "", errors.New("the name has a NUL in it or is too deep")
	}
	return clean, nil
}

func (u *unpacker) make(h *tar.Header, name string, content io.Reader) error {
	mode := fs.FileMode(h.Mode).Perm()
	if h.Typeflag == tar.TypeDir {
		return u.folder(name, mode|0o700)
	}
	if h.Typeflag == tar.TypeLink {
		return u.hardLink(h.Linkname, name)
	}
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file(name, mode, h.Size, content)
	case tar.TypeSymlink:
		return u.root.Symlink(h.Linkname, name)
	}
	return nil // a device, a FIFO: a box has none from its image
}

func (u *unpacker) folder(name string, mode fs.FileMode) error {
	info, err := u.root.Lstat(name)
	if err == nil && !info.IsDir() {
		if err := u.root.Remove(name); err != nil {
			return err
		}
	}
	if err := u.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	return u.root.Chmod(name, mode)
}

func (u *unpacker) file(name string, mode fs.FileMode, size int64, content io.Reader) error {
	if u.bytes -= size; u.bytes < 0 {
		return fmt.Errorf("the image is larger than %d bytes", int64(maxBytes))
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// hardLink makes a second name for a file of the image. A link to a symbolic
// link is a link to the link itself.
func (u *unpacker) hardLink(target, name string) error {
	old, err := localName(target)
	if err != nil || old == "." {
		return errors.Join(err, fmt.Errorf("a hard link to %q", target))
	}
	info, err := u.root.Lstat(old)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("a hard link to the folder %q", target)
	}
	if old == name {
		return nil
	}
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	return u.root.Link(old, name)
}

// clear removes what lower layers have put into a folder.
func (u *unpacker) clear(dir string, written map[string]bool) error {
	f, err := u.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if full := path.Join(dir, name); !written[full] {
			if err := u.root.RemoveAll(full); err != nil {
				return err
			}
		}
	}
	return nil
}
