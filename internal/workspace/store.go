package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// Files of a change store; see docs/formats/changes.md.
const (
	changesFile = "changes.json"
	blobsDir    = "blobs"
)

// Changes are the collected changes of a run, with the bytes of both sides.
type Changes struct {
	dir  string
	list storedChanges
}

// storedChanges is the form of the store's index.
type storedChanges struct {
	Version  int               `json:"version"`
	Changes  []proofbox.Change `json:"changes"`
	Warnings []string          `json:"warnings"`
}

// maxIndex bounds the index of a store, in bytes.
const maxIndex = 1 << 30

// Load reads the changes that a run has collected in a folder.
func Load(dir string) (*Changes, error) {
	f, err := os.Open(filepath.Join(dir, changesFile))
	if err != nil {
		return nil, fmt.Errorf("reading the changes: %w", err)
	}
	defer f.Close()
	c := &Changes{dir: dir}
	if err := json.NewDecoder(io.LimitReader(f, maxIndex)).Decode(&c.list); err != nil {
		return nil, fmt.Errorf("reading the changes: %w", err)
	}
	if c.list.Version != 1 {
		return nil, fmt.Errorf("reading the changes: version %d is not known", c.list.Version)
	}
	return c, nil
}

// save writes the index.
func (c *Changes) save() error {
	data, err := json.Marshal(c.list)
	if err != nil {
		return fmt.Errorf("encoding the changes: %w", err)
	}
	temp := filepath.Join(c.dir, changesFile+".new")
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return fmt.Errorf("writing the changes: %w", err)
	}
	if err := os.Rename(temp, filepath.Join(c.dir, changesFile)); err != nil {
		return fmt.Errorf("writing the changes: %w", err)
	}
	return nil
}

// List gives the changes, sorted by path.
func (c *Changes) List() []proofbox.Change { return c.list.Changes }

// Warnings say what was seen beside the changes.
func (c *Changes) Warnings() []string { return c.list.Warnings }

// Tally counts the changes.
func (c *Changes) Tally() proofbox.Tally {
	var t proofbox.Tally
	for _, change := range c.list.Changes {
		switch change.Action() {
		case "added":
			t.Added++
		case "deleted":
			t.Deleted++
		default:
			t.Modified++
		}
	}
	return t
}

// Discard removes the store with all that is in it.
func (c *Changes) Discard() error {
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("discarding the changes: %w", err)
	}
	return nil
}

// digestPrefix begins every digest.
const digestPrefix = "sha256:"

// blob is where the bytes with a digest are kept.
func (c *Changes) blob(digest string) (string, error) {
	hexed, ok := strings.CutPrefix(digest, digestPrefix)
	if raw, err := hex.DecodeString(hexed); !ok || err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("%q is no digest", digest)
	}
	return filepath.Join(c.dir, blobsDir, hexed), nil
}

// digestOf hashes an open file from its beginning, and leaves holes unread.
func digestOf(f *os.File, size int64) (string, error) {
	h := sha256.New()
	err := eachExtent(f, size, func(from, to int64, hole bool) error {
		if hole {
			return writeZeros(h, to-from)
		}
		_, err := io.Copy(h, io.NewSectionReader(f, from, to-from))
		return err
	})
	if err != nil {
		return "", err
	}
	return digestPrefix + hex.EncodeToString(h.Sum(nil)), nil
}

var zeros [64 << 10]byte

func writeZeros(h hash.Hash, n int64) error {
	for n > 0 {
		part := min(n, int64(len(zeros)))
		h.Write(zeros[:part]) // a hash takes everything
		n -= part
	}
	return nil
}

// eachExtent goes through a file's data and holes in order.
func eachExtent(f *os.File, size int64, each func(from, to int64, hole bool) error) error {
	for at := int64(0); at < size; {
		data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return each(at, size, true)
		}
		if err != nil {
			return err
		}
		data = min(data, size)
		if data > at {
			if err := each(at, data, true); err != nil {
				return err
			}
		}
		end, err := unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		end = min(end, size)
		if end > data {
			if err := each(data, end, false); err != nil {
				return err
			}
		}
		if end == at {
			return io.ErrUnexpectedEOF // the file has shrunk
		}
		at = end
	}
	return nil
}

// put stores a file's bytes under their digest.
func (c *Changes) put(f *os.File, size int64, digest string) error {
	path, err := c.blob(digest)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	err = errors.Join(copySparse(temp, f, size), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(explain(err), os.Remove(temp.Name()))
	}
	return nil
}

// maxText is up to how many bytes a file is compared line by line.
const maxText = 2 << 20

// text reads a blob that is small enough to show; ok is false where it is not,
// or is no text.
func (c *Changes) text(e proofbox.Entry) (text string, ok bool, err error) {
	if e.Kind != proofbox.File {
		return "", true, nil
	}
	if e.Size > maxText {
		return "", false, nil
	}
	path, err := c.blob(e.Digest)
	if err != nil {
		return "", false, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", false, fmt.Errorf("reading a stored file: %w", err)
	}
	return string(data), !binary(data), nil
}

// binary says whether bytes are no text: like git, by a NUL, but anywhere.
func binary(data []byte) bool {
	return slices.Contains(data, 0)
}
