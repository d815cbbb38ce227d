package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"proofbox"
	"proofbox/internal/contents/tag"
	"proofbox/internal/contents/tree"
)

// file looks at one file. What it is about is a problem; an error ends the
// scan.
func (c *collector) file(e tree.Entry) error {
	c.place = proofbox.Place{File: proofbox.Raw(e.Name)}
	if e.Problem != "" {
		c.problem(0, "%s", e.Problem)
		return nil
	}
	sealed := proofbox.SealedFile{Name: c.place.File}
	err := e.Read(func(f *os.File, size int64) error {
		h := sha256.New()
		err := c.stored(f, size, h)
		sealed.Size, sealed.SHA256 = size, hex.EncodeToString(h.Sum(nil))
		return err
	})
	c.secrets.flush(c)
	if err != nil {
		c.problem(0, "%v", err)
		return nil
	}
	c.result.Files++
	c.result.Bytes += sealed.Size
	c.result.Sealed = append(c.result.Sealed, sealed)
	return nil
}

// stored looks at the bytes of a file and writes all of them to h.
func (c *collector) stored(f *os.File, size int64, h io.Writer) error {
	budget := expansion(size)
	m := member{name: string(c.place.File), left: &budget}
	if m.name == "" {
		m.name = f.Name()
	}
	tee := io.TeeReader(f, h)
	if err := c.member(m, tee, f, size); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, tee); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	return nil
}

// Text looks at a text as if it were a file with a name.
func Text(name, text string, key *tag.Key) (*Result, error) {
	secrets, err := newSecrets()
	if err != nil {
		return nil, err
	}
	c := &collector{secrets: secrets, kinds: map[string]*proofbox.KindCount{}, key: key}
	c.place = proofbox.Place{File: proofbox.Raw(name)}
	budget := expansion(int64(len(text)))
	err = c.member(member{name: name, left: &budget}, strings.NewReader(text), nil, 0)
	c.secrets.flush(c)
	return c.finish(), err
}
