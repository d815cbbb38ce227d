// Package mask makes of a data set one that is nobody's: every identifier and secret,
// and what a plan names beside them, is replaced by a value that says of itself that it
// was made here. The same value becomes the same one everywhere and different ones stay
// different, by a key. What is not replaced stays byte for byte.
//
// What is replaced is found by a [Finder], which the program fills with the scan. That
// nothing survived is shown without it: every real value's fingerprint is in a
// [List], and what was written is searched for those.
package mask

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"proofbox"
	"proofbox/internal/contents/tag"
	"proofbox/internal/contents/tree"
)

// Found is a value to replace, at a place in a file's bytes.
type Found struct {
	proofbox.Finding
	End     int64
	Text    string
	Planned bool
}

// Finder finds what there is to replace in a file, in the order of the file. It gives
// the file's digest, and what could not be read.
type Finder func(ctx context.Context, e tree.Entry, give func(Found) error) (digest string, problems []proofbox.DataProblem, err error)

// Masker masks one data set.
type Masker struct {
	Key  *tag.Key
	Plan proofbox.MaskPlan
	Find Finder
	// Locate is asked for the place of a survivor.
	Locate Locator

	list     *List
	values   *replacer
	reverser *reverser
	tweak    int
	counts   map[string]*proofbox.KindCount
	result   proofbox.Masking
	files    []proofbox.SealedFile
}

// Result is what a masker gives.
type Result struct {
	proofbox.Masking
	Source []proofbox.SealedFile `json:"source_files"`
}

// attempts is how often a set is masked until no replacement is a real value. Once is
// seldom too few, because the list is whole then.
const attempts = 3

// Mask reads a set and writes it, masked, to a path that is not there, and the blind
// list to another one. Where it fails, what it has written is the caller's to take away.
// The error names the file and the record.
func (m *Masker) Mask(ctx context.Context, in, out, list string) (*Result, error) {
	m.list = newList(m.Key)
	for try := 1; ; try++ {
		err := m.attempt(ctx, in, out)
		if err == nil {
			break
		}
		if errors.Is(err, errTweak) && m.tweak+1 < maxTweaks {
			m.tweak++
		} else if !errors.Is(err, errAgain) || try >= attempts+m.tweak {
			return nil, err
		}
		if err := os.RemoveAll(out); err != nil {
			return nil, fmt.Errorf("masking again: %w", err)
		}
	}
	if m.result.Repaired > 0 { // else everything was searched, and nothing found
		if s, err := m.list.Survivor(ctx, out, m.Locate); err != nil {
			return nil, err
		} else if s != nil {
			return nil, fmt.Errorf("%q, %s: a real value of kind %s survives; name its field in the plan", filepath.Join(out, string(s.File)), place(s.Place), s.Kind)
		}
	}
	digest, err := m.list.Save(list)
	if err != nil {
		return nil, err
	}
	r := &Result{Masking: m.result, Source: m.files}
	r.Plan, r.TagKey, r.List, r.Tweak = m.Plan, m.Key.ID(), digest, m.tweak
	r.Values, r.Short = int64(len(m.list.values)), int64(len(m.list.short))
	r.Replaced = []proofbox.KindCount{}
	for _, kind := range slices.Sorted(maps.Keys(m.counts)) {
		r.Replaced = append(r.Replaced, *m.counts[kind])
	}
	return r, nil
}

// attempt masks each file, and repairs what only the list finds.
func (m *Masker) attempt(ctx context.Context, in, out string) error {
	m.values = newReplacer(m.Key, m.Plan.Context, m.list)
	reverser, err := newReverser(m.Key, m.Plan.Context, m.tweak)
	if err != nil {
		return err
	}
	m.reverser = reverser
	m.counts, m.files, m.result = map[string]*proofbox.KindCount{}, nil, proofbox.Masking{}
	err = tree.Walk(ctx, in, func(e tree.Entry) error {
		if e.Problem != "" {
			return fmt.Errorf("%q: %s", filepath.Join(in, e.Name), e.Problem)
		}
		if err := m.file(ctx, e, in, filepath.Join(out, e.Name)); err != nil {
			return fmt.Errorf("%q: %w", filepath.Join(in, e.Name), err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(m.files) == 0 {
		return fmt.Errorf("%q holds no file", in)
	}
	return m.repair(ctx, out)
}

// file masks one file: it copies what is between the findings.
func (m *Masker) file(ctx context.Context, e tree.Entry, in, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer w.Close()
	return e.Read(func(f *os.File, size int64) error {
		h := sha256.New()
		c := &copier{r: bufio.NewReaderSize(io.TeeReader(f, h), 1<<16), w: bufio.NewWriterSize(w, 1<<16)}
		digest, problems, err := m.Find(ctx, e, func(found Found) error {
			replaced, err := m.one(found)
			if err != nil {
				return fmt.Errorf("%s: %s %s: %w", place(found.Place), found.Kind, found.Shape, err)
			}
			return c.replace(found.Offset, found.End, replaced)
		})
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			return fmt.Errorf("%s: %s; it can only be masked without it", place(problems[0].Place), problems[0].Reason)
		}
		if err := c.rest(); err != nil {
			return err
		}
		if hex.EncodeToString(h.Sum(nil)) != digest {
			return errors.New("it changed while it was read; let whatever writes it end first")
		}
		m.files = append(m.files, proofbox.SealedFile{Name: proofbox.Raw(e.Name), Size: c.at, SHA256: digest})
		return w.Close() // what a power failure takes away, the seal misses
	})
}

// place names a place within a file.
func place(p proofbox.Place) string {
	text := fmt.Sprintf("record %d", p.Record)
	if p.Field != "" {
		text += fmt.Sprintf(", field %q", p.Field)
	}
	return text + fmt.Sprintf(", byte %d", p.Offset)
}

// untouched are kinds that point at nobody unless the plan names their field, nobodys are
// addresses that everybody has, and missing is what people write for no value.
var (
	untouched = []string{"place", "organisation", "date", "age", "title", "nationality", "url", "coordinates", "coordinate"}
	nobodys   = []string{"private network", "loopback", "no host's address"}
	missing   = []string{"", "na", "none", "null", "nil", "unknown", "tbd"}
)

// one gives the replacement of a finding.
func (m *Masker) one(f Found) (string, error) {
	if !f.Planned && slices.Contains(untouched, f.Kind) || slices.Contains(nobodys, f.Synthetic) ||
		f.Planned && slices.Contains(missing, string(tag.Canonical(nil, "", f.Text))) {
		return f.Text, nil
	}
	dated := f.Kind == "date" || f.Kind == "date-of-birth"
	// A word that the scan takes for a name may be any word elsewhere.
	guess := !f.Planned && f.Kind == "person" && !strings.ContainsAny(strings.TrimSpace(f.Text), " \t")
	if f.Synthetic == "" && !dated && !guess {
		if err := m.real(f.Kind, f.Text, f.Planned); err != nil {
			return "", err
		}
	}
	c := m.counts[f.Kind]
	if c == nil {
		c = &proofbox.KindCount{Kind: f.Kind}
		m.counts[f.Kind] = c
	}
	c.Found++
	if f.Planned {
		if field, _ := m.Plan.Field(f.Field); field.Reversible {
			return m.reversible(f.Text)
		}
	}
	out, err := m.values.replace(f.Kind, f.Text)
	if err == nil && !dated {
		c.Synthetic++ // tagged, or reserved
	}
	return out, err
}

// real puts a value on the blind list, in the ways in which it can be written.
func (m *Masker) real(kind, text string, planned bool) error {
	if m.list.has(text) {
		return nil
	}
	if m.values.given(kind, text) {
		err := m.list.add(kind, text)
		return errors.Join(errAgain, err)
	}
	if kind == "phone" && tag.American(text) {
		digits := tag.Canonical(nil, "", text)
		if len(digits) >= 10 {
			national := string(digits[len(digits)-10:])
			return errors.Join(m.list.add(kind, national), m.list.add(kind, "1"+national))
		}
	}
	err := m.list.add(kind, text)
	if kind == "person" && planned {
		for word := range strings.FieldsSeq(text) {
			if !particles[strings.ToLower(word)] {
				err = errors.Join(err, m.list.add(kind, word))
			}
		}
	}
	return err
}

// copier copies a file and puts other bytes in the place of some.
type copier struct {
	r   *bufio.Reader
	w   *bufio.Writer
	at  int64
	raw []byte // scratch space
}

func (c *copier) replace(start, end int64, by string) error {
	if start < c.at {
		return fmt.Errorf("the finding at byte %d lies before byte %d", start, c.at)
	}
	if err := c.pass(start - c.at); errors.Is(err, io.EOF) {
		return fmt.Errorf("it changed while it was read: %w", err)
	} else if err != nil {
		return err
	}
	c.raw = slices.Grow(c.raw[:0], int(end-start))[:end-start]
	if _, err := io.ReadFull(c.r, c.raw); err != nil {
		return fmt.Errorf("it changed while it was read: %w", err)
	}
	c.at = end
	_, err := c.w.WriteString(harmless(by, string(c.raw)))
	return err
}

// pass copies some bytes. It is io.CopyN without what that allocates, because a file may have a finding in every line.
func (c *copier) pass(n int64) error {
	for n > 0 {
		if _, err := c.r.Peek(1); err != nil {
			return err
		}
		some, _ := c.r.Peek(int(min(n, int64(c.r.Buffered()))))
		if _, err := c.w.Write(some); err != nil {
			return err
		}
		_, _ = c.r.Discard(len(some)) // which were peeked at
		n -= int64(len(some))
	}
	return nil
}

func (c *copier) rest() error {
	n, err := io.Copy(c.w, c.r)
	c.at += n
	return errors.Join(err, c.w.Flush())
}

// harmless makes a replacement stand for itself in every format: marks that a format
// may give a meaning are taken over as they are in the file, or else are spaces.
func harmless(by, raw string) string {
	if !strings.ContainsAny(by, "'\"\\\n\r\t\x00") {
		return by
	}
	if !strings.Contains(raw, "\\") && strings.Count(raw, `"`) == strings.Count(by, `"`) && strings.Count(raw, "'") == strings.Count(by, "'") {
		return by
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '\'' || r == '"' || r == '\\' {
			return ' '
		}
		return r
	}, by)
}

// repair searches what was written for real values, once the list is whole, and replaces
// those that are still there: those that no scan and no plan had found, such as a
// customer's name in another's letter.
func (m *Masker) repair(ctx context.Context, out string) error {
	return tree.Walk(ctx, out, func(e tree.Entry) error {
		var all []survivor
		err := e.Read(func(f *os.File, _ int64) error {
			return m.list.survivors(f, func(s survivor) error {
				all = append(all, s)
				return ctx.Err()
			})
		})
		if err != nil || len(all) == 0 {
			return err
		}
		return m.again(e, filepath.Join(out, e.Name), all)
	})
}

// again writes a masked file anew.
func (m *Masker) again(e tree.Entry, path string, all []survivor) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".again-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	err = e.Read(func(f *os.File, _ int64) error {
		c := &copier{r: bufio.NewReaderSize(f, 1<<16), w: bufio.NewWriterSize(temp, 1<<16)}
		for _, s := range all {
			by, err := m.values.replace(s.kind, s.text)
			if err != nil {
				return fmt.Errorf("line %d: a real value of kind %s cannot be replaced: %w", s.line, s.kind, err)
			}
			if err := c.replace(s.start, s.end, by); err != nil {
				return err
			}
			m.result.Repaired++
		}
		return c.rest()
	})
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	return nil
}

// Guide says what a plan says of fields.
func Guide(plan proofbox.MaskPlan) func(field string) (kind string, known bool) {
	known := map[string]proofbox.MaskField{}
	return func(name string) (string, bool) {
		f, seen := known[name]
		if !seen {
			f, _ = plan.Field(name)
			if len(known) < maxGuided {
				known[name] = f
			}
		}
		if f.Kind == "keep" {
			return "", true
		}
		return f.Kind, f.Kind != "" && f.Kind != "text"
	}
}

// maxGuided bounds the fields that are remembered.
const maxGuided = 10_000
