package scan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPrefilter: whatever rule something is a secret by, the lines that are passed on have it, as gitleaks itself
// says of the whole block.
func TestPrefilter(t *testing.T) {
	t.Parallel()
	s, err := newSecrets()
	if err != nil {
		t.Fatal(err)
	}
	if s.filter == nil {
		t.Fatal("a rule has no word that it needs")
	}
	filler := strings.Repeat("They said that nobody has the key. Ask again, says the editor; the api is square.\n", 30)
	found := 0
	for _, name := range slices.Sorted(maps.Keys(gitleaks().Config.Rules)) {
		rule := gitleaks().Config.Rules[name]
		if rule.Regex == nil {
			continue
		}
		examples := rapid.StringMatching(strings.ReplaceAll(rule.Regex.String(), `\z`, "$"))
		for i := range 4 {
			block := filler + examples.Example(i) + "\n" + filler[:rand.N(len(filler))]
			want, got := secretsIn(s, block, block), secretsIn(s, block, string(s.filter.lines([]byte(block), &matches{})))
			if !slices.Equal(want, got) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
			found += len(want)
		}
	}
	if found < 200 {
		t.Errorf("gitleaks finds only %d", found)
	}
	if lines := s.filter.lines([]byte(filler), &matches{}); len(lines) > 0 {
		t.Errorf("of what has no secret %d bytes are passed on", len(lines))
	}
}

// TestReach: how many lines a match goes on over, where a word of it is sure.
func TestReach(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`curl [a-z]+`: 0, `curl\s[a-z]`: 1, `curl\s{0,3}x`: 3, `curl\s{2,}x`: reachLines, `curl(?:[\r\n]{1,2}.*?){1,2}-H`: 4,
		`curl(?:.*?|(?:[\r\n]{1,2}.*?){1,5})-H`: reachLines, `curl(?s:.)x`: 1, `curl\n*x`: reachLines, `(?:curl|wget)\n?`: reachLines, `curl{0}`: reachLines,
	} {
		re, err := syntax.Parse(text, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if got := reach(re, []string{"curl"}); got != want {
			t.Errorf("%s goes on over %d lines, want %d", text, got, want)
		}
	}
}

func secretsIn(s *secrets, block, lines string) []string {
	var list []string
	for _, h := range s.search(block, lines) { // of two rules for the same, either may be first
		list = append(list, fmt.Sprintf("%d-%d", h.start, h.end))
	}
	return list
}

// TestKeyAcrossBlocks finds a private key as a whole, wherever the blocks end in which secrets are looked for.
func TestKeyAcrossBlocks(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN RSA PRIVATE KEY-----\n" + strings.Repeat("MIIEpAIBAAKCAQEA7bq3Zk5vWc9xQ1yT8mNfR2sLhJ0gDaXePoKiUuVwYzBtCnEr\n", 24) + "-----END RSA PRIVATE KEY-----\n"
	for before := secretBlock - len(key) - 200; before < secretBlock+200; before += 150 {
		text := strings.Repeat("nothing here\n", before/13) + key + strings.Repeat("nothing there\n", 200)
		r, err := Text("a.txt", text, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := int64(strings.Index(text, key))
		if len(r.Findings) != 1 || r.Findings[0].Offset != at {
			t.Errorf("%d bytes before it: %v, want one at %d", before, lines(r), at)
		}
	}
}

// TestLeakRules: what was read of gitleaks' rules is what gitleaks reads.
func TestLeakRules(t *testing.T) {
	t.Parallel()
	rules, err := leakRules()
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) != len(gitleaks().Config.Rules) {
		t.Errorf("%d rules, and gitleaks has %d", len(rules), len(gitleaks().Config.Rules))
	}
	for _, r := range rules {
		want, known := gitleaks().Config.Rules[r.ID]
		pattern := ""
		if want.Regex != nil {
			pattern = want.Regex.String()
		}
		if !known || r.Regex != pattern || !slices.EqualFunc(r.Keywords, want.Keywords, strings.EqualFold) {
			t.Errorf("%s: %+v, and gitleaks has %v with %q", r.ID, r, want.Regex, want.Keywords)
		}
	}
}
