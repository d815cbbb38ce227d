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
	for _, m := range phoneShape.FindAllStringIndex(text[start:end], -1) {
		first, last := start+m[0], start+m[1]
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
	return hits
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
