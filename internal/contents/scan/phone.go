package scan

import (
	"regexp"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

var (
	phoneShape = regexp.MustCompile(`(?:\+|\b00)?\(?\d[\d()./ -]{5,22}\d(?: ?(?:x|ext\.?) ?\d{1,6})?`)
	// phoneLayout is how people write numbers and how few other things look.
	phoneLayout = regexp.MustCompile(`^(?:\+?1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}$`)
	phoneWords  = []string{"phone", "tel", "mobile", "cell", "call", "fax", "sms", "whatsapp", "telefon", "office", "contact", "dial", "number at", "handy", "desk", "answering", "message"}
	extension   = regexp.MustCompile(` ?(?:x|ext\.?) ?\d{1,6}$`)
	// notPhones are layouts of dates, times and numbers of other kinds.
	notPhones = regexp.MustCompile(`^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|^\d{1,3}(?:\.\d{1,3}){3}$|^\d+\.\d+$|^\d{3}-\d\d-\d{4}$`)
	// regions are those whose numbers are known without their country's code.
	regions = []string{"US", "GB", "DE", "FR", "ES", "IT", "NL", "SE", "PL", "BR", "IN", "AU", "JP", "ZA", "MX"}
)

// What the automaton of layouts finds.
const (
	inLayout = 1 << iota // phoneLayout
	noPhone              // notPhones
)

// phones appends the telephone numbers in a window: those with a country's code
// that libphonenumber takes for valid, those in North America's layout, and,
// with a word near by, whatever is possible.
func (k *knowledge) phones(hits []hit, text string, start, end int, known bool, digits int) []hit {
	if window := text[start:end]; !known && digits < 10 && !strings.Contains(window, "+") && !strings.Contains(window, "00") {
		return hits // too short for North America's layout, and without a country's code
	}
	for at := start; ; {
		first, last := dialled(text[start:end], at-start)
		if first < 0 {
			return hits
		}
		first, last = start+first, start+last
		at = last
		if first > 0 && letterOrDigit(text[first-1]) || last < len(text) && letterOrDigit(text[last]) {
			continue
		}
		part := text[first:last]
		if strings.Contains(part, "x") {
			part = extension.ReplaceAllString(part, "")
		}
		digits := compact(part)
		plus := strings.HasPrefix(part, "+") || strings.HasPrefix(part, "00")
		layout := k.layouts.in(part)
		if len(digits) < 7 || len(digits) > 15 || layout&noPhone != 0 {
			continue
		}
		if plus {
			digits = strings.TrimPrefix(digits, "00")
		}
		h := hit{start: first, end: last, kind: "phone", synthetic: reservedPhone(digits, plus)}
		switch {
		case plus && k.dial.valid(digits), h.synthetic != "" && known:
			h.confidence = .93
		case layout&inLayout != 0:
			h.confidence = .84
		case known && (len(digits) >= 8 || strings.ContainsAny(part, " -.")) && possible(part):
			h.confidence = .72
		default:
			continue
		}
		hits = append(hits, h)
	}
}

// Bytes between the first digit of a telephone number and its last, and digits of its extension.
const (
	minBetween   = 5
	maxBetween   = 22
	maxExtension = 6
)

// dialled gives the first match of phoneShape from a place in a text on, or -1. The expression itself takes ten times as
// long; TestDialled holds this against it.
func dialled(text string, from int) (start, end int) {
	for start = from; start < len(text); start++ {
		rest := start
		if c := text[start]; c == '+' {
			rest = start + 1
		} else if c == '0' && strings.HasPrefix(text[start:], "00") && (start == 0 || !letterOrDigit(text[start-1])) {
			rest = start + 2
		} else if c != '(' && (c < '0' || c > '9') {
			continue
		}
		end := subscriber(text, rest)
		if end < 0 && rest == start+2 {
			end = subscriber(text, start)
		}
		if end >= 0 {
			return start, extended(text, end)
		}
	}
	return -1, -1
}

// subscriber gives where digits with what is written between them end, or -1.
func subscriber(text string, at int) int {
	if at < len(text) && text[at] == '(' {
		at++
	}
	if at >= len(text) || text[at] < '0' || text[at] > '9' {
		return -1
	}
	last := -1
	for i := at + 1; i < len(text) && i-at <= maxBetween+1; i++ {
		if c := text[i]; c >= '0' && c <= '9' {
			last = i
		} else if strings.IndexByte("()./ -", c) < 0 {
			break
		}
	}
	if last-at <= minBetween {
		return -1
	}
	return last + 1
}

// extended gives where the extension behind a number ends, if it has one.
func extended(text string, end int) int {
	rest := strings.TrimPrefix(text[end:], " ")
	digits, known := strings.CutPrefix(rest, "x")
	if !known {
		if digits, known = strings.CutPrefix(rest, "ext"); !known {
			return end
		}
		digits = strings.TrimPrefix(digits, ".")
	}
	digits = strings.TrimPrefix(digits, " ")
	n := 0
	for n < len(digits) && n < maxExtension && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	if n == 0 {
		return end
	}
	return len(text) - len(digits) + n
}

func letterOrDigit(c byte) bool { return letter(c) || c >= '0' && c <= '9' }

func valid(text, region string) bool {
	n, err := phonenumbers.Parse(text, region)
	return err == nil && phonenumbers.IsValidNumber(n)
}

// possible says whether a number is one in any of the regions, by its length.
func possible(text string) bool {
	for _, region := range regions {
		if n, err := phonenumbers.Parse(text, region); err == nil && phonenumbers.IsPossibleNumber(n) {
			return true
		}
	}
	return false
}
