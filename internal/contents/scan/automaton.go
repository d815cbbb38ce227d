package scan

import (
	"encoding/binary"
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// automaton says which of some patterns are in a text, by reading it once: what it has learned of a state and a
// letter it does not work out again. It decides nothing that the patterns do not: where one is in a text, its
// regular expression says.
//
// It is not for several goroutines at once.
type automaton struct {
	insts  []syntax.Inst // of all patterns, one behind the other
	begin  []uint32      // where a text begins
	within []uint32      // where a match may begin in a text, too; none where all of it has to match

	classes [symbols]uint8 // letters that no pattern tells apart
	sample  []rune         // one of each class; of the last, none: the end of the text
	ids     map[string]int32
	sets    [][]uint32 // the instructions that each state is at
	accepts []uint64   // the patterns that have matched there
	next    []int32    // by state and class; unknown where it was not worked out yet
	seen    []bool     // scratch space
}

// Symbols are ASCII's characters, one for all others, and the end of the text.
const (
	otherRune = 128
	endOfText = 129
	symbols   = 130
)

const (
	unknown   = -1
	maxStates = 4096 // of more, all are forgotten and worked out again
)

// search makes an automaton that finds patterns anywhere in a text; at most 64. Nil where one of them asks for more
// than an automaton of this kind knows.
func search(patterns ...*regexp.Regexp) *automaton {
	a := &automaton{}
	for _, p := range patterns {
		if !a.add(p.String()) {
			return nil
		}
	}
	return a.made(true)
}

// match makes one that says whether a text as a whole matches a pattern.
func match(pattern string) *automaton {
	a := &automaton{}
	if !a.add("^(?:" + pattern + ")$") {
		return nil
	}
	return a.made(false)
}

// add takes a pattern in. The instruction of its match says which it is.
func (a *automaton) add(pattern string) bool {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return false
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(a.begin) == 64 {
		return false
	}
	offset, number := uint32(len(a.insts)), uint32(len(a.begin))
	a.begin = append(a.begin, offset+uint32(prog.Start))
	for _, in := range prog.Inst {
		in.Out += offset
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			in.Arg += offset
		case syntax.InstMatch:
			in.Arg = number
		case syntax.InstEmptyWidth:
			if op := syntax.EmptyOp(in.Arg); op != syntax.EmptyBeginText && op != syntax.EmptyEndText {
				return false
			}
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if !coarse(&in) {
				return false
			}
		}
		a.insts = append(a.insts, in)
	}
	return true
}

// coarse says whether an instruction takes all characters beyond ASCII for one.
func coarse(in *syntax.Inst) bool {
	if len(in.Rune) == 1 {
		return in.Rune[0] < utf8.RuneSelf && syntax.Flags(in.Arg)&syntax.FoldCase == 0
	}
	for i, r := range in.Rune {
		if r >= utf8.RuneSelf && r != unicode.MaxRune && (i%2 == 1 || r != utf8.RuneSelf) {
			return false
		}
	}
	return true
}

func (a *automaton) made(anywhere bool) *automaton {
	a.seen = make([]bool, len(a.insts))
	if anywhere {
		a.within = a.closure(nil, a.begin, 0)
	}
	var bounds [symbols]bool
	split := func(first, last rune) {
		bounds[min(first, otherRune)], bounds[min(last+1, otherRune)] = true, true
	}
	for i := range a.insts {
		switch in := &a.insts[i]; {
		case in.Op == syntax.InstRuneAnyNotNL:
			split('\n', '\n')
		case in.Op >= syntax.InstRune && len(in.Rune) == 1:
			split(in.Rune[0], in.Rune[0])
		case in.Op >= syntax.InstRune:
			for r := 0; r+1 < len(in.Rune); r += 2 {
				split(in.Rune[r], in.Rune[r+1])
			}
		}
	}
	bounds[endOfText] = true
	for s := range symbols {
		if s == 0 || bounds[s] {
			a.sample = append(a.sample, rune(s))
		}
		a.classes[s] = uint8(len(a.sample) - 1)
	}
	a.forget()
	return a
}

// forget begins anew, with the state at the beginning of a text.
func (a *automaton) forget() {
	a.ids, a.sets, a.accepts, a.next = map[string]int32{}, nil, nil, nil
	a.state(a.closure(nil, a.begin, syntax.EmptyBeginText))
}

// closure adds to a set what instructions lead to without a letter.
func (a *automaton) closure(set, from []uint32, at syntax.EmptyOp) []uint32 {
	clear(a.seen)
	for _, pc := range set {
		a.seen[pc] = true
	}
	stack := slices.Clone(from)
	for len(stack) > 0 {
		pc := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if a.seen[pc] {
			continue
		}
		a.seen[pc] = true
		switch in := &a.insts[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			stack = append(stack, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			stack = append(stack, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^at == 0 {
				stack = append(stack, in.Out)
			} else if syntax.EmptyOp(in.Arg) == syntax.EmptyEndText {
				set = append(set, pc)
			}
		case syntax.InstFail:
		default:
			set = append(set, pc)
		}
	}
	return set
}

// state is the number of a set of instructions.
func (a *automaton) state(set []uint32) int32 {
	slices.Sort(set)
	key := make([]byte, 0, 4*len(set))
	for _, pc := range set {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if id, ok := a.ids[string(key)]; ok {
		return id
	}
	id, accepts := int32(len(a.sets)), uint64(0)
	for _, pc := range set {
		if a.insts[pc].Op == syntax.InstMatch {
			accepts |= 1 << a.insts[pc].Arg
		}
	}
	a.ids[string(key)] = id
	a.sets, a.accepts = append(a.sets, set), append(a.accepts, accepts)
	for range a.sample {
		a.next = append(a.next, unknown)
	}
	return id
}

// step works out where a class of letters leads.
func (a *automaton) step(from int32, class uint8) int32 {
	if len(a.sets) >= maxStates {
		set := a.sets[from]
		a.forget()
		from = a.state(set)
	}
	end := a.sample[class] == endOfText
	var out []uint32
	for _, pc := range a.sets[from] {
		in := &a.insts[pc]
		if end && in.Op == syntax.InstEmptyWidth || !end && in.Op >= syntax.InstRune && in.MatchRune(a.sample[class]) {
			out = append(out, in.Out)
		}
	}
	var set []uint32
	if end {
		set = a.closure(nil, out, syntax.EmptyEndText)
	} else {
		set = a.closure(slices.Clone(a.within), out, 0)
	}
	to := a.state(set)
	a.next[int(from)*len(a.sample)+int(class)] = to
	return to
}

// in gives a bit for each pattern that is in a text.
func (a *automaton) in(text string) uint64 {
	state, found := int32(0), a.accepts[0]
	for i := 0; i <= len(text); i++ {
		symbol := byte(endOfText)
		if i < len(text) {
			if symbol = text[i]; symbol >= utf8.RuneSelf {
				symbol = otherRune
				_, n := utf8.DecodeRuneInString(text[i:])
				i += n - 1
			}
		}
		class := a.classes[symbol]
		to := a.next[int(state)*len(a.sample)+int(class)]
		if to == unknown {
			to = a.step(state, class)
		}
		state = to
		found |= a.accepts[state]
	}
	return found
}
