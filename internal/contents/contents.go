// Package contents says what a data set is, and holds it to that: a seal is a
// signed statement of its class and of every file in it, and what a class
// claims can be shown to be false.
//
//	none       nothing in it identifies anybody or opens anything
//	synthetic  every identifier and secret in it is provably nobody's
//	masked     no real value of its source survives; only a masker can say so
//	real       a person consents to its use, for a reason, until a day
//
// Claims are about what a [Scanner] looks for. What that does not look for is
// named in every seal.
package contents

import (
	"fmt"
	"time"

	"proofbox"
	"proofbox/internal/audit"
)

// Keeper seals data sets and holds them to their seals.
type Keeper struct {
	Key     *audit.Key
	Scanner Scanner
	// Memory is a folder of what was verified before; empty where nothing is remembered.
	Memory string
	// Drafts is a folder with the journal of what is being made.
	Drafts string

	settled time.Duration // of a test; else [settled]
}

// refuse says that a data set is not what it is meant to be.
func refuse(rule, repair, reason string, args ...any) *proofbox.Refusal {
	return &proofbox.Refusal{Rule: rule, Reason: fmt.Sprintf(reason, args...), Repair: repair}
}

// claim holds a scan against a class. Nil means that nothing speaks against it.
func claim(class proofbox.Class, grant *proofbox.Grant, found *Scanned, now time.Time) error {
	if refusal := granted(class, grant, now); refusal != nil {
		return refusal
	}
	if class == proofbox.Real {
		return nil
	}
	if len(found.Problems) > 0 {
		p := found.Problems[0]
		return refuse("contents-readable", "repair it or take it out of the set; only real data may hold what cannot be looked at",
			"%s: %s", where(found.Path, p.Place), p.Reason)
	}
	for _, f := range found.Findings {
		switch {
		case class == proofbox.None && f.Identifier:
			return refuse("none-holds-no-identifiers", "take it out, or seal the set as what it is",
				"%s: it looks like %s (%s)", where(found.Path, f.Place), f.Kind, f.Shape)
		case class == proofbox.Masked && f.Identifier && f.Synthetic == "":
			return refuse("masked-is-tagged", "give its field a kind in the plan, and mask the source again",
				"%s: it looks like %s (%s), and was not made here", where(found.Path, f.Place), f.Kind, f.Shape)
		case class == proofbox.Synthetic && f.Identifier && f.Synthetic == "":
			return refuse("synthetic-is-nobodys", "replace it by a reserved value, or seal the set as what it is",
				"%s: it looks like %s (%s), and nothing shows that it is nobody's", where(found.Path, f.Place), f.Kind, f.Shape)
		}
	}
	return nil
}

// granted checks what a class needs beside the data.
func granted(class proofbox.Class, grant *proofbox.Grant, now time.Time) *proofbox.Refusal {
	switch {
	case class != proofbox.Real && grant != nil:
		return refuse("grant-is-for-real-data", "leave the grant out", "%s data needs no grant", class)
	case class != proofbox.Real:
		return nil
	case grant == nil || grant.Person == "" || grant.Reason == "" || grant.Until.IsZero():
		return refuse("real-data-needs-grant", "say who consents, why, and until when: --person, --because, --until",
			"real data needs a grant with a person, a reason and an end date")
	case !now.Before(grant.Until):
		return refuse("real-data-needs-grant", "seal it anew with a later end, if the person consents",
			"the grant of %s ended on %s", grant.Person, grant.Until.Format(time.DateOnly))
	}
	return nil
}

// unmasked refuses to take for masked what no masker has written.
func unmasked(class proofbox.Class, by *proofbox.Masking) *proofbox.Refusal {
	if class != proofbox.Masked || by != nil {
		return nil
	}
	return refuse("masked-by-a-masker", "mask it with proofbox contents mask, which seals what it writes",
		"only what has masked data knows that no real value is left in it")
}

// where names a place for people.
func where(path string, p proofbox.Place) string {
	name := path
	if p.File != "" {
		name += "/" + string(p.File)
	}
	text := fmt.Sprintf("%q", name)
	if p.Record > 0 {
		text += fmt.Sprintf(", record %d", p.Record)
	}
	if p.Field != "" {
		text += fmt.Sprintf(", field %q", p.Field)
	}
	return text + fmt.Sprintf(", byte %d", p.Offset)
}
