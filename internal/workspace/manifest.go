package workspace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// manifest is what a tree was at one moment.
type manifest struct {
	entries  []entry  // sorted by path
	hidden   []string // sorted; not in entries
	warnings []string
	bytes    int64 // of regular files, apparent
	special  int   // entries that are neither file, folder nor link
	uid, gid int   // of the tree's own folder
}

// find gives the entry of a path, nil where there is none.
func (m *manifest) find(path string) *entry {
	i, ok := slices.BinarySearchFunc(m.entries, path, func(e entry, p string) int { return strings.Compare(e.path, p) })
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
	from, _ := slices.BinarySearchFunc(m.entries, folder+"/", func(e entry, p string) int { return strings.Compare(e.path, p) })
	to, _ := slices.BinarySearchFunc(m.entries, folder+"0", func(e entry, p string) int { return strings.Compare(e.path, p) }) // '0' follows '/'
	return m.entries[from:to]
}

// manifestHeader is the first line of a manifest file.
const manifestHeader = "proofbox manifest 1"

// write writes the manifest in the form of docs/formats/manifest.md: one line
// an entry, sorted by path.
func (m *manifest) write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	line := append([]byte(manifestHeader), '\n')
	for i := range m.entries {
		line = m.entries[i].append(line)
		if len(line) > 1<<16 {
			_, err = w.Write(line)
			line = line[:0]
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		_, err = w.Write(line)
	}
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	return nil
}

// append appends the entry's line.
func (e *entry) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(e.mode), 8)
	for _, n := range []int64{e.size, e.mtime, e.ctime} {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	b = strconv.AppendUint(append(b, ' '), e.ino, 10)
	b = strconv.AppendUint(append(b, ' '), e.nlink, 10)
	b = strconv.AppendQuoteToASCII(append(b, ' '), e.path)
	if e.target != "" {
		b = strconv.AppendQuoteToASCII(append(b, ' '), e.target)
	}
	return append(b, '\n')
}

// readManifest reads what write has written.
func readManifest(r io.Reader) (*manifest, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<17)
	if !lines.Scan() || lines.Text() != manifestHeader {
		return nil, errors.New("reading a manifest: it does not begin as one")
	}
	m := &manifest{}
	for lines.Scan() {
		e, err := parseEntry(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		m.entries = append(m.entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading a manifest: %w", err)
	}
	return m, nil
}

func parseEntry(line string) (entry, error) {
	var e entry
	n, err := fmt.Sscanf(line, "%o %d %d %d %d %d", &e.mode, &e.size, &e.mtime, &e.ctime, &e.ino, &e.nlink)
	start := strings.IndexByte(line, '"')
	if err != nil || n != 6 || start < 0 {
		return e, fmt.Errorf("line %q", line)
	}
	quoted, err := strconv.QuotedPrefix(line[start:])
	if err != nil {
		return e, fmt.Errorf("line %q: %w", line, err)
	}
	if e.path, err = strconv.Unquote(quoted); err != nil {
		return e, fmt.Errorf("line %q: %w", line, err)
	}
	if rest := strings.TrimSpace(line[start+len(quoted):]); rest != "" {
		if e.target, err = strconv.Unquote(rest); err != nil {
			return e, fmt.Errorf("line %q: %w", line, err)
		}
	}
	return e, nil
}
