package mask

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode"

	"proofbox"
	"proofbox/internal/contents/tag"
	"proofbox/internal/contents/tree"
)

// reverser encrypts the numbers of fields of which the plan says that they can be got back. A number keeps its length,
// its layout, and whether it begins with 0, so that it stays a number where a format has it as one.
type reverser struct {
	ff1   *ff1
	tweak []byte
}

// newReverser makes one. A context, or another tweak, gives another mapping.
func newReverser(key *tag.Key, context string, tweak int) (*reverser, error) {
	prf := key.PRF("reversible numbers in context " + context)
	first, second := prf.Sum([]byte("key, first half")), prf.Sum([]byte("key, second half"))
	f, err := newFF1(append(first[:], second[:]...), 10)
	return &reverser{ff1: f, tweak: []byte{byte(tweak)}}, err
}

// replace encrypts a number, restore decrypts it.
func (r *reverser) replace(value string) (string, error) { return r.walk(value, r.ff1.encrypt) }
func (r *reverser) restore(value string) (string, error) { return r.walk(value, r.ff1.decrypt) }

// walk goes on until there is a 0 in front exactly if there was one: that permutes both sorts of numbers in
// themselves.
func (r *reverser) walk(value string, step func([]byte, []byte) ([]byte, error)) (string, error) {
	var digits []byte
	for _, c := range value {
		switch {
		case c >= '0' && c <= '9':
			digits = append(digits, byte(c-'0'))
		case unicode.IsLetter(c) || unicode.IsDigit(c):
			return "", errors.New("only a number can be reversible, and it has letters")
		}
	}
	if len(digits) == 0 {
		return value, nil
	}
	zero := digits[0] == 0
	for {
		var err error
		if digits, err = step(digits, r.tweak); err != nil {
			return "", fmt.Errorf("it cannot be reversible: %w", err)
		}
		if (digits[0] == 0) == zero {
			break
		}
	}
	out := []byte(value)
	n := 0
	for i, c := range out {
		if c >= '0' && c <= '9' {
			out[i] = '0' + digits[n]
			n++
		}
	}
	return string(out), nil
}

// errTweak says that a number's replacement is somebody's, or another's: another tweak gives other ones.
var errTweak = errors.New("the replacement of a reversible number is another real one; its field has too many numbers for their length")

// maxTweaks bounds the mappings that are tried.
const maxTweaks = 16

// reversible replaces a number of a field that the plan calls so.
func (m *Masker) reversible(value string) (string, error) {
	out, err := m.reverser.replace(value)
	if err != nil || out == value && digitsIn(value) == 0 {
		return out, err
	}
	id, as := m.values.identity("reversible", value), m.values.output("number", out)
	if owner, taken := m.values.used[as]; taken && owner != id || m.list.has(out) {
		return "", errTweak
	}
	if len(m.values.used) >= maxUsed {
		return "", fmt.Errorf("there are more than %d different values; mask the set in parts", maxUsed)
	}
	m.values.used[as] = id
	return out, nil
}

// Unmask reads a masked set and writes it, with the numbers of reversible fields as they were, to a path that is
// not there. by is what its seal says of the masking.
func (m *Masker) Unmask(ctx context.Context, in, out string, by proofbox.Masking) (int64, error) {
	r, err := newReverser(m.Key, by.Plan.Context, by.Tweak)
	if err != nil {
		return 0, err
	}
	restored := int64(0)
	err = tree.Walk(ctx, in, func(e tree.Entry) error {
		if e.Problem != "" {
			return fmt.Errorf("%q: %s", filepath.Join(in, e.Name), e.Problem)
		}
		n, err := m.restore(ctx, e, filepath.Join(out, e.Name), r, by.Plan)
		if err != nil {
			return fmt.Errorf("%q: %w", filepath.Join(in, e.Name), err)
		}
		restored += n
		return nil
	})
	return restored, err
}

// restore writes one file.
func (m *Masker) restore(ctx context.Context, e tree.Entry, to string, r *reverser, plan proofbox.MaskPlan) (restored int64, err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return 0, err
	}
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer w.Close()
	return restored, e.Read(func(f *os.File, _ int64) error {
		h := sha256.New()
		c := &copier{r: bufio.NewReaderSize(io.TeeReader(f, h), 1<<16), w: bufio.NewWriterSize(w, 1<<16)}
		digest, problems, err := m.Find(ctx, e, func(found Found) error {
			field, ok := plan.Field(found.Field)
			if !found.Planned || !ok || !field.Reversible {
				return nil
			}
			was, err := r.restore(found.Text)
			if err != nil {
				return fmt.Errorf("%s: %w", place(found.Place), err)
			}
			restored++
			return c.replace(found.Offset, found.End, was)
		})
		switch {
		case err != nil:
			return err
		case len(problems) > 0:
			return fmt.Errorf("%s: %s", place(problems[0].Place), problems[0].Reason)
		}
		if err := c.rest(); err != nil {
			return err
		}
		if hex.EncodeToString(h.Sum(nil)) != digest {
			return errors.New("it changed while it was read; let whatever writes it end first")
		}
		return w.Close()
	})
}
