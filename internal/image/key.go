package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Key names the content of the image together with what is exposed beside it,
// in 64 hex digits. Of an image that has a digest that is all it takes. A
// folder is looked at, each file's identity and times and not its bytes: a file
// that has the same ones later has the same bytes, because whoever writes to it
// moves the change time, which only the clock can set back.
func (img *Image) Key(ctx context.Context, expose []Bind) (string, error) {
	sum := sha256.New()
	enc := json.NewEncoder(sum) // one value a line
	binds := expose
	if img.digest == "" {
		binds = append(img.Binds[:len(img.Binds):len(img.Binds)], expose...)
	}
	for _, part := range []any{img.digest, img.Dirs, img.Links, img.Files, img.Binds, expose} {
		if err := enc.Encode(part); err != nil {
			return "", fmt.Errorf("naming the image: %w", err)
		}
	}
	for _, b := range binds {
		if err := addTree(ctx, sum, b.Source); err != nil {
			return "", fmt.Errorf("naming the image by what is in %q: %w", b.Source, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// addTree adds the identity and times of every file below a path, through no
// link.
func addTree(ctx context.Context, sum hash.Hash, root string) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, fs.ErrPermission) {
			return fs.SkipDir // what cannot be read is in no box
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		fmt.Fprintln(sum, len(path), path, st.Dev, st.Ino, st.Mode, st.Uid, st.Gid, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
		return nil
	})
}
