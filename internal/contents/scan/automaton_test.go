package scan

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// TestAutomaton: an automaton and the regular expressions agree about every text.
func TestAutomaton(t *testing.T) {
	t.Parallel()
	var patterns []*regexp.Regexp
	for _, r := range append(append([]rule{}, general...), national...) {
		patterns = append(patterns, r.shape)
	}
	patterns = append(patterns, phoneLayout, notPhones)
	a := search(patterns...)
	if a == nil {
		t.Fatal("there is no automaton for the rules")
	}
	letters := rapid.SampledFrom([]rune("0123456789012345678901234567890123456789ABCDEFGHXYZabcfMayJune.-:/()+#_,   \té€Kſ\xff\x00"))
	whole := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "shaped") {
			return rapid.StringMatching(rapid.SampledFrom(patterns).Draw(t, "pattern").String()).Draw(t, "text")
		}
		return rapid.StringOfN(letters, 0, 60, -1).Draw(t, "text")
	})
	rapid.Check(t, func(t *rapid.T) {
		text := whole.Draw(t, "first") + rapid.SampledFrom([]string{"", " ", "x", "\xff"}).Draw(t, "between") + whole.Draw(t, "second")
		found := a.in(text)
		for i, p := range patterns {
			if got, want := found&(1<<i) != 0, p.MatchString(text); got != want {
				t.Fatalf("%s in %q: %v, want %v", p, text, got, want)
			}
		}
	})
	if len(a.sets) > maxStates {
		t.Errorf("%d states are remembered", len(a.sets))
	}
}

// TestAutomatonKnowsItsLimits: a pattern that an automaton would get wrong has none.
func TestAutomatonKnowsItsLimits(t *testing.T) {
	t.Parallel()
	for _, p := range []string{`\bfoo`, `(?m)^foo`, `(?i)k`, `[à-ü]`, `é`} {
		if search(regexp.MustCompile(p)) != nil {
			t.Errorf("%s has an automaton", p)
		}
	}
	for _, p := range []string{`foo`, `[^x]`, `.`, `^foo$`, `[\x{80}-\x{10ffff}]`} {
		if search(regexp.MustCompile(p)) == nil {
			t.Errorf("%s has none", p)
		}
	}
	if a := match(`\d{3}|\d{5}`); a.in("123") == 0 || a.in("12345") == 0 || a.in("1234") != 0 || a.in("12345\n") != 0 {
		t.Error("a whole text is not matched as a whole")
	}
}
