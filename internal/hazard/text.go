package hazard

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"proofbox"
)

// maxFound bounds how many hidden things are named.
const maxFound = 5

// farRight is how many blanks inside a line push what follows out of sight.
const farRight = 80

// ofText looks for what a reader would not see in the lines that are new.
func ofText(before, after string) []proofbox.Hazard {
	had := map[string]bool{}
	for line := range strings.Lines(before) {
		had[line] = true
	}
	var list []proofbox.Hazard
	n := 0
	for line := range strings.Lines(after) {
		if n++; had[line] {
			continue
		}
		if words := hidden(line); words != "" {
			if len(list) == maxFound {
				return append(list, proofbox.Hazard{Rule: "hidden-text", Words: "hides text in further lines"})
			}
			list = append(list, proofbox.Hazard{Rule: "hidden-text", Words: words, Line: n})
		}
	}
	return list
}

// hidden says what a line hides; empty for nothing.
func hidden(line string) string {
	line = strings.TrimSuffix(line, "\n")
	line = strings.TrimSuffix(line, "\r")
	blanks, seen := 0, false
	var last rune
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRuneInString(line[i:])
		if words := hiddenRune(r, last, line[i+size:]); words != "" {
			return words
		}
		switch {
		case r == ' ' || r == '\t':
			blanks++
		case seen && blanks >= farRight:
			return "hides text far to the right"
		default:
			blanks, seen = 0, true
		}
		last = r
		i += size
	}
	return mixed(line)
}

// hiddenRune says what a character hides. Emoji are put together by joiners and
// selectors, which hide nothing there.
func hiddenRune(r, last rune, rest string) string {
	switch {
	case r == '\t':
		return ""
	case r == 0x1b || r == 0x9b:
		return "holds an escape sequence, which acts on a terminal"
	case r == '\r':
		return "holds a carriage return, by which a terminal writes over the line"
	case r < 0x20 && r != '\f' || r >= 0x7f && r < 0xa0:
		return fmt.Sprintf("holds the control character U+%04X", r)
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x61c:
		return fmt.Sprintf("holds U+%04X, which changes in which order text is shown", r)
	case r >= 0xe0000 && r <= 0xe007f:
		return fmt.Sprintf("holds the tag character U+%04X, which nobody sees", r)
	case r == 0xfe0f || r == 0xfe0e || r == 0x200d:
		if next, _ := utf8.DecodeRuneInString(rest); pictured(last) || r == 0x200d && pictured(next) {
			return ""
		}
		return fmt.Sprintf("holds U+%04X, which nobody sees", r)
	case unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Cf, r) && r != 0xad, unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return fmt.Sprintf("holds U+%04X, which nobody sees", r)
	}
	return ""
}

// pictured says whether a character is a symbol that a selector or joiner can
// follow.
func pictured(r rune) bool {
	return unicode.In(r, unicode.So, unicode.Sk, unicode.Sm, unicode.Po) || r >= '0' && r <= '9' || r == '#' || r == '*' || r == 0xfe0f
}

// mixed finds a word that mixes letters of scripts that look alike.
func mixed(line string) string {
	for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }) {
		latin, alike := false, ""
		for _, r := range word {
			switch {
			case r < 0x80:
				latin = latin || unicode.IsLetter(r)
			case unicode.Is(unicode.Cyrillic, r):
				alike = "Cyrillic"
			case unicode.Is(unicode.Greek, r) && r != 'µ' && r != 'μ' && r != 'Ω' && r != 'π' && r != 'Δ' && r != 'σ' && r != 'λ':
				alike = "Greek"
			case unicode.Is(unicode.Armenian, r):
				alike = "Armenian"
			case r >= 0xff21 && r <= 0xff5a:
				alike = "full-width"
			}
		}
		if latin && alike != "" {
			return fmt.Sprintf("mixes Latin and %s letters in the word %+q", alike, word)
		}
	}
	return ""
}
