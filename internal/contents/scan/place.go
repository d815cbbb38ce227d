package scan

import (
	"proofbox"
	"proofbox/internal/contents/tree"
)

// sought is a byte of a file, of which the place is looked for.
type sought struct {
	offset int64
	before proofbox.Place // of the last value that begins before it
	found  *proofbox.Place
}

// Locate says in which record and field a byte of a file is; without a field where it is in none, as the name of one is.
func Locate(e tree.Entry, offset int64) proofbox.Place {
	s := &sought{offset: offset}
	c := &collector{secrets: &secrets{}, kinds: map[string]*proofbox.KindCount{}, each: s.see}
	place := proofbox.Place{File: proofbox.Raw(e.Name), Offset: offset}
	if err := c.file(e); err != nil {
		return place // which is still where it is
	}
	if s.found != nil {
		place.Record, place.Field = s.found.Record, s.found.Field
	} else {
		place.Record = s.before.Record
	}
	return place
}

// see holds a value against what is sought.
func (s *sought) see(v *value) {
	at := proofbox.Place{Record: v.record, Field: v.field}
	switch start := v.place.of(0); {
	case start > s.offset || s.found != nil:
	case s.offset < v.place.of(len(v.text)):
		s.found = &at
	default:
		s.before = at
	}
}
