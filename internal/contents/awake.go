package contents

import (
	"time"

	"proofbox"
)

// What is asked of the test with planted values, see [proofbox.Planted].
const (
	maxMiss   = .01                 // the most that may be missed, by the bound
	maxAge    = 90 * 24 * time.Hour // how long a test counts
	minPlants = 1000                // of which a share of [maxMiss] can be told
)

// awake holds a test with planted values, made at a time, against what is asked of
// one. Nil means that the scan can be relied on.
func awake(p *proofbox.Planted, made, now time.Time) *proofbox.Refusal {
	const again = "seal the set anew; if that does not help, look at what the scan misses"
	switch {
	case p == nil || p.Values < minPlants:
		return refuse("scan-is-awake", again, "the seal does not say how many planted values the scan misses, or of fewer than %d", minPlants)
	case !(p.Bound <= maxMiss): // nor NaN
		return refuse("scan-is-awake", again, "the scan missed %d of %d planted values, so it may miss %.2f %% of real ones, and %.2f %% is the most", p.Missed, p.Values, p.Bound*100, maxMiss*100)
	case now.Sub(made) > maxAge:
		return refuse("scan-is-awake", again, "the test with planted values is of %s, and counts for %d days", made.Format(time.DateOnly), int(maxAge.Hours()/24))
	}
	return nil
}
