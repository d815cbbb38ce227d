package scan

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/text/encoding/unicode"

	"proofbox"
)

// Bounds of archives.
const (
	maxArchives = 4         // one in another
	maxInMemory = 64 << 20  // bytes of a file in an archive that is held in memory, because its end is read first
	maxMembers  = 1_000_000 // of one ZIP file
	headSize    = 4096      // bytes by which a format is known
)

// expansion is how many bytes a file of a size may hold once everything in it
// is unpacked. Text packs to a tenth, seldom to a fiftieth.
func expansion(size int64) int64 { return 16<<20 + 200*size }

var errBomb = errors.New("it unpacks to more than 200 times its size; unpack it, if it is meant")

// member is a file, or one in an archive.
type member struct {
	name  string // by which its format is guessed
	depth int    // archives around it
	left  *int64 // bytes that may still be unpacked, of the whole file
}

// unread are formats that this version cannot look into, by their first bytes.
var unread = []struct{ magic, name string }{
	{"PARE", "Parquet that is encrypted"},
	{"7\x7f\x06\x82", "SQLite's log of what is not in the database yet (close whatever has it open)"},
	{"7\x7f\x06\x83", "SQLite's log of what is not in the database yet (close whatever has it open)"},
	{"\xd9\xd5\x05\xf9\x20\xa1c\xd7", "SQLite's journal (open the database with sqlite3 once, which undoes what was interrupted)"},
	{"\xd0\xcf\x11\xe0", "an old Office format"},
	{"7z\xbc\xaf", "7-Zip"},
	{"\xfd7zXZ", "xz"},
	{"(\xb5/\xfd", "Zstandard"},
	{"Rar!", "RAR"},
	{"\x7fELF", "a program"},
	{"\x89PNG", "a picture"},
	{"\xff\xd8\xff", "a picture"},
	{"GIF8", "a picture"},
}

// member looks at a file, whatever its format. r reads its bytes, and whole,
// where it is set, has them too, size in number.
func (c *collector) member(m member, r io.Reader, whole io.ReaderAt, size int64) error {
	b := bufio.NewReaderSize(r, streamBuffer)
	head, err := b.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading it: %w", err)
	}
	for _, u := range unread {
		if bytes.HasPrefix(head, []byte(u.magic)) {
			c.problem(0, "it is %s, which this version of proofbox cannot look into", u.name)
			return nil
		}
	}
	switch {
	case m.depth >= maxArchives && archive(head):
		c.problem(0, "it is an archive inside %d others", maxArchives)
		return nil
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return c.random(b, whole, size, func(r io.ReaderAt, size int64) error { return c.zip(m, r, size) })
	case bytes.HasPrefix(head, []byte("SQLite format 3\x00")):
		return c.random(b, whole, size, func(r io.ReaderAt, size int64) error { return c.database(m, r, size) })
	case bytes.HasPrefix(head, []byte("PAR1")):
		return c.random(b, whole, size, func(r io.ReaderAt, size int64) error { return c.columns(m, r, size) })
	case bytes.HasPrefix(head, []byte("%PDF-")):
		return c.random(b, whole, size, func(r io.ReaderAt, size int64) error { return c.pages(m, r, size) })
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return c.gzip(m, b)
	case bytes.HasPrefix(head, []byte("BZh")):
		return c.inner(m, strings.TrimSuffix(m.name, ".bz2"), bzip2.NewReader(b))
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return c.tar(m, b)
	}
	return c.content(m, b, head)
}

func archive(head []byte) bool {
	for _, magic := range []string{"PK\x03\x04", "\x1f\x8b", "BZh"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return len(head) > 262 && string(head[257:262]) == "ustar"
}

// content looks at a file that is no archive.
func (c *collector) content(m member, r io.Reader, head []byte) error {
	const mark = 3 // bytes that say that what follows is UTF-8
	var begin int64
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		if c.spans != nil {
			c.problem(0, "it is UTF-16, which can be looked at and not be written; store it as UTF-8")
			return nil
		}
		r = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Reader(r)
	case bytes.IndexByte(head, 0) >= 0:
		c.problem(int64(bytes.IndexByte(head, 0)), "it is no text, and no format that is known")
		return nil
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = io.CopyN(io.Discard, r, mark)
		head, begin = head[mark:], mark
	}
	in := newStream(r)
	in.at = begin
	err := c.structured(m, in, head)
	if in.broken >= 0 {
		c.place.Record, c.place.Field = 0, ""
		c.problem(in.broken, "it is not UTF-8; what is not ASCII in it was not understood")
	}
	if err != nil && !errors.Is(err, errBomb) {
		return fmt.Errorf("reading it: %w", err)
	}
	return err
}

// structured looks at text by the structure that its name promises, or, without
// a promise, its beginning.
func (c *collector) structured(m member, in *stream, head []byte) error {
	switch strings.ToLower(path.Ext(m.name)) {
	case ".json", ".jsonl", ".ndjson", ".geojson", ".ipynb":
		return c.documents(in, true)
	case ".csv", ".tsv", ".psv":
		return c.table(in)
	case ".sql":
		return c.dump(in)
	}
	if start := bytes.TrimLeft(head, " \r\n\t"); bytes.HasPrefix(start, []byte("{\"")) || bytes.HasPrefix(start, []byte("[{")) {
		return c.documents(in, false)
	}
	if dumped(head) {
		return c.dump(in)
	}
	return c.text(in, 0)
}

// inner looks at a file in an archive, whose name it may have.
func (c *collector) inner(m member, name string, r io.Reader) error {
	return c.part(name, func() error {
		return c.member(member{name: name, depth: m.depth + 1, left: m.left}, &bounded{r, m.left}, nil, 0)
	})
}

// part looks at a part of a file: one in an archive, a table, a sheet. What would be replaced
// in it could not be written back. What cannot be read of it is a problem; only a bomb ends the rest.
func (c *collector) part(name string, look func() error) error {
	c.secrets.flush(c)
	outer := c.place
	c.place = proofbox.Place{File: outer.File + proofbox.Raw("!"+name)}
	if c.spans != nil {
		c.problem(0, "it lies in a file that can be looked into and not be written anew; unpack it, or export it as text")
		c.place = outer
		return nil
	}
	err := look()
	c.secrets.flush(c)
	if err != nil && !errors.Is(err, errBomb) {
		c.problem(0, "%v", err)
		err = nil
	}
	c.place = outer
	return err
}

// bounded reads no more than what is left.
type bounded struct {
	r    io.Reader
	left *int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if *b.left -= int64(n); *b.left < 0 {
		return n, errBomb
	}
	return n, err
}

func (c *collector) gzip(m member, r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("unpacking it: %w", err)
	}
	name := strings.TrimSuffix(strings.TrimSuffix(m.name, ".gz"), ".gzip")
	if before, ok := strings.CutSuffix(name, ".tgz"); ok {
		name = before + ".tar"
	}
	return c.inner(m, path.Base(name), z)
}

func (c *collector) tar(m member, r io.Reader) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpacking it: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue // a folder or a link has no content
		}
		if err := c.inner(m, h.Name, t); err != nil {
			return err
		}
	}
}

// random gives what reads a file at any place. A file in an archive is read into memory for that.
func (c *collector) random(r io.Reader, whole io.ReaderAt, size int64, look func(io.ReaderAt, int64) error) error {
	if whole == nil {
		data, err := io.ReadAll(io.LimitReader(r, maxInMemory+1))
		if err != nil {
			return err
		}
		if len(data) > maxInMemory {
			c.problem(0, "it has more than %d MiB, is in an archive and can only be read as a file; unpack it", maxInMemory>>20)
			return nil
		}
		whole, size = bytes.NewReader(data), int64(len(data))
	}
	return look(whole, size)
}

func (c *collector) zip(m member, r io.ReaderAt, size int64) error {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return fmt.Errorf("unpacking it: %w", err)
	}
	if len(z.File) > maxMembers {
		c.problem(0, "it is a ZIP file of more than %d files", maxMembers)
		return nil
	}
	if o := officeOf(z); o != nil {
		return c.office(m, o)
	}
	for _, f := range z.File {
		if err := c.zipped(m, f); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) zipped(m member, f *zip.File) error {
	if f.FileInfo().IsDir() {
		return nil
	}
	r, err := f.Open()
	if err != nil {
		c.problem(0, "%s cannot be unpacked: %v", f.Name, err)
		return nil
	}
	defer r.Close()
	return c.inner(m, f.Name, r)
}
