// Package tag says what "made by us" means: a value is tagged if a keyed hash of
// its letters and digits falls into one part of [Share]. Whoever makes a value
// draws until that is so; nobody without the key can do better than guess. The
// value carries nothing else, so it keeps its tag when it is sorted, copied,
// written in capitals or with other separators. See docs/formats/tag.md.
//
// Those who check values and those who make them share this definition, and
// nothing else.
package tag

import (
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Share is how many values there are for one that is tagged: of values that were
// not made with the key one in 256 is taken for tagged. It is as large as short
// values allow: of account numbers of six digits 3,900 are tagged.
const Share = 256

// Name is what a finding's Synthetic says of a tagged value.
const Name = "tag"

// Key tells what was made with it. It is not for several goroutines at once.
type Key struct {
	secret []byte
	check  *PRF
	id     string
	buf    []byte
}

// New makes a key of a secret of at least 16 bytes, such as audit.Key.Derive
// gives. Nil for an empty one, and a nil key has tagged nothing.
func New(secret []byte) *Key {
	if len(secret) == 0 {
		return nil
	}
	id := NewPRF(secret, "id").Sum(nil)
	return &Key{secret: secret, check: NewPRF(secret, "tag"), id: hex.EncodeToString(id[:8])}
}

// ID names the key, and gives nothing of it away. A nil key has none.
func (k *Key) ID() string {
	if k == nil {
		return ""
	}
	return k.id
}

// PRF gives a function of the key for another purpose.
func (k *Key) PRF(purpose string) *PRF { return NewPRF(k.secret, "for "+purpose) }

// reserved are kinds with a space that a standard or an issuer reserves, and that is
// large enough. What is made of them lies there, and a tag elsewhere is chance.
var reserved = map[string]bool{"email": true, "iban": true, "card": true, "us-ssn": true, "uk-nhs": true, "ip": true}

// American says whether a telephone number is written as one of North America: their
// numbers for fiction are a reserved space, too.
func American(number string) bool {
	abroad := strings.HasPrefix(number, "+") || strings.HasPrefix(number, "00")
	if i := strings.IndexAny(number, "xXeE"); i >= 0 {
		number = number[:i]
	}
	c := Canonical(nil, "", number)
	return len(c) == 10 && c[0] > '1' && !abroad || len(c) == 11 && c[0] == '1'
}

// Tagged says whether a value of a kind was made with the key. A value that was
// not is taken for tagged with probability 1/[Share]; one of kind "person" with
// that probability for each of its words.
func (k *Key) Tagged(kind, value string) bool {
	if k == nil || reserved[kind] || kind == "phone" && American(value) {
		return false
	}
	if kind != "person" {
		return k.holds(kind, value)
	}
	words := 0
	for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if utf8.RuneCountInString(word) < MinWord {
			continue
		}
		if !k.holds(kind, word) {
			return false
		}
		words++
	}
	return words > 0
}

// MinWord is the length of the shortest word of a name that is tagged, in
// characters: an initial and "de" are not.
const MinWord = 3

func (k *Key) holds(kind, value string) bool {
	k.buf = Canonical(k.buf[:0], kind, value)
	if len(k.buf) == 0 {
		return false
	}
	sum := k.check.Sum(k.buf)
	return sum[0] == 0
}

// Canonical appends what of a value is hashed: its letters and digits, the
// letters small. Of telephone numbers those are the last seven digits before an
// extension, because the digits before depend on who writes them.
func Canonical(to []byte, kind, value string) []byte {
	if kind == "phone" {
		return subscriber(to, value)
	}
	for i := range len(value) {
		switch c := value[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z':
			to = append(to, c)
		case c >= 'A' && c <= 'Z':
			to = append(to, c-'A'+'a')
		case c >= utf8.RuneSelf:
			return canonicalRunes(to, value[i:])
		}
	}
	return to
}

func canonicalRunes(to []byte, value string) []byte {
	for _, r := range value {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			to = utf8.AppendRune(to, unicode.ToLower(r))
		}
	}
	return to
}

// subscriberDigits are what is written of a telephone number by everybody.
const subscriberDigits = 7

// subscriber appends the last digits of a telephone number, or nothing if it has
// too few. An x or "ext" begins its extension.
func subscriber(to []byte, value string) []byte {
	if i := strings.IndexAny(value, "xXeE"); i >= 0 {
		value = value[:i]
	}
	start := len(to)
	for i := range len(value) {
		if value[i] >= '0' && value[i] <= '9' {
			to = append(to, value[i])
		}
	}
	digits := to[start:]
	if len(digits) < subscriberDigits {
		return to[:start]
	}
	return append(to[:start], digits[len(digits)-subscriberDigits:]...)
}
