package scan

import (
	"bytes"
	"cmp"
	"math/bits"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// hit is a finding in a text, before it has a place.
type hit struct {
	start, end int // bytes
	kind       string
	confidence float64
	synthetic  string
	attribute  bool
	planned    bool // somebody said what the field holds
}

// Bytes of a text around a match that count as its context.
const (
	contextBefore = 64
	contextAfter  = 24
)

// identify finds identifiers in the text of a field. Where two findings overlap,
// the surer one stays, and of equals the longer.
func identify(field, text string) []hit {
	var hits []hit
	var k *knowledge
	for at := 0; at < len(text); {
		switch class[text[at]] {
		case digitByte, hexColon:
			if n := stretch(text[at:]); n > maxWord {
				at += n
				continue
			}
			if k == nil {
				k = spare.Get().(*knowledge)
			}
			start, end := window(text, at)
			hits = k.numbers(hits, field, text, start, end)
			at = end
		case atSign:
			hits = mail(hits, text, at)
			at++
		default:
			at++
		}
	}
	if k != nil {
		spare.Put(k)
	}
	return settle(hits)
}

// knowledge is what numbers are known by, with what it has learned of texts. It is not for several goroutines at once.
type knowledge struct {
	rules   []*rule
	shapes  *automaton // of the rules, in their order
	alone   uint64     // rules that need no word near by
	words   vicinity   // which speak for a rule, or for a telephone number
	layouts *automaton // phoneLayout and notPhones
	dial    *dialling
	near    []byte // scratch space
}

// spare are pieces of knowledge that nobody uses.
var spare = sync.Pool{New: func() any { return newKnowledge() }}

func newKnowledge() *knowledge {
	k := &knowledge{dial: newDialling(), layouts: search(phoneLayout, notPhones), words: vicinity{kinds: map[uint32]uint64{}}}
	k.words.add(forPhones, phoneWords)
	var all []*regexp.Regexp
	for _, list := range [][]rule{general, national} {
		for i := range list {
			if !list[i].needed {
				k.alone |= 1 << len(all)
			}
			k.words.add(len(all), list[i].context)
			k.rules, all = append(k.rules, &list[i]), append(all, list[i].shape)
		}
	}
	if k.shapes = search(all...); k.shapes == nil || k.layouts == nil {
		panic("scan: a rule's shape has no automaton") // TestAutomaton says which
	}
	return k
}

// Classes of bytes that something can begin with.
const (
	plainByte = iota
	digitByte
	atSign
	hexColon // of an address such as ::1
)

var class = func() (table [256]byte) {
	for c := byte('0'); c <= '9'; c++ {
		table[c] = digitByte
	}
	table['@'], table[':'] = atSign, hexColon
	return table
}()

// maxWindow bounds a window in bytes: a longer run of digits is data of another
// sort, and is looked at in pieces.
const maxWindow = 256

// window widens a place to the run of words around it that can belong to one
// value: words with digits, capitals such as an IBAN has, names of months.
func window(text string, at int) (start, end int) {
	start, end = at, at+1
	for start > 0 && at-start < maxWindow/4 && inWord(text[start-1]) {
		start--
	}
	if start == at || start > 0 && text[start-1] == ' ' {
		start = withLeader(text, start)
	}
	for end < len(text) && end-start < maxWindow {
		if inWord(text[end]) {
			end++
			continue
		}
		if text[end] != ' ' {
			break
		}
		next := end + 1
		for next < len(text) && next-end < 32 && inWord(text[next]) {
			next++
		}
		if !numeric(text[end+1 : next]) {
			break
		}
		end = next
	}
	return start, end
}

// maxWord is the length of the longest word that a rule looks for, an IBAN's. A
// longer one is a digest, a key or padding, and costs no more than reading it.
const maxWord = 34

// stretch is how many letters and digits a text begins with.
func stretch(text string) int {
	n := 0
	for n < len(text) && letterOrDigit(text[n]) {
		n++
	}
	return n
}

// withLeader takes the word before in, if it is a month or a few capitals.
func withLeader(text string, start int) int {
	if start < 3 || text[start-1] != ' ' {
		return start
	}
	before := text[max(0, start-16) : start-1]
	word := before[strings.LastIndexAny(before, " \n\t,;\"")+1:]
	if isMonth(word) || len(word) > 0 && len(word) <= 4 && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		return start - 1 - len(word)
	}
	return start
}

func inWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(".-:/()+#_,", c) >= 0
}

// numeric says whether a word can go on with a number that began before.
func numeric(word string) bool {
	if word == "" {
		return false
	}
	capitals := len(word) <= 4
	for i := range len(word) {
		if word[i] >= '0' && word[i] <= '9' {
			return true
		}
		capitals = capitals && word[i] >= 'A' && word[i] <= 'Z'
	}
	return capitals || isMonth(word)
}

func isMonth(word string) bool {
	if len(word) < 3 {
		return false
	}
	word = strings.TrimRight(word, ".,")
	i := strings.Index("JanFebMarAprMayJunJulAugSepOctNovDec", word[:min(3, len(word))])
	return i >= 0 && i%3 == 0 && len(word) <= len("September")
}

// numbers applies the rules to a window of a text.
func (k *knowledge) numbers(hits []hit, field, text string, start, end int) []hit {
	part := text[start:end]
	digits, letters := count(part)
	hits = addresses(hits, text, start, end)
	if digits < 4 && letters < 6 {
		return hits
	}
	shaped := k.shapes.in(part)
	if shaped == 0 && digits < 7 {
		return hits
	}
	k.surroundings(field, text, start, end)
	spoken := k.words.in(k.near)
	for shaped &= k.alone | spoken; shaped != 0; shaped &= shaped - 1 {
		i := bits.TrailingZeros64(shaped)
		if r := k.rules[i]; digits >= r.digits && letters >= r.letters {
			hits = r.find(hits, text, start, end, spoken&(1<<i) != 0 && mentions(k.near, r.context))
		}
	}
	if digits >= 7 {
		hits = k.phones(hits, text, start, end, spoken&(1<<forPhones) != 0 && mentions(k.near, phoneWords), digits)
	}
	return hits
}

func count(s string) (digits, letters int) {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letters++
		}
	}
	return digits, letters
}

// find appends what a rule finds in a window, where a word that speaks for it is known near by or not.
func (r *rule) find(hits []hit, text string, start, end int, known bool) []hit {
	if r.needed && !known {
		return hits
	}
	for at := start; at < end; {
		m := r.shape.FindStringSubmatchIndex(text[at:end])
		if m == nil {
			return hits
		}
		first, last := at+m[2], at+m[3]
		at = last
		bare := compact(text[first:last])
		if r.check != nil && !r.check(bare) {
			continue
		}
		h := hit{start: first, end: last, kind: r.kind, confidence: r.alone, attribute: r.attribute}
		if known {
			h.confidence = r.near
		}
		if r.reserved != nil {
			h.synthetic = r.reserved(bare)
		}
		hits = append(hits, h)
	}
	return hits
}

// surroundings puts the field's name and the text around a window near, in small
// letters, each after a space.
func (k *knowledge) surroundings(field, text string, start, end int) {
	from, to := max(0, start-contextBefore), min(len(text), end+contextAfter)
	k.near = append(append(append(append(k.near[:0], ' '), field...), ' '), text[from:to]...)
	for i, c := range k.near {
		if c >= utf8.RuneSelf {
			k.near = bytes.ToLower(k.near)
			return
		}
		k.near[i] = small[c]
	}
}

// mentions says whether a word begins with one of the beginnings.
func mentions(near []byte, beginnings []string) bool {
	for _, b := range beginnings {
		for at := 0; ; {
			i := bytes.Index(near[at:], []byte(b))
			if i < 0 {
				break
			}
			i += at
			before, _ := utf8.DecodeLastRune(near[:i])
			if before < 'a' || before > 'z' && before < utf8.RuneSelf {
				// A short word must stand alone: "pan" is not in "panel".
				if len(b) > 4 || i+len(b) == len(near) || near[i+len(b)] < 'a' || near[i+len(b)] > 'z' {
					return true
				}
			}
			at = i + len(b)
		}
	}
	return false
}

// addresses appends the IP addresses in a window.
func addresses(hits []hit, text string, start, end int) []hit {
	part := text[start:end]
	if strings.Count(part, ".") < 3 && strings.Count(part, ":") < 2 {
		return hits
	}
	for at := 0; at < len(part); {
		n := 0
		for at+n < len(part) && (ishex(part[at+n]) || part[at+n] == '.' || part[at+n] == ':') {
			n++
		}
		word := strings.TrimRight(part[at:at+n], ".")
		touched := at > 0 && letter(part[at-1]) || at+n < len(part) && letter(part[at+n])
		if first, ok := address(word); ok && !touched {
			h := hit{start: start + at, end: start + at + len(first), kind: "ip", confidence: .95, synthetic: reservedAddress(first)}
			hits = append(hits, h)
		}
		at += n + 1
	}
	return hits
}

// address reads an IP address, which a port may follow.
func address(word string) (string, bool) {
	if strings.Count(word, ".") == 3 && strings.Count(word, ":") == 1 {
		word, _, _ = strings.Cut(word, ":")
	}
	word = strings.TrimSuffix(word, ":")
	if len(word) < 4 || strings.Count(word, ".") != 3 && strings.Count(word, ":") < 2 {
		return "", false
	}
	_, err := netip.ParseAddr(word)
	return word, err == nil
}

func ishex(c byte) bool  { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// mail appends the address around an @. Its name may have letters of any
// alphabet; its host has a dot and ends in letters.
func mail(hits []hit, text string, at int) []hit {
	start := at
	for start > 0 && at-start < 64 && (inName(text[start-1]) || text[start-1] >= utf8.RuneSelf) {
		start--
	}
	for start < at && !utf8.RuneStart(text[start]) {
		start++
	}
	end, dot := at+1, -1
	for end < len(text) && end-at < 254 && (inHost(text[end]) || text[end] >= utf8.RuneSelf) {
		if text[end] == '.' {
			dot = end
		}
		end++
	}
	for end > at && (text[end-1] == '.' || text[end-1] == '-') {
		end--
		dot = strings.LastIndexByte(text[at:end], '.') + at
	}
	if start == at || dot <= at+1 || end-dot < 3 || strings.ContainsAny(text[dot:end], "0123456789-") {
		return hits
	}
	return append(hits, hit{
		start: start, end: end, kind: "email", confidence: .98, synthetic: reservedMail(text[start:end]),
	})
}

func inHost(c byte) bool {
	return letter(c) && c != '_' || c >= '0' && c <= '9' || c == '.' || c == '-'
}
func inName(c byte) bool { return inHost(c) || strings.IndexByte("_%+!#$&'*/=?^`{|}~", c) >= 0 }

// settle sorts hits and keeps the best of those that overlap.
func settle(hits []hit) []hit {
	if len(hits) < 2 {
		return hits
	}
	slices.SortStableFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(b.confidence, a.confidence), cmp.Compare(b.end-b.start, a.end-a.start))
	})
	var kept []hit
	for _, h := range hits {
		if !slices.ContainsFunc(kept, func(k hit) bool { return h.start < k.end && k.start < h.end }) {
			kept = append(kept, h)
		}
	}
	slices.SortFunc(kept, func(a, b hit) int { return cmp.Compare(a.start, b.start) })
	return kept
}
