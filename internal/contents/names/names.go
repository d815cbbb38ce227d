// Package names finds who, where and what is spoken of in text, without a
// model from elsewhere: a tagger whose features are lists of names and places,
// the shape of words and what stands around them. Its weights were learned here,
// see docs/contents.md. It errs, so what it finds is a hint for people and for
// masking, and no class of data claims anything about it.
package names

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Span is a part of a text that names something.
type Span struct {
	Start, End int // bytes
	Kind       string
}

// Kinds are what is told apart.
var Kinds = []string{"person", "place", "organisation", "address", "date", "age", "title", "nationality", "url"}

// shaped are kinds that need no name.
var shaped = map[string]bool{"title": true, "date": true, "url": true, "age": true}

// maxTokens bounds the tokens of a text that are looked at in one go; a longer
// text is looked at in pieces.
const maxTokens = 4096

// Find finds names in a text. field is what the text is called, where it is a
// field of a record: a name there says as much as a word before.
func Find(field, text string) []Span {
	m := model()
	prefix := ""
	if field != "" {
		prefix = strings.NewReplacer(".", " ", "_", " ", "[", " ", "]", " ").Replace(field) + ": "
	}
	all := tokenize(prefix + text)
	var spans []Span
	for len(all) > 0 {
		piece := all[:min(len(all), maxTokens)]
		all = all[len(piece):]
		spans = append(spans, join(piece, m.tag(piece))...)
	}
	var kept []Span
	for _, s := range spans {
		if s.Start -= len(prefix); s.Start < 0 {
			continue
		}
		s.End -= len(prefix)
		kept = append(kept, s)
	}
	return plausible(text, kept)
}

// plausible trims spans, and takes addresses away that are none.
func plausible(text string, spans []Span) []Span {
	return slices.DeleteFunc(trim(text, spans), func(s Span) bool { return s.Kind == "address" && !postal(text[s.Start:s.End]) })
}

// postal says whether a text may be an address: it has letters, or as many digits as a postal code.
func postal(text string) bool {
	digits := 0
	for _, r := range text {
		if unicode.IsLetter(r) {
			return true
		}
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return digits >= minCode && digits <= maxCode || digits == zipAndFour
}

// Digits of a postal code, and of one in the United States with all that it can have.
const (
	minCode    = 4
	maxCode    = 6
	zipAndFour = 9
)

// trim takes the marks off both ends of a span, and what is nothing but marks
// away.
func trim(text string, spans []Span) []Span {
	var kept []Span
	for _, s := range spans {
		part := text[s.Start:s.End]
		left := len(part) - len(strings.TrimLeftFunc(part, mark))
		part = strings.TrimRightFunc(part[left:], func(r rune) bool { return r != '.' && r != ')' && r != '/' && mark(r) })
		if s.Start += left; strings.ContainsFunc(part, func(r rune) bool { return !mark(r) }) && (shaped[s.Kind] || !ordinary(part)) {
			kept = append(kept, Span{s.Start, s.Start + len(part), s.Kind})
		}
	}
	return kept
}

// ordinary says whether a text in small letters has no word that a list of
// names and places has.
func ordinary(text string) bool {
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsUpper(r) || unicode.IsDigit(r) }) {
		return false
	}
	for word := range strings.FieldsFuncSeq(text, mark) {
		if bits := words()[word]; bits&known != 0 && bits&common == 0 {
			return false
		}
	}
	return true
}

func mark(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// join makes spans of tags. Tag 0 is none, 1+2k begins and 2+2k goes on with
// kind k. What somebody's is no part of a name: that ends with the 's.
func join(tokens []token, tags []int) []Span {
	var spans []Span
	owner := false
	for i, tag := range tags {
		if tag == 0 {
			continue
		}
		kind := (tag - 1) / 2
		if (tag-1)%2 == 1 && i > 0 && tags[i-1] != 0 && (tags[i-1]-1)/2 == kind {
			if owner = owner || Kinds[kind] == "person" && tokens[i-1].owner; !owner {
				spans[len(spans)-1].End = tokens[i].end
			}
			continue
		}
		owner = false
		spans = append(spans, Span{tokens[i].start, tokens[i].end, Kinds[kind]})
	}
	return spans
}

// token is a word, a number, a mark or the end of a line.
type token struct {
	start, end int
	word       string // in small letters
	shape      string
	lists      uint16
	vocabulary string // the word, where it is one of a language and no name
	owner      bool   // it had an 's behind it
}

func tokenize(text string) []token {
	var list []token
	for at := 0; at < len(text); {
		n := length(text[at:])
		if part := text[at : at+n]; strings.TrimLeft(part, " \t\r") != "" {
			list = append(list, newToken(part, at))
		}
		at += n
	}
	return list
}

// length is how many bytes the first token of a text has; spaces are one, too.
func length(text string) int {
	if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "www.") {
		return len(strings.TrimRight(text[:cut(text, func(r rune) bool { return !unicode.IsSpace(r) && r != '"' && r != ')' && r != '>' })], ".,;:!?'"))
	}
	first, n := utf8.DecodeRuneInString(text)
	switch {
	case unicode.IsLetter(first) || unicode.IsDigit(first):
		n = cut(text, func(r rune) bool {
			return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '\'' || r == '’'
		})
		return len(strings.TrimRight(text[:n], "'’"))
	case first == ' ' || first == '\t' || first == '\r':
		return cut(text, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' })
	}
	return n
}

// cut is where the first rune is that does not belong.
func cut(text string, belongs func(rune) bool) int {
	if i := strings.IndexFunc(text, func(r rune) bool { return !belongs(r) }); i >= 0 {
		return i
	}
	return len(text)
}

func newToken(part string, at int) token {
	word := strings.ToLower(part)
	bare, possessive := strings.CutSuffix(strings.ReplaceAll(word, "’", "'"), "'s")
	t := token{start: at, end: at + len(part), word: bare, shape: shapeOf(part), lists: words()[bare]}
	if t.owner = possessive && bare != ""; t.owner {
		t.end -= len(part) - len(strings.TrimSuffix(strings.TrimSuffix(part, "'s"), "’s"))
	}
	if t.lists&onlyNames == 0 || t.lists&common != 0 || len(bare) <= 2 {
		t.vocabulary = bare
	}
	if t.lists == 0 && unicode.IsLetter([]rune(part)[0]) && len(bare) > 3 {
		t.vocabulary = "" // no list knows it: its letters say more than itself
	}
	return t
}

// shapeOf is a word with its capitals as A, other letters as a, digits as 9;
// a run of the same counts once, but for digits, of which there are up to five.
func shapeOf(part string) string {
	if strings.HasPrefix(part, "http") && strings.Contains(part, "://") || strings.HasPrefix(part, "www.") {
		return "url"
	}
	var b strings.Builder
	last, same := rune(0), 0
	for _, r := range part {
		switch {
		case unicode.IsDigit(r):
			r = '9'
		case unicode.IsUpper(r):
			r = 'A'
		case unicode.IsLetter(r):
			r = 'a'
		}
		if r != last {
			last, same = r, 0
		}
		if same++; same == 1 || r == '9' && same <= 5 || r == 'A' && same == 2 {
			b.WriteRune(r)
		}
	}
	return b.String()
}
