package spend_test

import (
	"math/big"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/spend"
)

// errand is a call that a test makes: from one moment to another, for a charge
// that is the least that it could cost.
type errand struct {
	from, to     time.Duration
	charge, more proofbox.Money
}

// drawErrands draws calls that overlap, no two of whose moments are the same.
func drawErrands(t *rapid.T) []errand {
	n := rapid.IntRange(1, 12).Draw(t, "calls")
	moments := rapid.Permutation(slices.Collect(func(yield func(time.Duration) bool) {
		for i := range 2 * n {
			if !yield(time.Duration(i+1) * time.Second) {
				return
			}
		}
	})).Draw(t, "moments")
	list := make([]errand, n)
	for i := range list {
		a, b := moments[2*i], moments[2*i+1]
		list[i] = errand{
			from: min(a, b), to: max(a, b), charge: proofbox.Money(rapid.Int64Range(1, 30).Draw(t, "charge")),
			more: proofbox.Money(rapid.Int64Range(0, 60).Draw(t, "more")),
		}
	}
	slices.SortFunc(list, func(a, b errand) int { return int(a.from - b.from) })
	return list
}

// make makes the calls under a cap, and says how many were refused and what was
// charged.
func (l made) make(list []errand) (refused int, charged proofbox.Money) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	open := map[int]int64{}
	for now := time.Second; now <= time.Duration(2*len(list))*time.Second; now += time.Second {
		spend.SetClock(l.Ledger, func() time.Time { return start.Add(now) })
		for i, e := range list {
			switch id, ok := open[i]; {
			case e.from == now:
				h, err := l.Reserve(l.t.Context(), spend.Claim{Account: "a", Owner: "a", Fixed: e.charge - 1, Each: 1, Units: 1 + int64(e.more), Least: 1})
				if err != nil {
					refused++
					continue
				}
				open[i] = h.ID
			case e.to == now && ok:
				charged += e.charge
				if err := l.Settle(l.t.Context(), id, e.charge); err != nil {
					l.t.Fatal(err)
				}
			}
		}
	}
	return refused, charged
}

type made struct {
	*spend.Ledger
	t *testing.T
}

func newLedger(t *testing.T, dir, name string, limit proofbox.Money) made {
	l, err := spend.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetCap(t.Context(), "a", proofbox.Total, limit); err != nil {
		t.Fatal(err)
	}
	return made{l, t}
}

// TestWhatIfIsWhatWouldHaveBeen: a ledger with the other cap refuses as many calls
// as the replay says that it would have.
func TestWhatIfIsWhatWouldHaveBeen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir := t.TempDir()
		list := drawErrands(r)
		limit := proofbox.Money(rapid.Int64Range(1, 200).Draw(r, "cap"))
		free, capped := newLedger(t, dir, "free", proofbox.Dollar), newLedger(t, dir, "capped", limit)
		free.make(list)
		refused, charged := capped.make(list)
		calls, err := free.All(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		stops, spenders := spend.WhatIf(calls, spend.Scope{Period: proofbox.Total}, limit)
		var said proofbox.Stop
		if len(stops) > 0 {
			said = stops[0]
		}
		if spenders != 1 || said.Refused != refused || len(stops) > 0 && said.Spent-said.Spared != charged {
			r.Fatalf("%+v, and it was %d refused and %s charged", stops, refused, charged)
		}
		for _, l := range []made{free, capped} {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestWhatIfByDay: a cap for each day of an account counts what is below it.
func TestWhatIfByDay(t *testing.T) {
	t.Parallel()
	at := func(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }
	call := func(account string, from time.Time, charge proofbox.Money) spend.Call {
		return spend.Call{Account: account, Owner: account, At: from, Begin: from.Unix(), End: from.Unix() + 1, Held: charge, Charged: charge}
	}
	calls := []spend.Call{
		call("runs/a", at(1, 1), 6), call("runs/b", at(1, 2), 6), call("other", at(1, 3), 100), call("runs2", at(1, 4), 100), call("runs/a", at(2, 1), 6),
	}
	stops, spenders := spend.WhatIf(calls, spend.Scope{Account: "runs", Period: proofbox.Day}, 10)
	if spenders != 2 || len(stops) != 1 || stops[0].Period != "day 2026-03-01" || !stops[0].Time.Equal(at(1, 2)) || stops[0].Spared != 6 || stops[0].Calls != 2 {
		t.Errorf("%d spenders, %+v", spenders, stops)
	}
	if stops, spenders := spend.WhatIf(calls, spend.Scope{Period: proofbox.Total}, 10); spenders != 4 || len(stops) != 3 || stops[2].Account != "runs/a" {
		t.Errorf("by account: %d spenders, %+v", spenders, stops)
	}
}

// TestProposals: a proposal is that of order statistics, and there is none where
// there are too few runs to know.
func TestProposals(t *testing.T) {
	t.Parallel()
	costs := func(n int) (list []proofbox.Money) {
		for i := range n {
			list = append(list, proofbox.Money(n-i)) // 1 … n
		}
		return list
	}
	if p := spend.Propose("k", costs(71)); p.Cap != nil || p.Missing != 1 || p.P95 != 68 || p.Median != 36 || p.Max != 71 {
		t.Errorf("of 71: %+v", p)
	}
	if p := spend.Propose("k", costs(1)); p.Cap != nil || p.Low != nil || p.Missing != 71 || p.P95 != 1 {
		t.Errorf("of 1: %+v", p)
	}
	for _, n := range []int{72, 100, 1000} {
		p := spend.Propose("k", costs(n))
		if p.Cap == nil || *p.Cap != *p.High {
			t.Fatalf("of %d: %+v", n, p)
		}
		// The chance that the interval misses on a side is at most 1 in 40, and
		// would be more with the next rank.
		high, low := int(*p.High), int(*p.Low)
		if atMost(n, high-1) < 0.975 || atMost(n, high-2) >= 0.975 || atMost(n, low-1) > 0.025 || atMost(n, low) <= 0.025 {
			t.Errorf("of %d: %d to %d", n, low, high)
		}
	}
}

// atMost is the chance that at most k of n are below the 19th of 20 parts, worked
// out with whole numbers.
func atMost(n, k int) float64 {
	sum := new(big.Int)
	for i := 0; i <= k; i++ {
		term := new(big.Int).Binomial(int64(n), int64(i))
		sum.Add(sum, term.Mul(term, new(big.Int).Exp(big.NewInt(19), big.NewInt(int64(i)), nil)))
	}
	f, _ := new(big.Rat).SetFrac(sum, new(big.Int).Exp(big.NewInt(20), big.NewInt(int64(n)), nil)).Float64()
	return f
}
