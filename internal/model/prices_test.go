package model

import (
	"testing"

	"pgregory.net/rapid"

	"proofbox"
)

// anyRates are rates of which those for output are above 0.
func anyRates(t *rapid.T, name string) proofbox.Rates {
	money := func(rate string, least int64) proofbox.Money {
		return proofbox.Money(rapid.Int64Range(least, int64(1000*proofbox.Dollar)).Draw(t, name+rate))
	}
	return proofbox.Rates{
		Input: money("input", 1), Output: money("output", 1), CacheRead: money("read", 0),
		CacheWrite: money("write", 0), CacheWrite1h: money("hour", 0),
	}
}

// TestHoldsAreUpperBounds: whatever a provider reports of a call that is within
// what it can use, it costs no more than what is held for it.
func TestHoldsAreUpperBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Prices{Rates: anyRates(t, "")}
		if rapid.Bool().Draw(t, "long") {
			p.Above = &proofbox.LongRates{Tokens: rapid.IntRange(0, 1_000_000).Draw(t, "above"), Rates: anyRates(t, "long ")}
		}
		input := rapid.Int64Range(0, 2_000_000).Draw(t, "input bound")
		limit := rapid.Int64Range(1, 100_000).Draw(t, "output bound")
		left := input
		some := func(name string) int64 {
			n := rapid.Int64Range(0, left).Draw(t, name)
			left -= n
			return n
		}
		u := Usage{CacheRead: some("read"), CacheWrite: some("write"), CacheWrite1h: some("hour"), Input: some("input")}
		u.Output = rapid.Int64Range(0, limit).Draw(t, "output")
		in, out := p.worst(input)
		if held, cost := tokensAt(input, in)+each(out)*proofbox.Money(limit), p.cost(u); cost > held {
			t.Fatalf("%+v costs %s, and %s is held", u, cost, held)
		}
	})
}

// TestTableOfPrices: each row is a price that can be.
func TestTableOfPrices(t *testing.T) {
	t.Parallel()
	table := readTable()
	if len(table.Prices) < 50 || len(table.Sources) != 2 || table.Date == "" {
		t.Fatalf("the table has %d prices from %q of %q", len(table.Prices), table.Sources, table.Date)
	}
	for name, p := range table.Prices {
		if p.Input <= 0 || p.Output < 0 || p.CacheRead > p.Input || p.CacheWrite > 0 && p.CacheWrite < p.Input || p.CacheWrite1h > 0 && p.CacheWrite1h < p.CacheWrite {
			t.Errorf("%s costs %+v", name, p)
		}
		if a := p.Above; a != nil && (a.Tokens < 100_000 || a.Input < p.Input || a.Output < p.Output) {
			t.Errorf("%s costs %+v above %d", name, a.Rates, a.Tokens)
		}
	}
}

// TestListed: names as providers have them, with a date and without.
func TestListed(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]string{
		"openai/gpt-5": "1.25", "openai/gpt-5-2025-08-07": "1.25", "openai/gpt-4o-2024-05-13": "5", "anthropic/claude-sonnet-4-5": "3",
		"anthropic/claude-sonnet-4-5-20250929": "3", "anthropic/claude-opus-4-5-20251101": "5",
		"openai/gpt-5-": "", "openai/claude-opus-4-5": "", "openai/gpt": "", "openai/": "", "anthropic/claude-opus-4-5-2025": "",
	} {
		provider, model := name[:len("openai")], name[min(len(name), len("openai/")):]
		if name[0] == 'a' {
			provider, model = "anthropic", name[len("anthropic/"):]
		}
		p, ok := Listed(provider, model)
		if ok != (input != "") || ok && (p.Input.String() != input || p.Source == "") {
			t.Errorf("%s: %+v, %v", name, p, ok)
		}
	}
	long, _ := Listed("anthropic", "claude-sonnet-4-5")
	p := Prices(long)
	if short, long := p.cost(Usage{Input: 200_000}), p.cost(Usage{Input: 150_000, CacheRead: 50_001}); short != 600_000_000 || long != 900_000_000+30_000_600 {
		t.Errorf("200,000 tokens cost %s and one more costs %s", short, long)
	}
	if hour, minutes := p.cost(Usage{CacheWrite1h: 1000}), p.cost(Usage{CacheWrite: 1000}); hour != 6_000_000 || minutes != 3_750_000 {
		t.Errorf("an hour costs %s and minutes cost %s", hour, minutes)
	}
}
