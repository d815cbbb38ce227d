package scan

import (
	"bytes"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// prefilter finds the lines of a block in which a rule of gitleaks may find something: those around a word
// that the rule needs, where a run of bytes without a space is near that is as long as the rule's longest.
// Most text has none, and is passed over some fifty times as fast as the rules look at it.
type prefilter struct {
	index   [1 << 16]uint8 // of the words that begin with two bytes; 0 for none
	words   [][]need
	begins  trigrams // what they begin with
	longest int      // of the runs that are needed, the shortest
}

// need is a word, and the run that the least demanding of its rules needs. Where it is assigned, that is the value
// of something with the word in its name, as in key = "…".
type need struct {
	word     string // in small letters
	run      int
	lines    int // before and behind it, to all that is matched
	assigned bool
	beside   []string // what is near, too, in small letters
}

// assignment is how gitleaks' rules begin that look for a name and its value.
const assignment = `(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)`

// valueBytes is how long the value of an assignment is at least.
const valueBytes = 10

// Reach of a rule around its word.
const (
	reachBytes = 256 // to the run that it needs
	reachLines = 6   // to all that it matches, at most, and where the word need not be in that
)

// newPrefilter reads what rules need out of them. A rule that needs nothing cannot be filtered for, which is
// why it gives nil then.
func newPrefilter(rules []leakRule) *prefilter {
	type kind struct {
		word     string
		assigned bool
	}
	needs := map[kind]need{}
	for _, r := range rules {
		if r.Regex == "" {
			continue // it is about names of files
		}
		if len(r.Keywords) == 0 {
			return nil
		}
		parsed, err := syntax.Parse(r.Regex, syntax.Perl)
		if err != nil {
			return nil
		}
		parsed = parsed.Simplify()
		n := need{run: longestRun(parsed), beside: mandatory(parsed)}
		lines := reach(parsed, r.Keywords)
		for _, k := range r.Keywords {
			if len(k) < 2 {
				return nil
			}
			n.word = strings.ToLower(k)
			if n.assigned, n.lines = assigning(r.Regex, n.word), lines; n.assigned {
				n.lines = 1 // what ends a value may end its line
			}
			needs[kind{n.word, n.assigned}] = least(needs[kind{n.word, n.assigned}], n)
		}
	}
	p := &prefilter{words: make([][]need, 1), longest: math.MaxInt}
	for _, n := range needs {
		if !p.add(n) {
			return nil
		}
	}
	return p
}

// assigning says whether a rule looks for a value that is assigned to a name with a word in it, of which the rule has no
// more than the word.
func assigning(rule, word string) bool {
	name, value, ok := strings.Cut(strings.ToLower(rule), assignment)
	parts := strings.Split(name, word)
	more := func(rest string) bool { return !strings.HasPrefix(rest, "|") && !strings.HasPrefix(rest, ")") }
	return ok && !strings.Contains(value, word) && !slices.ContainsFunc(parts[1:], more)
}

// least is what two rules both need.
func least(a, b need) need {
	if a.word == "" {
		return b
	}
	b.run, b.lines = min(a.run, b.run), max(a.lines, b.lines)
	b.beside = slices.DeleteFunc(slices.Clone(b.beside), func(s string) bool { return !slices.Contains(a.beside, s) })
	return b
}

func (p *prefilter) add(n need) bool {
	i := &p.index[uint16(n.word[0])<<8|uint16(n.word[1])]
	if *i == 0 {
		if len(p.words) == math.MaxUint8 {
			return false
		}
		*i, p.words = uint8(len(p.words)), append(p.words, nil)
	}
	p.words[*i] = append(p.words[*i], n)
	p.longest = min(p.longest, n.run)
	beginnings(n.word, p.begins.set)
	return true
}

// small are bytes with capitals as small letters.
var small = func() (table [256]byte) {
	for i := range table {
		table[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			table[i] += 'a' - 'A'
		}
	}
	return table
}()

// lines gives the lines of a block that are worth looking at, put together; nothing where there is none. The matches
// are space for it, which may be used again.
func (p *prefilter) lines(block []byte, m *matches) []byte {
	if bytes.Contains(block, []byte("\u212a")) {
		return block // a letter that is a small k to who ignores capitals
	}
	m.block, m.parts, m.measured = block, m.parts[:0], false
	v := uint32(0)
	for i, c := range block {
		v = v<<8 | uint32(small[c])
		if p.begins.has(trigram(v)) && i > 1 {
			p.at(m, i-2)
		}
	}
	if len(block) > 1 && p.begins.has(trigram(v<<8)) {
		p.at(m, len(block)-2)
	}
	return pick(block, m.parts)
}

// matches are the parts of a block that are worth looking at.
type matches struct {
	block       []byte
	parts, runs [][2]int
	measured    bool // the runs are those of the block
	longest     int  // of the runs
}

// measure finds the runs of the block.
func (m *matches) measure(p *prefilter) {
	m.runs, m.measured, m.longest = p.runs(m.runs[:0], m.block), true, 0
	for _, r := range m.runs {
		m.longest = max(m.longest, r[1])
	}
}

// at notes what is around a place where a word may begin.
func (p *prefilter) at(m *matches, at int) {
	list := p.words[p.index[uint16(small[m.block[at]])<<8|uint16(small[m.block[at+1]])]]
	for i := range list {
		n := &list[i]
		if !n.at(m.block, at) {
			continue
		}
		value := at
		if n.assigned {
			if value = assigned(m.block, at+len(n.word)); value < 0 {
				continue
			}
		}
		if !m.measured {
			m.measure(p)
		}
		if n.run <= m.longest && near(m.runs, at, n.run) && n.company(m.block, at) {
			m.parts = join(m.parts, n.around(m.block, at, value))
		}
	}
}

// pick puts parts of a block together.
func pick(block []byte, parts [][2]int) []byte {
	if len(parts) == 1 && parts[0] == [2]int{0, len(block)} {
		return block
	}
	var picked []byte
	for _, part := range parts {
		picked = append(append(picked, block[part[0]:part[1]]...), '\n')
	}
	return picked
}

// at says whether the word is at a place.
func (n *need) at(block []byte, at int) bool {
	if len(block)-at < len(n.word) {
		return false
	}
	for i := range len(n.word) {
		if small[block[at+i]] != n.word[i] {
			return false
		}
	}
	return true
}

// Bytes between a name, what assigns, and a value.
const (
	nameRest   = 24
	assignRest = 10
)

// assigned says where the value is that follows a name that has come to a place, as far as an assignment allows; -1 for
// none.
func assigned(block []byte, at int) int {
	for n := 0; n < nameRest && at < len(block) && (inLabel(block[at]) || spaced(block[at])); n++ {
		at++
	}
	if at == len(block) || strings.IndexByte("=>:|?,", block[at]) < 0 {
		return -1
	}
	for n := 0; n < assignRest && at < len(block) && (strings.IndexByte("=>:|?,", block[at]) >= 0 || spaced(block[at])); n++ {
		at++
	}
	start := at
	for at < len(block) && at-start < valueBytes && !spaced(block[at]) {
		at++
	}
	if at-start < valueBytes {
		return -1
	}
	return start
}

// inLabel says whether a byte can be in the name of a value, where letters that are none of ASCII's may be.
func inLabel(c byte) bool { return letterOrDigit(c) || c >= utf8.RuneSelf || c == '.' || c == '-' }

// spaced says whether a byte is a space or a quote.
func spaced(c byte) bool { return c <= ' ' || c == '\'' || c == '"' || c == '`' }

// company says whether what a word needs beside it is in reach.
func (n *need) company(block []byte, at int) bool {
	if n.run >= telling || len(n.beside) == 0 {
		return true
	}
	near := strings.ToLower(string(block[max(0, at-2*reachBytes):min(len(block), at+2*reachBytes)]))
	return !slices.ContainsFunc(n.beside, func(s string) bool { return !strings.Contains(near, s) })
}

// telling is the length of a run that few texts have.
const telling = 16

// keyBegin begins a private key.
const keyBegin = "-----begin"

// runs appends the runs of bytes without a space that are long enough for some rule: where they begin, and their
// lengths. Where a run has to be as long as that, most bytes need not be looked at.
func (p *prefilter) runs(list [][2]int, block []byte) [][2]int {
	for start := 0; start+p.longest <= len(block); {
		end := start + p.longest
		space := end - 1
		for space >= start && block[space] > ' ' {
			space--
		}
		if space >= start {
			start = space + 1
			continue
		}
		for end < len(block) && block[end] > ' ' {
			end++
		}
		list = append(list, [2]int{start, end - start})
		start = end + 1
	}
	return list
}

// near says whether a run of a length is in reach of a place.
func near(runs [][2]int, at, length int) bool {
	i, _ := slices.BinarySearchFunc(runs, at-reachBytes, func(r [2]int, from int) int { return r[0] + r[1] - from })
	for ; i < len(runs) && runs[i][0] <= at+reachBytes; i++ {
		if runs[i][1] >= length {
			return true
		}
	}
	return false
}

// around is what a rule may match around a word and, where one is assigned, its value: some lines before and behind. A
// private key goes on for longer.
func (n *need) around(block []byte, at, value int) [2]int {
	start, end := at, value
	for range n.lines + 1 {
		start = max(0, bytes.LastIndexByte(block[:start], '\n'))
	}
	if start > 0 {
		start++
	}
	if n.word == keyBegin {
		return [2]int{start, len(block)}
	}
	for range n.lines + 1 {
		n := bytes.IndexByte(block[end:], '\n')
		if n < 0 {
			return [2]int{start, len(block)}
		}
		end += n + 1
	}
	return [2]int{start, end}
}

// join adds a part to those before it, of which the last may reach into it.
func join(parts [][2]int, next [2]int) [][2]int {
	if last := len(parts) - 1; last >= 0 && next[0] <= parts[last][1] {
		parts[last][1] = max(parts[last][1], next[1])
		return parts
	}
	return append(parts, next)
}

// longestRun is how long a run of bytes without a space a match has at least.
func longestRun(re *syntax.Regexp) int {
	best, _, _, _ := runsIn(re)
	return best
}

// runsIn measures the runs of a match: the longest, those that it begins and ends with, and whether it is one
// run as a whole.
func runsIn(re *syntax.Regexp) (best, before, after int, whole bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if strings.ContainsFunc(string(re.Rune), unicode.IsSpace) {
			return 0, 0, 0, false
		}
		return len(re.Rune), len(re.Rune), len(re.Rune), true
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i] <= ' ' {
				return 0, 0, 0, false
			}
		}
		return 1, 1, 1, true
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return 0, 0, 0, true
	case syntax.OpCapture:
		return runsIn(re.Sub[0])
	case syntax.OpPlus:
		return runsIn(re.Sub[0])
	case syntax.OpStar, syntax.OpQuest:
		_, _, _, whole = runsIn(re.Sub[0])
		return 0, 0, 0, whole
	case syntax.OpConcat:
		return concatenated(re.Sub)
	case syntax.OpAlternate:
		best, before, after, whole = runsIn(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			b, f, a, w := runsIn(sub)
			best, before, after, whole = min(best, b), min(before, f), min(after, a), whole && w
		}
		return best, before, after, whole
	}
	return 0, 0, 0, false
}

func concatenated(subs []*syntax.Regexp) (best, before, after int, whole bool) {
	whole = true
	for _, sub := range subs {
		b, f, a, w := runsIn(sub)
		if whole {
			before += f
		}
		best = max(best, b, after+f)
		if w {
			after += f
		} else {
			after = a
		}
		whole = whole && w
	}
	return max(best, before), before, after, whole
}

// mandatory are texts that every match has, in small letters.
func mandatory(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}
	case syntax.OpCapture, syntax.OpPlus:
		return mandatory(re.Sub[0])
	case syntax.OpConcat:
		var list []string
		for _, sub := range re.Sub {
			list = append(list, mandatory(sub)...)
		}
		return list
	case syntax.OpAlternate:
		list := mandatory(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			other := mandatory(sub)
			list = slices.DeleteFunc(list, func(s string) bool { return !slices.Contains(other, s) })
		}
		return list
	}
	return nil
}

// reach is over how many lines a match goes on that one of the words is in. Where a match need not have any of them it
// is [reachLines], and more is not reckoned with.
func reach(re *syntax.Regexp, words []string) int {
	small := make([]string, len(words))
	for i, w := range words {
		small[i] = strings.ToLower(w)
	}
	if !certain(re, small) {
		return reachLines
	}
	return breaks(re)
}

// certain says whether one of the words, in small letters, is in every match, as far as a few literal texts say so.
func certain(re *syntax.Regexp, words []string) bool {
	has := func(text string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	switch re.Op {
	case syntax.OpCapture, syntax.OpPlus:
		return certain(re.Sub[0], words)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !certain(sub, words) })
	case syntax.OpConcat:
		together := []string{""}
		for _, sub := range re.Sub {
			if together = joined(together, texts(sub)); together == nil {
				together = []string{""}
			}
			if certain(sub, words) || !slices.ContainsFunc(together, func(text string) bool { return !has(text) }) {
				return true
			}
		}
		return false
	}
	all := texts(re)
	return all != nil && !slices.ContainsFunc(all, func(text string) bool { return !has(text) })
}

// Bounds of the texts that are looked at of those that a part of a rule can be: how many, and how many letters one place
// may have until it counts as a place with any.
const (
	maxTexts   = 16
	maxLetters = 2
)

// anyLetter stands in a text for a letter that may be several.
const anyLetter = "\x00"

// texts are all that a part of a rule can be, in small letters; nil for too many.
func texts(re *syntax.Regexp) (all []string) {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []string{""}
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if all = append(all, strings.ToLower(string(r))); len(all) > maxLetters {
					return []string{anyLetter}
				}
			}
		}
	case syntax.OpCapture:
		return texts(re.Sub[0])
	case syntax.OpConcat:
		all = []string{""}
		for _, sub := range re.Sub {
			if all = joined(all, texts(sub)); all == nil {
				return nil
			}
		}
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			some := texts(sub)
			if all = append(all, some...); some == nil || len(all) > maxTexts {
				return nil
			}
		}
	}
	return all
}

// joined are all texts that begin with one of a list and go on with one of another; nil for too many.
func joined(first, then []string) []string {
	if len(first)*len(then) > maxTexts {
		return nil
	}
	var all []string
	for _, a := range first {
		for _, b := range then {
			all = append(all, a+b)
		}
	}
	return all
}

// breaks is how many ends of lines a match has at most, up to [reachLines].
func breaks(re *syntax.Regexp) (n int) {
	switch re.Op {
	case syntax.OpLiteral:
		n = strings.Count(string(re.Rune), "\n")
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i] <= '\n' && '\n' <= re.Rune[i+1] {
				n = 1
			}
		}
	case syntax.OpAnyChar:
		n = 1
	case syntax.OpCapture, syntax.OpQuest:
		n = breaks(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		n = breaks(re.Sub[0]) * reachLines
	case syntax.OpRepeat:
		n = breaks(re.Sub[0]) * reachLines
		if re.Max >= 0 {
			n = min(n, breaks(re.Sub[0])*re.Max)
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			n += breaks(sub)
		}
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			n = max(n, breaks(sub))
		}
	}
	return min(n, reachLines)
}
