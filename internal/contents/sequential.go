package contents

// What the sequential test assumes of records, and what it answers with. Its
// error rates are computed from these by TestErrorRates, and in
// docs/contents.md.
const (
	// honestShare is the largest share of records of synthetic or masked data in
	// which something is taken for somebody's identifier and is not.
	honestShare = 1.0 / 1000
	// realShare is the share of records that has one in data that is real.
	realShare = 1.0 / 5

	// The likelihood ratio of a record, in units of ln((1-honestShare) /
	// (1-realShare)): one that has such an identifier speaks for real data by
	// untaggedWeight, any other one speaks against it by 1.
	untaggedWeight = 24 // ln(realShare/honestShare) = 23.9 units
	alarmAt        = 115
)

// sequential tells real data from synthetic while its records come in: it is
// Wald's probability ratio test, begun anew whenever it has decided for
// synthetic data, which is Page's cumulative sum. A swap is noticed as quickly
// after a million good records as after none.
type sequential struct {
	score int64
}

// add takes a number of records without an untagged identifier, and then one
// with it where untagged is set. It says whether the data counts as real.
func (s *sequential) add(clean int64, untagged bool) bool {
	s.score = max(0, s.score-clean)
	if untagged {
		s.score += untaggedWeight
	}
	return s.score >= alarmAt
}
