package synth

import (
	"embed"
	"fmt"
	"strings"
	"sync"
)

// The grammars, one for each language: "@rule", then its alternatives, a line
// each. In a line, [a|b] is one of several, {x} is what the caller says x is, or
// one of the rule x, and \n a new line.
//
//go:embed text
var grammarFiles embed.FS

var grammars = sync.OnceValue(func() map[string]map[string][]string {
	all := map[string]map[string][]string{}
	for _, language := range []string{"en", "de", "fr", "es"} {
		data, err := grammarFiles.ReadFile("text/" + language + ".txt")
		if err != nil {
			panic(fmt.Sprintf("synth: %v", err)) // it is a part of the program
		}
		rules, rule := map[string][]string{}, ""
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			if name, ok := strings.CutPrefix(line, "@"); ok {
				rule = name
			} else if line != "" {
				rules[rule] = append(rules[rule], strings.ReplaceAll(line, `\n`, "\n"))
			}
		}
		all[language] = rules
	}
	return all
})

// write makes a text by a rule. A rule that is not there is an error in the
// grammar, and panics.
func write(d *draw, language, rule string, slots map[string]string) string {
	lines := grammars()[language][rule]
	if lines == nil {
		panic(fmt.Sprintf("synth: no rule %q in %s", rule, language))
	}
	return expand(d, language, pick(d, lines), slots)
}

// expand fills a line from left to right.
func expand(d *draw, language, line string, slots map[string]string) string {
	var out strings.Builder
	for {
		i := strings.IndexAny(line, "[{")
		if i < 0 {
			return out.String() + line
		}
		out.WriteString(line[:i])
		end := i + closing(line[i:])
		inner := line[i+1 : end]
		switch value, ok := slots[inner]; {
		case line[i] == '[':
			out.WriteString(expand(d, language, pick(d, alternatives(inner)), slots))
		case ok:
			out.WriteString(value)
		default:
			out.WriteString(write(d, language, inner, slots))
		}
		line = line[end+1:]
	}
}

// closing finds the bracket that closes the first one.
func closing(s string) int {
	depth := 0
	for i, c := range s {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	panic(fmt.Sprintf("synth: nothing closes %q", s))
}

// alternatives splits at the bars that are in no brackets of their own.
func alternatives(s string) []string {
	var list []string
	depth, from := 0, 0
	for i, c := range s {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '|':
			if depth == 0 {
				list, from = append(list, s[from:i]), i+1
			}
		}
	}
	return append(list, s[from:])
}
