package workspace

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// manifest is what a tree was at one moment.
type manifest struct {
	entries  []entry  // sorted by path
	hidden   []string // sorted; neither they nor what is below is in entries
	warnings []string
	bytes    int64 // of regular files, apparent
	special  int   // entries that are neither file, folder nor link
	uid, gid int   // of the tree's own folder

	hiddenInodes map[uint64]bool   // of hidden files with several names
	links        map[string]string // see linked; of the original, also where entries are a copy's
}

func comparePath(e entry, p string) int { return strings.Compare(e.path, p) }

// find gives the entry of a path, nil where there is none.
func (m *manifest) find(path string) *entry {
	i, ok := slices.BinarySearchFunc(m.entries, path, comparePath)
	if !ok {
		return nil
	}
	return &m.entries[i]
}

// below gives the entries that lie below a folder; all of them for ".".
func (m *manifest) below(folder string) []entry {
	if folder == "." {
		return m.entries
	}
	from, _ := slices.BinarySearchFunc(m.entries, folder+"/", comparePath)
	to, _ := slices.BinarySearchFunc(m.entries, folder+"0", comparePath) // '0' follows '/'
	return m.entries[from:to]
}

// hides says whether a path is hidden, or lies below one that is.
func (m *manifest) hides(p string) bool {
	if len(m.hidden) == 0 {
		return false
	}
	for ; p != "."; p, _ = splitPath(p) {
		if _, ok := slices.BinarySearch(m.hidden, p); ok {
			return true
		}
	}
	return false
}

// hidesBelow says whether a folder holds something hidden.
func (m *manifest) hidesBelow(folder string) bool {
	i, _ := slices.BinarySearch(m.hidden, folder+"/")
	return i < len(m.hidden) && strings.HasPrefix(m.hidden[i], folder+"/")
}

// manifestHeader begins a manifest file; docs/formats/manifest.md describes the
// rest.
const manifestHeader = "proofbox manifest 1\n"

// encode gives the manifest's file.
func (m *manifest) encode() []byte {
	out := append(make([]byte, 0, 64+48*len(m.entries)), manifestHeader...)
	out = binary.AppendUvarint(out, uint64(len(m.entries)))
	var last entry
	for i := range m.entries {
		out = m.entries[i].append(out, &last)
		last = m.entries[i]
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

// append appends an entry, as its difference from the one before.
func (e *entry) append(out []byte, last *entry) []byte {
	shared := 0
	for shared < min(len(e.path), len(last.path)) && e.path[shared] == last.path[shared] {
		shared++
	}
	out = binary.AppendUvarint(out, uint64(shared))
	out = appendText(out, e.path[shared:])
	out = binary.AppendUvarint(out, uint64(e.mode))
	out = binary.AppendUvarint(out, uint64(e.size))
	out = binary.AppendVarint(out, e.mtime-last.mtime)
	out = binary.AppendVarint(out, e.ctime-last.ctime)
	out = binary.AppendVarint(out, int64(e.ino-last.ino))
	out = binary.AppendUvarint(out, e.nlink)
	if e.kind() == unix.S_IFLNK {
		out = appendText(out, e.target)
	}
	return out
}

func appendText(out []byte, text string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(text))), text...)
}

// write writes the manifest's file.
func (m *manifest) write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	_, err = f.Write(m.encode())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the manifest: %w", explain(err))
	}
	return nil
}

var errManifest = errors.New("reading a manifest: it is damaged")

// decodeManifest reads what encode gives. Its bytes may be anything: what is not
// a whole manifest, in order and with the digest that it says, is an error.
func decodeManifest(data []byte) (*manifest, error) {
	rest, ok := bytes.CutPrefix(data, []byte(manifestHeader))
	if !ok || len(rest) < sha256.Size {
		return nil, errors.New("reading a manifest: it does not begin as one")
	}
	body := data[:len(data)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], data[len(body):]) {
		return nil, errManifest
	}
	r := fields{rest: rest[:len(rest)-sha256.Size]}
	m := &manifest{}
	var last entry
	for range r.number() {
		e := r.entry(&last)
		if r.bad || e.path <= last.path {
			return nil, errManifest
		}
		m.entries = append(m.entries, e)
		last = e
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errManifest
	}
	return m, nil
}

// fields reads the fields of a manifest. After the first one that is not there,
// bad is set and all are zero.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) advance(n int) {
	if n <= 0 {
		f.bad, f.rest = true, nil
		return
	}
	f.rest = f.rest[n:]
}

func (f *fields) number() uint64 {
	v, n := binary.Uvarint(f.rest)
	f.advance(n)
	return v
}

func (f *fields) signed() int64 {
	v, n := binary.Varint(f.rest)
	f.advance(n)
	return v
}

func (f *fields) text() string {
	n := f.number()
	if n > uint64(len(f.rest)) {
		f.bad, f.rest = true, nil
		return ""
	}
	text := string(f.rest[:n])
	f.rest = f.rest[n:]
	return text
}

func (f *fields) entry(last *entry) entry {
	shared := f.number()
	if shared > uint64(len(last.path)) {
		f.bad = true
		return entry{}
	}
	e := entry{path: last.path[:shared] + f.text(), mode: uint32(f.number()), size: int64(f.number())}
	e.mtime = last.mtime + f.signed()
	e.ctime = last.ctime + f.signed()
	e.ino = last.ino + uint64(f.signed())
	e.nlink = f.number()
	if e.kind() == unix.S_IFLNK {
		e.target = f.text()
	}
	return e
}
