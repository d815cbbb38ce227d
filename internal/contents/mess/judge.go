package mess

import (
	"fmt"
	"math"
	"slices"

	"proofbox"
)

// levels are what sets that are made at a level of mess have, in plain defects a record (TestLevels).
var levels = []struct {
	name    string
	defects float64
}{{"none", .002}, {"light", .027}, {"usual", .13}, {"heavy", .48}}

// natural are kinds that clean data has, too: an order that was not delivered yet, two names that are alike, a town
// with an odd name, somebody who has moved. They say something beside another set alone; all others are plain defects.
var natural = []string{"missing", "layout", "misspelt", "conflict", "stale"}

// Judge says what follows from a measurement, beside one of a set that it should be like.
func Judge(m proofbox.Mess, like *proofbox.Mess) (proofbox.MessJudged, error) {
	j := proofbox.MessJudged{Mess: m, TooClean: []string{}}
	if m.Records == 0 {
		return j, fmt.Errorf("there is no record in it")
	}
	all := int64(0)
	for _, d := range m.Defects {
		if !slices.Contains(natural, d.Kind) {
			all += d.Found
		}
	}
	best := math.Inf(1)
	for _, l := range levels {
		if off := math.Abs(math.Log((float64(all)/float64(m.Records) + 1e-4) / l.defects)); off < best {
			best, j.Level = off, l.name
		}
	}
	if like == nil {
		return j, nil
	}
	if like.Version != proofbox.MessVersion || like.Records <= 0 || len(like.Defects) != len(m.Defects) {
		return j, fmt.Errorf("what it should be like is no profile of version %d, with records: measure it with proofbox contents mess --profile", proofbox.MessVersion)
	}
	for i, d := range m.Defects {
		want := like.Defects[i]
		if want.Kind != d.Kind || want.Found < 0 {
			return j, fmt.Errorf("what it should be like counts %q where %q belongs", want.Kind, d.Kind)
		}
		if upper(d.Found)/float64(m.Records) < lower(want.Found)/float64(like.Records)/2 {
			j.TooClean = append(j.TooClean, d.Kind)
		}
	}
	return j, nil
}

// sure is how many standard deviations a count may be off: 99.9 % of all are not.
const sure = 3.1

// upper and lower bound what a count that came about by chance stands for.
func upper(n int64) float64 { return math.Pow(math.Sqrt(float64(n)+1)+sure/2, 2) }
func lower(n int64) float64 { return math.Pow(max(0, math.Sqrt(float64(n))-sure/2), 2) }
