package synth

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What follows damages a value. A value that it cannot damage it gives back.

// near are the keys beside a key.
var near = map[rune]string{
	'a': "sqz", 'b': "vn", 'c': "xv", 'd': "sf", 'e': "wr", 'f': "dg", 'g': "fh", 'h': "gj", 'i': "uo", 'j': "hk", 'k': "jl", 'l': "k", 'm': "n",
	'n': "bm", 'o': "ip", 'p': "o", 'q': "wa", 'r': "et", 's': "ad", 't': "ry", 'u': "yi", 'v': "cb", 'w': "qe", 'x': "zc", 'y': "tu", 'z': "xy",
}

// typo leaves a letter out, doubles it, or takes the key beside it.
func typo(d *draw, s string) string {
	r := []rune(s)
	i, ok := someLetter(d, r)
	if !ok {
		return s
	}
	switch d.n(3) {
	case 0:
		return string(r[:i]) + string(r[i+1:])
	case 1:
		return string(r[:i+1]) + string(r[i:])
	}
	keys, known := near[unicode.ToLower(r[i])]
	if !known {
		return s
	}
	r[i] = rune(keys[d.n(len(keys))])
	return string(r)
}

// someLetter is the place of one that is not the first of the text.
func someLetter(d *draw, r []rune) (int, bool) {
	for range 8 {
		if len(r) < 3 {
			return 0, false
		}
		if i := 1 + d.n(len(r)-1); unicode.IsLetter(r[i]) {
			return i, true
		}
	}
	return 0, false
}

// transposed swaps two letters.
func transposed(d *draw, s string) string {
	r := []rune(s)
	i, ok := someLetter(d, r)
	if !ok || i+1 == len(r) || !unicode.IsLetter(r[i+1]) {
		return s
	}
	r[i], r[i+1] = r[i+1], r[i]
	return string(r)
}

// misread takes letters for those that look like them on paper. A letter never
// becomes a digit, nor a digit another, because numbers would come into being.
func misread(d *draw, s string) string {
	looks := [][2]string{{"rn", "m"}, {"m", "rn"}, {"cl", "d"}, {"ll", "II"}, {"e", "c"}, {"i", "l"}, {"h", "b"}, {"ä", "a"}, {"ü", "ii"}, {"é", "e"}, {"ß", "B"}, {"vv", "w"}, {"t", "f"}}
	start := d.n(len(looks))
	for i := range looks {
		l := looks[(start+i)%len(looks)]
		if strings.Contains(s, l[0]) {
			return strings.Replace(s, l[0], l[1], 1)
		}
	}
	return s
}

// cased writes all in capitals, or none.
func cased(d *draw, s string) string {
	if d.chance(500) {
		return strings.ToUpper(s)
	}
	return strings.ToLower(s)
}

func capitals(_ *draw, s string) string { return strings.ToUpper(s) }

// garbled is UTF-8 that was read as Latin-1.
func garbled(_ *draw, s string) string {
	var out strings.Builder
	for _, b := range []byte(s) {
		out.WriteRune(rune(b))
	}
	return out.String()
}

// folded has no accents, as systems write that know ASCII only.
func folded(_ *draw, s string) string {
	return strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "è", "e", "ê", "e", "á", "a", "í", "i", "ó", "o", "ú", "u", "ñ", "n", "ç", "c", "ô", "o", "’", "'").Replace(s)
}

func spaced(d *draw, s string) string {
	if d.chance(330) {
		return strings.Replace(s, " ", "  ", 1)
	}
	return padded(d, s)
}

// padded has a space at an end only: a gap within a number makes two of it.
func padded(d *draw, s string) string {
	if d.chance(500) {
		return s + " "
	}
	return " " + s
}

// inLocal damages what is before the @, letters that ASCII has.
func inLocal(damage func(*draw, string) string) func(*draw, string) string {
	return func(d *draw, s string) string {
		local, host, ok := strings.Cut(s, "@")
		if !ok {
			return s
		}
		return damage(d, local) + "@" + host
	}
}

// relaid writes a telephone number with other signs between its digits.
func relaid(d *draw, s string) string {
	if strings.Contains(s, "(") {
		return strings.NewReplacer("(", "", ") ", "-").Replace(s)
	}
	return strings.NewReplacer(" ", pick(d, []string{"-", ".", ""})).Replace(s)
}

// digitWrong changes one of the last digits, which every check digit notices.
func digitWrong(d *draw, s string) string {
	i := len(s) - 1 - d.n(3)
	if i < 0 || s[i] < '0' || s[i] > '9' {
		return s
	}
	wrong := '0' + (int(s[i]-'0')+d.between(1, 9))%10
	return s[:i] + string(rune(wrong)) + s[i+1:]
}

// joined has no spaces between its groups. Groups are not made of what has none: of a
// number that was damaged before, some could be taken for a card's.
func joined(_ *draw, s string) string { return strings.ReplaceAll(s, " ", "") }

// words applies a damage to some words of a text: those that have neither digit nor
// @, so that an identifier in it stays what it is.
func words(d *draw, s string, perThousand int, damage func(*draw, string) string) string {
	parts := strings.Split(s, " ")
	for i, w := range parts {
		if utf8.RuneCountInString(w) > 3 && !strings.ContainsAny(w, "0123456789@\n") && d.chance(perThousand) {
			parts[i] = damage(d, w)
		}
	}
	return strings.Join(parts, " ")
}

func sloppy(d *draw, s string) string {
	return words(d, s, d.between(40, 200), func(d *draw, w string) string {
		if d.chance(300) {
			return transposed(d, w)
		}
		return typo(d, w)
	})
}

func scanned(d *draw, s string) string { return words(d, s, 150, misread) }

// rambling goes on and on, and says nothing.
func rambling(d *draw, s string) string {
	more := []string{
		"anyway", "as I said", "I don't know if that matters", "sorry for the long message", "where was I", "my battery is nearly empty so I have to be quick",
		"it was raining that day, I remember because of the shoes", "not that it is your fault", "my nephew says these things are all made in the same place",
		"to cut a long story short", "and another thing", "but never mind that now", "if you see what I mean", "I used to have one that lasted twenty years",
	}
	var out strings.Builder
	out.WriteString(s)
	for range d.between(3, 12) {
		out.WriteString(pick(d, []string{" ... ", ", ", " - ", "\n", ". "}) + pick(d, more))
	}
	return out.String()
}

// foreignDate writes a date as another country does.
func foreignDate(d *draw, s string) string {
	if len(s) < 10 {
		return s
	}
	t, err := time.Parse(time.DateOnly, s[:10])
	if err != nil {
		return s
	}
	return t.Format(pick(d, []string{"02.01.2006", "01/02/2006", "02/01/2006", "2 January 2006", "Jan 2, 2006", "2006/01/02"}))
}

// comma writes an amount as most of Europe does.
func comma(d *draw, s string) string {
	whole, cents, ok := strings.Cut(s, ".")
	if !ok {
		return s
	}
	if d.chance(300) {
		return pick(d, []string{"EUR ", "~", "€"}) + s
	}
	return fmt.Sprintf("%s,%s", whole, cents)
}

func spokenFlag(d *draw, s string) string {
	switch s {
	case "true":
		return pick(d, []string{"yes", "Y", "1", "x"})
	case "false":
		return pick(d, []string{"no", "N", "0"})
	}
	return s
}
