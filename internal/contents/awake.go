package contents

import (
	"fmt"
	"time"

	"proofbox"
)

// minPlants is how many values a test plants at least: of so many, a share of [proofbox.MaxMiss] can be told.
const minPlants = 1000

// strict is what is asked of a test: what somebody asks, or what always is.
func strict(asked *proofbox.Awake) proofbox.Awake {
	s := proofbox.Awake{Miss: proofbox.MaxMiss, Days: proofbox.MaxTestDays}
	if asked != nil && asked.Miss > 0 {
		s.Miss = min(s.Miss, asked.Miss)
	}
	if asked != nil && asked.Days > 0 {
		s.Days = min(s.Days, asked.Days)
	}
	return s
}

// stricter refuses to ask for less than what always is.
func stricter(asked *proofbox.Awake) error {
	switch {
	case asked == nil:
		return nil
	case !(asked.Miss >= 0 && asked.Miss <= proofbox.MaxMiss):
		return fmt.Errorf("a share of %g %% is not between 0 and the %g %% that may be missed at most", asked.Miss*100, proofbox.MaxMiss*100)
	case asked.Days < 0 || asked.Days > proofbox.MaxTestDays:
		return fmt.Errorf("%d days is not between 0 and the %d that a test counts for at most", asked.Days, proofbox.MaxTestDays)
	}
	return nil
}

// awake holds a test with planted values, made at a time, against what is asked of
// one. Nil means that the scan can be relied on.
func awake(p *proofbox.Planted, asked *proofbox.Awake, made, now time.Time) *proofbox.Refusal {
	const again = "seal the set anew; if that does not help, look at what the scan misses"
	want := strict(asked)
	switch {
	case p == nil || p.Values < minPlants:
		return refuse("scan-is-awake", again, "the seal does not say how many planted values the scan misses, or of fewer than %d", minPlants)
	case !(p.Bound <= want.Miss): // nor NaN
		return refuse("scan-is-awake", again, "the scan missed %d of %d planted values, so it may miss %.2f %% of real ones, and %g %% is the most", p.Missed, p.Values, p.Bound*100, want.Miss*100)
	case now.Sub(made) > time.Duration(want.Days)*24*time.Hour:
		return refuse("scan-is-awake", again, "the test with planted values is of %s, and counts for %d days", made.Format(time.DateOnly), want.Days)
	}
	return nil
}
