package names

import (
	"slices"
	"strings"
	"unicode"
)

// shortPart is the length of what is too short to say anything without the rest of its address: a state of two letters, a
// house's number.
const shortPart = 2

// units are words that begin a part of a house.
var units = []string{"apt", "apartment", "suite", "unit", "flat", "floor", "room"}

// Parts takes a postal address apart: street with its number, part of the house,
// postal code, town, country. It gives nothing where there is one part only.
func Parts(text string, address Span) []Span {
	var parts []Span
	var part []token
	first := true
	end := func() {
		parts = append(parts, pieces(part, first)...)
		first = first && part == nil
		part = nil
	}
	for _, t := range tokenize(text[address.Start:address.End]) {
		switch {
		case t.word == "\n" || t.word == ",":
			end()
			continue
		case slices.Contains(units, t.word):
			end()
		}
		part = append(part, t)
	}
	end()
	for i := range parts {
		parts[i].Start += address.Start
		parts[i].End += address.Start
	}
	parts = slices.DeleteFunc(trim(text, parts), func(p Span) bool { return p.End-p.Start <= shortPart })
	if len(parts) < 2 {
		return nil
	}
	return parts
}

// house is how many digits the number of a house has at most.
const house = 4

// pieces takes a line of an address apart, by the numbers at its ends. One at the end of the first line, and one of a
// box, is no postal code.
func pieces(line []token, opening bool) []Span {
	if len(line) == 0 {
		return nil
	}
	first, last := 0, len(line)
	numbers, street := 0, false
	for _, t := range line {
		if number(t) {
			numbers++
		}
		street = street || t.lists&streets != 0 && t.lists&(onlyNames|countries) == 0
	}
	var spans []Span
	if number(line[0]) && len(line) > 1 && (numbers > 1 || !street && len(line[0].word) >= 4) {
		spans = append(spans, Span{line[0].start, line[0].end, "address"})
		first, numbers = 1, numbers-1
	}
	var code []Span
	if t := line[last-1]; number(t) && last-first > 1 && len(t.word) >= 4 && numbers > 0 && !(opening && len(t.word) <= house) && line[last-2].word != "box" {
		code = append(code, Span{t.start, t.end, "address"})
		last, numbers = last-1, numbers-1
	}
	kind := "address"
	if numbers == 0 && !street {
		kind = "place"
	}
	return slices.Concat(spans, []Span{{line[first].start, line[last-1].end, kind}}, code)
}

func number(t token) bool {
	return strings.TrimFunc(t.word, unicode.IsDigit) == ""
}
