// Package mint makes values that are nobody's: of every kind that a scan finds,
// in the layout of another value, with check digits that are right, in a space
// that a standard or an issuer reserves where there is one, and with our tag
// elsewhere. Who checks values shares no code with it; its tests hold what it
// makes against the scan.
package mint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"proofbox/internal/contents/tag"
)

// Mint makes values with a key. It is not for several goroutines at once.
type Mint struct {
	key *tag.Key
}

// New makes a mint.
func New(key *tag.Key) *Mint { return &Mint{key: key} }

// maxTries bounds the search for a tagged value. One in [tag.Share] is, so where
// there are any it ends without one in e^-64 of all cases.
const maxTries = 64 * tag.Share

// maxDraws bounds the draws in a reserved space, where one in eleven has no check digit.
const maxDraws = 32

// Like makes a value of a kind with the layout of another one: of the same
// length, with digits, capitals and small letters where that has them, and
// everything else as it is. The source decides which of the possible ones. The
// error says that there is none, as of a few digits.
//
// A telephone number keeps what stands before its national number, an e-mail
// address gets a host that is reserved, a secret keeps its beginning.
func (m *Mint) Like(kind, layout string, source rand.Source) (string, error) {
	switch kind {
	case "email":
		return m.Mail(layout, source), nil
	case "ip":
		return address(layout, source), nil
	case "phone":
		return m.phone(layout, source)
	case "person":
		return m.Words(layout, source), nil
	}
	r := recipes[kind]
	for range maxDraws {
		if r.reserve == nil {
			break
		}
		if v, ok := r.made(layout, source, r.reserve); ok {
			return v, nil
		}
	}
	return m.Tagged(kind, layout, source)
}

// Tagged makes a value of a kind as [Mint.Like] does, with our tag even where there
// is a reserved space: that may be too small for all that has to be told apart. Such
// a value can be somebody's by chance. There are none of kinds whose reserved space is
// all that counts.
func (m *Mint) Tagged(kind, layout string, source rand.Source) (string, error) {
	r := recipes[kind]
	keep := r.keep
	if strings.HasPrefix(kind, "secret:") {
		keep = prefix(layout)
	}
	for range maxTries {
		v, ok := r.made(layout, source, func(c []byte, s rand.Source) {
			draw(c[min(keep, len(c)):], s)
		})
		if ok && m.key.Tagged(kind, v) {
			return v, nil
		}
	}
	return "", fmt.Errorf("there is no tagged value of kind %s in the layout of its %d characters", kind, len(layout))
}

// recipe is how a kind is made, of its letters and digits in capitals. The zero
// recipe is any letters and digits.
type recipe struct {
	keep int // characters at the beginning that stay
	// date is where a date of birth stands in it, in this layout: "YYMMDD" or so
	// after dots; a month or day keeps what is added to it.
	date string
	// reserve draws a value in the reserved space.
	reserve func(c []byte, s rand.Source)
	// finish puts what is calculated into a drawn value, and says whether that can
	// be.
	finish func(c []byte) bool
}

// made draws a value and puts it into a layout.
func (r recipe) made(layout string, s rand.Source, fill func([]byte, rand.Source)) (string, bool) {
	var room [64]byte
	c := compact(room[:0], layout)
	fill(c, s)
	r.born(c, s)
	if r.finish != nil && !r.finish(c) {
		return "", false
	}
	return arrange(c, layout), true
}

// born draws a date of birth.
func (r recipe) born(c []byte, s rand.Source) {
	if len(r.date) > len(c) {
		return
	}
	two := func(mark string, n uint64) {
		if i := strings.Index(r.date, mark); i >= 0 {
			n = s.Uint64()%n + 1
			c[i], c[i+1] = byte('0'+n/10), byte('0'+n%10)
		}
	}
	two("YY", 98)
	two("MM", 12)
	two("DD", 28)
}

// draw replaces digits by digits and letters by letters. A digit other than 0 at
// the beginning stays one, so that a number stays one of that length.
func draw(c []byte, s rand.Source) {
	for i, b := range c {
		switch {
		case b >= '0' && b <= '9' && i == 0 && b != '0':
			c[i] = byte('1' + s.Uint64()%9)
		case b >= '0' && b <= '9':
			c[i] = byte('0' + s.Uint64()%10)
		case b >= 'A' && b <= 'Z':
			c[i] = byte('A' + s.Uint64()%26)
		}
	}
}

// compact appends a text's letters and digits, as capitals.
func compact(to []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
			to = append(to, c-'a'+'A')
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z':
			to = append(to, c)
		}
	}
	return to
}

// arrange puts letters and digits where a layout has some, in its case.
func arrange(c []byte, layout string) string {
	out := []byte(layout)
	n := 0
	for i, b := range out {
		switch {
		case b >= 'a' && b <= 'z':
			out[i] = lower(c[n])
			n++
		case b >= '0' && b <= '9', b >= 'A' && b <= 'Z':
			out[i] = c[n]
			n++
		}
	}
	return string(out)
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b - 'A' + 'a'
	}
	return b
}

// prefix is how many letters and digits a secret begins with that say what it is: up
// to the last _ or - of the first twelve characters, or four capitals.
func prefix(secret string) int {
	head := secret[:min(12, len(secret))]
	if i := strings.LastIndexAny(head, "_-"); i >= 0 {
		return len(compact(nil, head[:i]))
	}
	if len(head) > 4 && strings.Trim(head[:4], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		return 4
	}
	return 0
}

// errNoPhone is of a layout with fewer than seven digits.
var errNoPhone = errors.New("there is no tagged telephone number of fewer than seven digits")
