package mask

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"proofbox/internal/contents/mint"
	"proofbox/internal/contents/tag"
)

// replacer gives each value its replacement: always the same one for the same value,
// and never that of another value.
type replacer struct {
	mint     *mint.Mint
	key      *tag.PRF
	list     *List
	used     map[print]print  // what was given, and for what
	made     map[print]string // the canonical replacement of a value
	shift    int              // days
	initials []int            // of names: a permutation of the alphabet
	buf      []byte
}

// newReplacer makes one. A context gives another mapping.
func newReplacer(key *tag.Key, context string, list *List) *replacer {
	r := &replacer{
		mint: mint.New(key), key: key.PRF("mask in context " + context), list: list,
		used: map[print]print{}, made: map[print]string{},
	}
	sum := r.key.Sum([]byte("shift of dates"))
	r.initials = rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:]), 1)).Perm(len(alphabet))
	n := int(binary.BigEndian.Uint16(sum[:])) % 600
	r.shift = n - 300
	if n >= 300 {
		r.shift += 31 // never less than a month
	} else {
		r.shift -= 30
	}
	return r
}

// errAgain says that a real value had been given for another one, before it was known
// to be real: masking again, with the list as it is, avoids that.
var errAgain = errors.New("a replacement is a real value")

// maxProbes bounds the tries to find a replacement that is no other value's. Where one in
// ten is free, that many fail in 1e-45 of all cases; numbers of three digits are all tried.
const maxProbes = 1000

// maxUsed bounds the values that are told apart: 512 MiB hold so many.
const maxUsed = 2_500_000

// replace gives the replacement of a value, in its layout.
func (r *replacer) replace(kind, value string) (string, error) {
	switch kind {
	case "date", "date-of-birth":
		return shifted(value, r.shift)
	case "person", "address", "place", "organisation":
		return r.words(value)
	case "email":
		if at := strings.LastIndexByte(value, '@'); at > 0 {
			return r.mail(value[:at], value[at+1:])
		}
	}
	return r.unique(kind, value, func(s rand.Source) (string, error) {
		out, err := r.mint.Like(kind, value, s)
		if err != nil { // it is not what the plan says
			return r.mint.Like("number", value, s)
		}
		return out, nil
	})
}

// identity is what makes two values the same: a kind of mapping, and the letters and
// digits. A telephone number of North America is so with its country's code and without.
func (r *replacer) identity(kind, value string) print {
	r.buf = append(append(r.buf[:0], kind...), 0)
	n := len(r.buf)
	if kind == "phone" && tag.American(value) {
		value, _, _ = strings.Cut(strings.ToLower(value), "x")
		value, _, _ = strings.Cut(value, "e")
		r.buf = tag.Canonical(r.buf, "", value)
		if len(r.buf) == n+11 {
			r.buf = append(r.buf[:n], r.buf[n+1:]...)
		}
	} else {
		r.buf = tag.Canonical(r.buf, kind, value)
	}
	return r.key.Sum(r.buf)
}

// unique makes a replacement that is no other value's, by drawing with one seed after
// the other.
func (r *replacer) unique(kind, value string, draw func(rand.Source) (string, error)) (string, error) {
	id := r.identity(kind, value)
	if made, ok := r.made[id]; ok {
		return relaid(kind, made, value), nil
	}
	seed := rand.NewPCG(binary.BigEndian.Uint64(id[:]), binary.BigEndian.Uint64(id[8:]))
	for range maxProbes {
		out, err := draw(seed)
		if err != nil {
			return "", err
		}
		number := value[0] >= '1' && value[0] <= '9'
		if number && out[0] == '0' || r.list.has(out) {
			continue
		}
		as := r.output(kind, out)
		if owner, taken := r.used[as]; taken && owner != id {
			continue
		}
		if len(r.used) >= maxUsed {
			return "", fmt.Errorf("there are more than %d different values; mask the set in parts", maxUsed)
		}
		r.used[as], r.made[id] = id, out
		return out, nil
	}
	return "", fmt.Errorf("there are more different values of kind %s in this layout than values that are nobody's", kind)
}

// output is what two replacements must not share, whatever their kinds.
func (r *replacer) output(kind, value string) print {
	if kind == "phone" && tag.American(value) {
		return r.identity(kind, value)
	}
	r.buf = tag.Canonical(append(r.buf[:0], 0), "", value)
	return r.key.Sum(r.buf)
}

// given says whether a value was given as a replacement.
func (r *replacer) given(kind, value string) bool {
	_, taken := r.used[r.output(kind, value)]
	return taken
}

// relaid writes a replacement that was made for one layout in another one: digits and
// letters from the end on, so that what a country's code is before stays.
func relaid(kind, made, layout string) string {
	if kind == "word" {
		return layoutCase(made, layout)
	}
	if kind == "ip" || kind == "host" || kind == "email" {
		return made
	}
	extension := ""
	if i := strings.IndexAny(layout, "xXeE"); kind == "phone" && i >= 0 {
		layout, extension = layout[:i], layout[i:]
	}
	if i := strings.IndexAny(made, "xXeE"); kind == "phone" && i >= 0 {
		made = made[:i]
	}
	from, out := len(made)-1, []byte(layout)
	keep := 0
	if kind == "phone" && !tag.American(layout) {
		keep = max(0, digitsIn(layout)-7)
	}
	for i := len(out) - 1; i >= 0; i-- {
		if !alphanumeric(out[i]) {
			continue
		}
		for from >= 0 && !alphanumeric(made[from]) {
			from--
		}
		if from < 0 || digitsIn(string(out[:i+1])) <= keep && kind == "phone" {
			break
		}
		c := made[from]
		switch {
		case out[i] >= 'a' && out[i] <= 'z' && c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case out[i] >= 'A' && out[i] <= 'Z' && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		out[i] = c
		from--
	}
	return string(out) + extension
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func digitsIn(s string) (n int) {
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

// layoutCase writes an invented word as another one is written.
func layoutCase(word, layout string) string {
	first, n := utf8.DecodeRuneInString(layout)
	word = strings.ToLower(word)
	switch {
	case !unicode.IsUpper(first):
		return word
	case len(layout) > n && strings.ToUpper(layout) == layout:
		return strings.ToUpper(word)
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// particles are words of names that say nothing of who has them.
var particles = map[string]bool{
	"al": true, "bin": true, "da": true, "de": true, "del": true, "della": true, "den": true, "der": true, "di": true, "dos": true,
	"du": true, "el": true, "ibn": true, "la": true, "le": true, "of": true, "st": true, "ten": true, "ter": true, "van": true,
	"von": true, "y": true, "zu": true,
}

// words replaces a name word by word, so that somebody who is called by a part of it
// has the same one.
func (r *replacer) words(value string) (string, error) {
	var failed error
	out := mint.EachWord(value, func(word string) string {
		kind := "word"
		if first, n := utf8.DecodeRuneInString(word); unicode.IsDigit(first) {
			kind = "number in a name"
		} else if particles[strings.ToLower(word)] {
			return word
		} else if n == len(word) {
			kind = "initial"
		}
		replaced, err := r.part(kind, word)
		failed = errors.Join(failed, err)
		return replaced
	})
	return out, failed
}

// part replaces a word, a number or an initial of a name.
func (r *replacer) part(kind, word string) (string, error) {
	switch kind {
	case "word":
		return r.unique(kind, word, func(s rand.Source) (string, error) { return r.mint.Word(word, s), nil })
	case "initial":
		if i := strings.Index(alphabet, strings.ToLower(word)); i >= 0 {
			return layoutCase(alphabet[r.initials[i]:][:1], word), nil
		}
		return word, nil // a letter of another alphabet
	}
	drawn := make([]byte, 0, len(word))
	return r.unique(kind, word, func(s rand.Source) (string, error) {
		if len(drawn) == 0 {
			for range len(word) {
				drawn = append(drawn, byte('0'+s.Uint64()%10))
			}
			return string(drawn), nil
		}
		for i := len(drawn) - 1; i >= 0; i-- { // the next one, because there may be few
			if drawn[i]++; drawn[i] <= '9' {
				break
			}
			drawn[i] = '0'
		}
		return string(drawn), nil
	})
}

const alphabet = "abcdefghijklmnopqrstuvwxyz"

// mail replaces an address: the words of its name as names are, and its host by one in
// .example, the same for all that share it. Addresses that would be the same get
// other digits or, without any, some more.
func (r *replacer) mail(name, host string) (string, error) {
	made, err := r.unique("host", strings.ToLower(host), func(s rand.Source) (string, error) { return r.mint.Host(host, s), nil })
	if err != nil {
		return "", err
	}
	tries := 0
	return r.unique("email", name+"@"+host, func(s rand.Source) (string, error) {
		tries++
		var failed error
		local := mint.EachWord(name, func(word string) string {
			if first, _ := utf8.DecodeRuneInString(word); unicode.IsDigit(first) {
				out := []byte(word)
				for i := range out {
					out[i] = byte('0' + s.Uint64()%10)
				}
				return string(out)
			}
			replaced, err := r.part("word", word)
			failed = errors.Join(failed, err)
			return replaced
		})
		if tries > 1 && digitsIn(local) == 0 {
			local += fmt.Sprint(s.Uint64() % 1000)
		}
		return local + "@" + made, failed
	})
}

// dateLayouts are the ways to write a day that are known, of two readings the first.
var dateLayouts = []string{
	"2006-01-02", "2006/01/02", "2006.01.02", "02.01.2006", "2.1.2006", "01/02/2006", "1/2/2006", "02/01/2006", "2/1/2006",
	"02-01-2006", "2-1-2006", "02.01.06", "01/02/06", "1/2/06", "02/01/06", "20060102",
	"2 January 2006", "2 Jan 2006", "January 2, 2006", "Jan 2, 2006", "January 2 2006", "Jan 2 2006", "2-Jan-2006", "02-Jan-06",
}

// shifted moves a day, in its layout; what follows the day, a time, stays.
func shifted(value string, days int) (string, error) {
	for n := len(value); n >= 6; n-- {
		if n < len(value) && alphanumeric(value[n]) && value[n] != 'T' {
			continue
		}
		for _, layout := range dateLayouts {
			if day, err := time.Parse(layout, value[:n]); err == nil {
				return day.AddDate(0, 0, days).Format(layout) + value[n:], nil
			}
		}
	}
	return "", errors.New("it is no day that can be shifted; give the field another kind in the plan, or keep it")
}
