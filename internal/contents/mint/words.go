package mint

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"proofbox/internal/contents/tag"
)

const (
	consonants = "bdfgklmnprstvz"
	vowels     = "aeiou"
)

// Word makes an invented word with our tag, of about as many letters as another
// one and in its case: small, capital first, or capitals.
func (m *Mint) Word(layout string, s rand.Source) string {
	syllables := min(max(2, (utf8.RuneCountInString(layout)+1)/2), 5)
	for {
		for range 4 * tag.Share {
			var room [12]byte
			word := room[:0]
			for range syllables {
				n := s.Uint64()
				word = append(word, consonants[n%uint64(len(consonants))], vowels[n>>8%uint64(len(vowels))])
			}
			if m.key.Tagged("person", string(word)) {
				return inCase(string(word), layout)
			}
		}
		syllables = min(syllables+1, 6)
	}
}

// inCase writes a word in small letters as another one is written.
func inCase(word, layout string) string {
	first, n := utf8.DecodeRuneInString(layout)
	switch {
	case !unicode.IsUpper(first):
		return word
	case len(layout) > n && strings.ToUpper(layout) == layout:
		return strings.ToUpper(word)
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// Words makes a name: each word of the layout with at least [tag.MinWord] letters
// becomes an invented one, an initial another one; digits change, marks stay.
func (m *Mint) Words(layout string, s rand.Source) string {
	return EachWord(layout, func(word string) string {
		switch first, _ := utf8.DecodeRuneInString(word); {
		case unicode.IsDigit(first):
			c := []byte(word)
			digits(c, s)
			return string(c)
		case utf8.RuneCountInString(word) < tag.MinWord:
			return inCase(string(consonants[s.Uint64()%uint64(len(consonants))]), word)
		}
		return m.Word(word, s)
	})
}

// EachWord replaces each run of letters, and each of digits, and leaves the rest.
func EachWord(text string, replace func(word string) string) string {
	var b strings.Builder
	for len(text) > 0 {
		first, n := utf8.DecodeRuneInString(text)
		same := unicode.IsDigit
		switch {
		case unicode.IsLetter(first):
			same = func(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) }
		case !unicode.IsDigit(first):
			b.WriteString(text[:n])
			text = text[n:]
			continue
		}
		if n = strings.IndexFunc(text, func(r rune) bool { return !same(r) }); n < 0 {
			n = len(text)
		}
		b.WriteString(replace(text[:n]))
		text = text[n:]
	}
	return b.String()
}

// Host makes a host in .example (RFC 6761): one word, and ten digits' worth of
// difference are enough for every host that there is.
func (m *Mint) Host(layout string, s rand.Source) string {
	name, _, _ := strings.Cut(layout, ".")
	return m.Word(strings.ToLower(name), s) + ".example"
}

// Mail makes an address at a reserved host, with invented words for those before
// the @.
func (m *Mint) Mail(layout string, s rand.Source) string {
	at := strings.LastIndexByte(layout, '@')
	if at < 0 {
		return m.Words(layout, s)
	}
	return m.Words(layout[:at], s) + "@" + m.Host(layout[at+1:], s)
}

// address makes an address of the family of another one: in the space of IPv6 for
// documentation (RFC 3849), or in one of IPv4 that is kept for a use that never came
// (RFC 1112, section 4), because there are only 768 for documentation.
func address(layout string, s rand.Source) string {
	if a, err := netip.ParseAddr(layout); err == nil && a.Is6() {
		b := a.As16()
		for i := range b {
			b[i] = byte(s.Uint64())
		}
		copy(b[:], "\x20\x01\x0d\xb8")
		return netip.AddrFrom16(b).String()
	}
	n := s.Uint64()
	return netip.AddrFrom4([4]byte{240 | byte(n>>24)%15, byte(n >> 16), byte(n >> 8), byte(n)}).String()
}

// phone makes a telephone number. One of North America's layout is 555-0100 to
// 555-0199 of any area, of which there are 80,000; any other one keeps its country's
// code and the first digits after it and is tagged.
func (m *Mint) phone(layout string, s rand.Source) (string, error) {
	number, extension := layout, ""
	if i := strings.IndexAny(layout, "xXeE"); i >= 0 {
		number, extension = layout[:i], layout[i:]
	}
	c := compact(nil, number)
	if tag.American(layout) {
		national := c[len(c)-10:]
		national[0] = byte('2' + s.Uint64()%8)
		digits(national[1:3], s)
		copy(national[3:], "55501")
		digits(national[8:], s)
		return arrange(c, number) + extension, nil
	}
	for range maxTries {
		digits(c[max(0, len(c)-7):], s)
		if v := arrange(c, number); m.key.Tagged("phone", v) {
			return v + extension, nil
		}
	}
	return "", errNoPhone
}
