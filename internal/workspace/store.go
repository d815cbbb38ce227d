package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"proofbox"
)

// Files of a change store; see docs/formats/changes.md.
const (
	changesFile  = "changes.json"
	blobsDir     = "blobs"
	storeVersion = 2
)

// Changes are the collected changes of a run, with the bytes of both sides.
type Changes struct {
	dir       string
	list      storedChanges
	decisions decisions
}

// storedChanges is the form of the store's index.
type storedChanges struct {
	Version  int               `json:"version"`
	Changes  []proofbox.Change `json:"changes"` // sorted by path, each path once
	Warnings []string          `json:"warnings"`
	// Writers says why nothing is known of who has written the changes; empty where
	// they say it themselves.
	Writers string `json:"writers,omitempty"`
}

// maxIndex bounds the index of a store, in bytes.
const maxIndex = 1 << 30

// Shelf remembers the changes that were loaded last, for whoever asks for the same
// again and again, as a review does with every key. The zero value is empty.
type Shelf struct {
	mu   sync.Mutex
	dir  string        // guarded by mu
	file entry         // guarded by mu; the index as it was read
	list storedChanges // guarded by mu; what is in it is never changed
}

// Load is as the function of that name. What it gives is the caller's own.
func (s *Shelf) Load(dir string) (*Changes, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.Open(filepath.Join(dir, changesFile))
	if err != nil {
		return nil, fmt.Errorf("reading the changes: %w", err)
	}
	defer f.Close()
	now, err := identity(f)
	if err != nil {
		return nil, fmt.Errorf("reading the changes: %w", err)
	}
	if s.dir != dir || !s.file.same(&now) {
		c, err := load(dir, f)
		if err != nil {
			return nil, err
		}
		if len(c.list.Changes) > MaxListed { // nobody asks for these again and again
			return c, c.loadDecisions()
		}
		s.dir, s.file, s.list = dir, now, c.list
	}
	c := &Changes{dir: dir, list: s.list}
	c.list.Changes, c.list.Warnings = slices.Clone(s.list.Changes), slices.Clone(s.list.Warnings)
	return c, c.loadDecisions()
}

// Load reads the changes that a run has collected in a folder.
func Load(dir string) (*Changes, error) { return new(Shelf).Load(dir) }

func load(dir string, f *os.File) (*Changes, error) {
	c := &Changes{dir: dir}
	if err := c.list.read(json.NewDecoder(io.LimitReader(f, maxIndex))); err != nil {
		return nil, fmt.Errorf("reading the changes: %w", err)
	}
	if err := c.list.check(); err != nil {
		return nil, fmt.Errorf("reading the changes: %w", err)
	}
	return c, c.list.mark()
}

// read reads the index change by change: as one value, a decoder would have all of its
// text in memory, too.
func (l *storedChanges) read(d *json.Decoder) error {
	if err := delimiter(d, '{'); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "changes":
			err = l.readChanges(d)
		case "version":
			err = d.Decode(&l.Version)
		case "warnings":
			err = d.Decode(&l.Warnings)
		case "writers":
			err = d.Decode(&l.Writers)
		default:
			err = d.Decode(new(json.RawMessage)) // of a later version, which check refuses
		}
		if err != nil {
			return err
		}
	}
	return delimiter(d, '}')
}

func (l *storedChanges) readChanges(d *json.Decoder) error {
	if err := delimiter(d, '['); err != nil {
		return err
	}
	for d.More() {
		var c proofbox.Change
		if err := d.Decode(&c); err != nil {
			return err
		}
		l.Changes = append(l.Changes, c)
	}
	return delimiter(d, ']')
}

func delimiter(d *json.Decoder, want json.Delim) error {
	if got, err := d.Token(); err != nil || got != want {
		return errors.Join(err, fmt.Errorf("%v is not %v", got, want))
	}
	return nil
}

// check holds what was read against what is ever written.
func (l *storedChanges) check() error {
	if l.Version != storeVersion {
		return fmt.Errorf("version %d is not known", l.Version)
	}
	for i, c := range l.Changes {
		switch {
		case !validPath(string(c.Path)):
			return fmt.Errorf("%q is no path inside a workspace", c.Path)
		case i > 0 && l.Changes[i-1].Path >= c.Path:
			return fmt.Errorf("%q is out of order", c.Path)
		}
		for _, e := range []proofbox.Entry{c.Before, c.After} {
			if err := checkEntry(e); err != nil {
				return fmt.Errorf("%q: %w", c.Path, err)
			}
		}
	}
	return nil
}

func checkEntry(e proofbox.Entry) error {
	known := []proofbox.Kind{proofbox.File, proofbox.Folder, proofbox.Symlink, proofbox.Special, proofbox.Absent}
	switch {
	case !slices.Contains(known, e.Kind):
		return fmt.Errorf("the kind %q is not known", e.Kind)
	case e.Size < 0:
		return fmt.Errorf("the size %d is negative", e.Size)
	case e.Digest != "" && e.Kind != proofbox.File:
		return fmt.Errorf("a %s has a digest", e.Kind)
	case e.Digest == "":
		return nil
	}
	_, err := digestHex(e.Digest)
	return err
}

// save writes the index.
func (c *Changes) save() error {
	if err := c.saveFile(changesFile, c.list); err != nil {
		return fmt.Errorf("writing the changes: %w", err)
	}
	return nil
}

// saveFile writes a document of the store, so that a crash leaves the old one or
// the new one, and the new one once it returns.
func (c *Changes) saveFile(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(data) > maxIndex {
		return fmt.Errorf("%q would be %d bytes long, more than %d", name, len(data), maxIndex)
	}
	path := filepath.Join(c.dir, name)
	if err := writeSynced(path+".new", data); err != nil {
		return explain(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder waits until the names in a folder are on the disk.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// writeSynced writes a file whose bytes are on the disk when it returns, so that
// the rename that follows never leaves an empty one.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
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

// Discard removes what is left of the changes. What an undo of earlier keeps
// needs stays.
func (c *Changes) Discard() error {
	records, err := c.numbers()
	if err == nil && len(records) == 0 {
		err = os.RemoveAll(c.dir)
	} else if err == nil {
		err = c.dropUnrecorded()
	}
	if err != nil {
		return fmt.Errorf("discarding the changes: %w", err)
	}
	return nil
}

// dropUnrecorded removes the changes and all bytes that no record has.
func (c *Changes) dropUnrecorded() error {
	needed := map[string]bool{}
	for r, err := range c.records() {
		if err != nil {
			return err
		}
		for _, s := range r.Steps {
			for _, e := range []proofbox.Entry{s.Before, s.After} {
				hexed, _ := strings.CutPrefix(e.Digest, digestPrefix)
				needed[hexed] = true
			}
		}
	}
	c.list.Changes, c.decisions = []proofbox.Change{}, decisions{}
	if err := errors.Join(c.save(), c.saveDecisions()); err != nil {
		return err
	}
	blobs, err := os.ReadDir(filepath.Join(c.dir, blobsDir))
	for _, b := range blobs {
		if !needed[b.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(c.dir, blobsDir, b.Name())))
		}
	}
	return err
}

// digestHex gives the hexadecimal part of a digest.
func digestHex(digest string) (string, error) {
	hexed, ok := strings.CutPrefix(digest, digestPrefix)
	if raw, err := hex.DecodeString(hexed); !ok || err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("%q is no digest", digest)
	}
	return hexed, nil
}

// blob is where the bytes with a digest are kept.
func (c *Changes) blob(digest string) (string, error) {
	hexed, err := digestHex(digest)
	return filepath.Join(c.dir, blobsDir, hexed), err
}

// openBlob opens the bytes with a digest. There may be as many as a run has changes,
// and [os.Open] asks the kernel more about each than is needed for a plain file.
func (c *Changes) openBlob(digest string) (*os.File, error) {
	path, err := c.blob(digest)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reading a stored file: %w", &fs.PathError{Op: "open", Path: path, Err: err})
	}
	return os.NewFile(uintptr(fd), path), nil
}

// put stores an open file's bytes under the digest of what was stored, and gives
// the digest. A file that has become shorter is io.ErrUnexpectedEOF.
func (c *Changes) put(f *os.File, size int64) (string, error) {
	if size <= smallFile {
		data, err := readSmall(f, size)
		if err != nil {
			return "", explain(err)
		}
		return c.putText(string(data)) // of many small files, many are the same
	}
	temp, err := os.CreateTemp(filepath.Join(c.dir, blobsDir), ".new-*")
	if err != nil {
		return "", explain(err)
	}
	digest, err := fill(temp, f, size)
	if err = errors.Join(err, temp.Close()); err != nil {
		return "", errors.Join(explain(err), os.Remove(temp.Name()))
	}
	path, err := c.blob(digest)
	if err != nil {
		return "", errors.Join(err, os.Remove(temp.Name()))
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return "", errors.Join(err, os.Remove(temp.Name()))
	}
	return digest, nil
}

// putText stores a text.
func (c *Changes) putText(text string) (string, error) {
	digest := hashOf(text)
	path, err := c.blob(digest)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return digest, nil
	}
	temp, err := os.CreateTemp(filepath.Join(c.dir, blobsDir), ".new-*")
	if err != nil {
		return "", explain(err)
	}
	_, err = temp.WriteString(text)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return "", errors.Join(explain(err), os.Remove(temp.Name()))
	}
	return digest, nil
}

// fill copies a file into an empty one and gives the digest of what was copied.
func fill(out, in *os.File, size int64) (string, error) {
	if size <= smallFile {
		data, err := readSmall(in, size)
		if err == nil {
			_, err = out.Write(data)
		}
		return hashOf(string(data)), err
	}
	if err := copySparse(out, in, size); err != nil {
		return "", err
	}
	return digestOf(out, size)
}

// maxText is up to how many bytes a file is compared line by line.
const maxText = 2 << 20

// text reads a stored file that is small enough to show; ok is false where it
// is not, or is no text. Other kinds have none.
func (c *Changes) text(e proofbox.Entry) (text string, ok bool, err error) {
	if e.Kind != proofbox.File {
		return "", true, nil
	}
	if e.Size > maxText || e.Digest == "" {
		return "", false, nil
	}
	f, err := c.openBlob(e.Digest)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return "", false, fmt.Errorf("reading a stored file: %w", err)
	}
	if sum := sha256.Sum256(data); digestPrefix+hex.EncodeToString(sum[:]) != e.Digest {
		return "", false, fmt.Errorf("the stored bytes are not those with the digest %s: the change store was altered", e.Digest)
	}
	return string(data), !isBinary(data), nil
}

// isBinary says whether bytes are no text: like git, by a NUL, but anywhere.
func isBinary(data []byte) bool { return slices.Contains(data, 0) }
