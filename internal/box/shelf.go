package box

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
	"time"

	"golang.org/x/sys/unix"
)

// shelf is a folder of packed images. An image is whole when its record lies
// beside it, which is written last.
type shelf struct{ dir string }

// Names on a shelf.
const (
	packedSuffix = ".erofs"
	recordSuffix = ".json"
	newPrefix    = "new-" // begins the name of what is still being written, and locked
)

// openShelf opens a shelf and removes what killed packers have left.
func openShelf(dir string) (*shelf, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of packed images: %w", err)
	}
	s := &shelf{dir}
	return s, s.alone(func() error {
		left, err := filepath.Glob(filepath.Join(dir, newPrefix+"*"))
		for _, path := range left {
			sweep(path)
		}
		return err
	})
}

// alone does something while no other process sweeps the shelf or begins a file
// on it.
func (s *shelf) alone(do func() error) error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return fmt.Errorf("opening the folder of packed images: %w", err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking the folder of packed images: %w", err)
	}
	return do()
}

// sweep removes a file that is being written by nobody.
func sweep(path string) {
	f, err := os.Open(path)
	if err != nil {
		return // it was removed, or got its name, just now
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		os.Remove(path) // if it cannot be, the next one tries again
	}
}

// begin makes a file to write an image to. Its lock ends with it, or with this
// process.
func (s *shelf) begin() (f *os.File, err error) {
	err = s.alone(func() error {
		if f, err = os.CreateTemp(s.dir, newPrefix+"*"); err != nil {
			return fmt.Errorf("making a file for an image: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return errors.Join(fmt.Errorf("locking a file for an image: %w", err), f.Close())
		}
		return nil
	})
	return f, err
}

// packedLayout changes with the folders that every box finds in an image.
const packedLayout = 2

// record is what is known of a packed image. The identity is that of the file
// when its digest was computed: whoever writes to a file moves its change time,
// which only the clock can set back.
type record struct {
	Packed
	Layout  int    `json:"layout"`
	Device  uint64 `json:"device"`
	Inode   uint64 `json:"inode"`
	Changed int64  `json:"changed"` // nanoseconds
}

// keep gives a written image its name and its record.
func (s *shelf) keep(f *os.File, key string) (Packed, error) {
	size, err := verifyPacked(f)
	if err != nil {
		return Packed{}, fmt.Errorf("packing the image: %w", err)
	}
	// The disk has the bytes before there is a record that vouches for them.
	if err := f.Sync(); err != nil {
		return Packed{}, fmt.Errorf("writing the image to the disk: %w", err)
	}
	path := filepath.Join(s.dir, key+packedSuffix)
	if err := os.Rename(f.Name(), path); err != nil {
		return Packed{}, fmt.Errorf("keeping the image: %w", err)
	}
	digest, err := digestOf(f)
	if err != nil {
		return Packed{}, fmt.Errorf("reading the image back: %w", err)
	}
	r := record{Packed: Packed{Path: path, Digest: digest, Size: size}, Layout: packedLayout}
	return r.Packed, errors.Join(s.write(f, key, r), s.prune())
}

// Bounds of a shelf: so many images are kept at least, and each for so long
// after its last use. Whoever has one open keeps its bytes in any case.
const (
	keptImages = 8
	keptTime   = 10 * time.Minute
)

// prune removes the images that have been out of use for the longest time. The
// time of a record is that of its image's last use.
func (s *shelf) prune() error {
	records, err := filepath.Glob(filepath.Join(s.dir, "*"+recordSuffix))
	if err != nil {
		return fmt.Errorf("looking for images out of use: %w", err)
	}
	used := map[string]time.Time{}
	for _, path := range records {
		if info, err := os.Stat(path); err == nil { // else another process has removed it
			used[path] = info.ModTime()
		}
	}
	slices.SortFunc(records, func(a, b string) int { return used[b].Compare(used[a]) })
	for _, path := range records[min(keptImages, len(records)):] {
		if time.Since(used[path]) < keptTime {
			continue
		}
		// Without a record an image counts for none, so the record goes first.
		image := strings.TrimSuffix(path, recordSuffix) + packedSuffix
		if err := errors.Join(os.RemoveAll(path), os.RemoveAll(image)); err != nil {
			return fmt.Errorf("removing an image out of use: %w", err)
		}
	}
	return nil
}

func digestOf(f *os.File) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, maxPacked+1)); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// write writes the record of an image, in one step.
func (s *shelf) write(f *os.File, key string, r record) error {
	if err := r.identify(f); err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding an image's record: %w", err)
	}
	temp, err := s.begin()
	if err != nil {
		return err
	}
	defer temp.Close()
	_, err = temp.Write(text)
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(s.dir, key+recordSuffix))
	}
	if err != nil {
		return fmt.Errorf("writing an image's record: %w", err)
	}
	return nil
}

// identify takes the file's identity into the record.
func (r *record) identify(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("looking at a packed image: %w", err)
	}
	r.Device, r.Inode, r.Changed = uint64(st.Dev), st.Ino, st.Ctim.Nano()
	return nil
}

// find gives the image of a key, and one without a path where there is none. An
// image that is not what its record says counts for none.
func (s *shelf) find(key string) (Packed, error) {
	if key == "" || strings.Trim(key, "0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		return Packed{}, fmt.Errorf("the key %q of an image is not of letters and digits", key)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, key+recordSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return Packed{}, nil
	}
	var r record
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return Packed{}, fmt.Errorf("reading the record of a packed image: %w; remove %q", err, s.dir)
	}
	if r.Layout != packedLayout {
		return Packed{}, nil
	}
	f, err := os.Open(filepath.Join(s.dir, key+packedSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return Packed{}, nil
	}
	if err != nil {
		return Packed{}, fmt.Errorf("opening a packed image: %w", err)
	}
	defer f.Close()
	r.Path = f.Name()
	return s.verified(f, key, r)
}

// verified holds an image against its record: by its identity, or where that
// has changed, by its bytes.
func (s *shelf) verified(f *os.File, key string, r record) (Packed, error) {
	now := r
	if err := now.identify(f); err != nil {
		return Packed{}, err
	}
	if now == r {
		used := time.Now()
		if err := os.Chtimes(filepath.Join(s.dir, key+recordSuffix), used, used); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Packed{}, fmt.Errorf("noting the use of an image: %w", err)
		}
		return r.Packed, nil
	}
	digest, err := digestOf(f)
	if err != nil || digest != r.Digest {
		return Packed{}, err
	}
	return r.Packed, s.write(f, key, r)
}
