package contents

import (
	"math"
	"testing"
)

// afterRecords is the exact probability of an alarm within n records of which a
// share has an untagged identifier, each by itself: the test is a Markov chain
// of its score.
func afterRecords(share float64, n int) float64 {
	var at [alarmAt]float64
	at[0] = 1
	alarmed := 0.0
	for range n {
		var next [alarmAt]float64
		for score, p := range at {
			if up := score + untaggedWeight; up < alarmAt {
				next[up] += p * share
			} else {
				alarmed += p * share
			}
			next[max(0, score-1)] += p * (1 - share)
		}
		at = next
	}
	return alarmed
}

// TestErrorRates: the rates that docs/contents.md states are those of the test.
func TestErrorRates(t *testing.T) {
	t.Parallel()
	// From some hundred records on, each one adds the same probability.
	const settled = 2000
	rate := afterRecords(honestShare, settled+1) - afterRecords(honestShare, settled)
	if rate <= 0 || rate*1e6 > 1e-6 {
		t.Errorf("a million honest records raise a false alarm with probability %g, want below one in a million", rate*1e6)
	}
	t.Logf("false alarm: %.2g per record, %.2g per million", rate, rate*1e6)
	for _, c := range []struct {
		share   float64
		records int
		least   float64
	}{{1, 5, 1}, {.9, 7, .97}, {.5, 30, .999}, {.2, 200, .999}} {
		if p := afterRecords(c.share, c.records); p < c.least {
			t.Errorf("data with a share of %g is noticed within %d records with probability %.5f only", c.share, c.records, p)
		} else {
			t.Logf("share %g: within %d records with probability %.6f", c.share, c.records, p)
		}
	}
	unit := math.Log((1 - honestShare) / (1 - realShare))
	if w := math.Log(realShare/honestShare) / unit; math.Abs(w-untaggedWeight) > .5 {
		t.Errorf("the weight of an untagged identifier is %.2f units, not %d", w, untaggedWeight)
	}
}

// TestSequential: five records in a row are enough, four are not, and good
// records before do not delay it.
func TestSequential(t *testing.T) {
	t.Parallel()
	var s sequential
	if s.add(1_000_000, false) {
		t.Error("good records raise an alarm")
	}
	for i := 1; i <= 5; i++ {
		if got := s.add(0, true); got != (i == 5) {
			t.Errorf("after %d untagged records: alarm %v", i, got)
		}
	}
	var thin sequential
	for range 1000 {
		if thin.add(999, true) {
			t.Fatal("one record in a thousand raises an alarm")
		}
	}
}
