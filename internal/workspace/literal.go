package workspace

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"proofbox"
)

// maxLiteral is up to how many bytes a side that is no text is in a patch.
const maxLiteral = 8 << 20

// literal says whether a patch can hold the bytes of both sides of a change.
func literal(c proofbox.Change) bool {
	for _, e := range []proofbox.Entry{c.Before, c.After} {
		if e.Kind == proofbox.File && (e.Size > maxLiteral || e.Digest == "") {
			return false
		}
	}
	return true
}

// writeLiteral writes what git calls a binary patch: the names that git would give
// both sides, and their bytes, so that it can be applied in both directions.
func (c *Changes) writeLiteral(w io.Writer, change proofbox.Change) error {
	before, err := c.bytes(change.Before)
	if err != nil {
		return err
	}
	after, err := c.bytes(change.After)
	if err != nil {
		return err
	}
	mode := ""
	if patchable(change.Before) && gitMode(change.Before) == gitMode(change.After) {
		mode = " " + gitMode(change.After)
	}
	_, err = fmt.Fprintf(w, "index %s..%s%s\nGIT binary patch\n", objectName(change.Before, before), objectName(change.After, after), mode)
	for _, side := range [][]byte{after, before} {
		if err == nil {
			_, err = io.WriteString(w, fragment(side))
		}
	}
	return err
}

// objectName is the name of a side's bytes in git's database.
func objectName(e proofbox.Entry, data []byte) string {
	if !patchable(e) {
		return strings.Repeat("0", 2*sha1.Size)
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write(data) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}

// fragment is one direction of a binary patch.
func fragment(data []byte) string {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write(data) // a buffer takes everything
	_ = z.Close()
	return (&gitdiff.BinaryFragment{Method: gitdiff.BinaryPatchLiteral, Size: int64(len(data)), RawData: packed.Bytes()}).String()
}

// bytes reads a side that a patch can hold.
func (c *Changes) bytes(e proofbox.Entry) ([]byte, error) {
	switch e.Kind {
	case proofbox.Symlink:
		return []byte(e.Target), nil
	case proofbox.File:
	default:
		return nil, nil
	}
	f, err := c.openBlob(e.Digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLiteral+1))
	if err != nil {
		return nil, fmt.Errorf("reading a stored file: %w", err)
	}
	if hashOf(string(data)) != e.Digest {
		return nil, fmt.Errorf("the stored bytes are not those with the digest %s: the change store was altered", e.Digest)
	}
	return data, nil
}

// literalWish reads a binary patch, which cannot be edited: what it makes must be
// what the run has made.
func (c *Changes) literalWish(change proofbox.Change, f *gitdiff.File) (wish, error) {
	if !literal(change) || change.After.Kind != proofbox.File || f.BinaryFragment.Method != gitdiff.BinaryPatchLiteral || f.BinaryFragment.Size != change.After.Size {
		return wish{}, invalid("the binary patch of %q does not make what the run has made of it; keep it by naming it", change.Path)
	}
	before, err := c.bytes(change.Before)
	if err != nil {
		return wish{}, err
	}
	var after bytes.Buffer
	if err := gitdiff.Apply(&after, bytes.NewReader(before), f); err != nil || hashOf(after.String()) != change.After.Digest {
		return wish{}, invalid("the binary patch of %q does not make what the run has made of it; keep it by naming it", change.Path)
	}
	w := wish{Change: change}
	if w.After.Mode, err = patchMode(change, f); w.After.Mode != change.After.Mode {
		w.hunks = selection{patchHash: nil}
	}
	return w, err
}
