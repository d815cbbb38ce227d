package proofbox

import "strings"

// MaskPlan says what is replaced in a data set, beyond the identifiers and secrets
// that a scan finds.
type MaskPlan struct {
	Version int `json:"version"`
	// Context gives another mapping of the same values with the same key.
	Context string `json:"context,omitempty"`
	// Names asks for persons and postal addresses in text, which takes much longer.
	Names bool `json:"names,omitempty"`
	// Fields says what fields hold, whatever a scan would find there.
	Fields []MaskField `json:"fields"`
}

// MaskField says what the values of a field are.
type MaskField struct {
	// Field is a column, or a path in a document without the numbers of elements
	// ("customer.phones"); or its end, after a dot.
	Field string `json:"field"`
	// Kind is that of a finding, of [MaskKinds].
	Kind string `json:"kind"`
	// Reversible says that its numbers are encrypted, and can be got back by who has the key.
	Reversible bool `json:"reversible,omitempty"`
}

// Field is what a plan says of a field: the longest of its fields that is this one or its end. Numbers of
// elements do not count.
func (p MaskPlan) Field(name string) (MaskField, bool) {
	name = withoutElements(strings.ToLower(name))
	for {
		for i := len(p.Fields) - 1; i >= 0; i-- {
			if strings.EqualFold(p.Fields[i].Field, name) {
				return p.Fields[i], true
			}
		}
		_, rest, more := strings.Cut(name, ".")
		if !more {
			return MaskField{}, false
		}
		name = rest
	}
}

// withoutElements leaves the numbers of elements out of a field's path: [12].
func withoutElements(path string) string {
	for from := 0; ; {
		open := strings.IndexByte(path[from:], '[')
		if open < 0 {
			return path
		}
		open += from
		n := strings.IndexByte(path[open:], ']')
		if n < 2 || strings.Trim(path[open+1:open+n], "0123456789") != "" {
			from = open + 1
			continue
		}
		path = path[:open] + path[open+n+1:]
		from = open
	}
}

// MaskKinds are the kinds that a plan may give a field: "keep" and "text" leave it as it is,
// and to the scan.
var MaskKinds = []string{
	"account-number", "address", "card", "date", "driver-licence", "email", "iban", "ip", "keep", "mac", "number", "organisation",
	"passport", "person", "phone", "place", "record-number", "text", "uk-nhs", "us-ssn",
}

// MaskRequest asks to mask a data set.
type MaskRequest struct {
	In   string   `json:"in"`
	Out  string   `json:"out"` // must not be there
	Plan MaskPlan `json:"plan"`
	// Awake is that of the seal.
	Awake *Awake `json:"awake,omitempty"`
}

// UnmaskRequest asks for the numbers of a masked set's reversible fields.
type UnmaskRequest struct {
	In  string `json:"in"`
	Out string `json:"out"` // must not be there
}

// Unmasked is what came of it.
type Unmasked struct {
	Root string `json:"root"` // of the masked set
	Out  string `json:"out"`
	// Restored counts the numbers that are as they were.
	Restored int64 `json:"restored"`
}

// Masking is what a masker did.
type Masking struct {
	Source string `json:"source"` // the last name of the set that was masked
	// Root is that of the source's files as they were read.
	Root string   `json:"root"`
	Plan MaskPlan `json:"plan"`
	// TagKey names the key that replacements carry the tag of, see
	// docs/formats/tag.md.
	TagKey string `json:"tag_key"`
	// Replaced counts what was replaced, by kind.
	Replaced []KindCount `json:"replaced"`
	// Values counts the different real values, and Short those of them that are too short to be
	// looked for in other places than where they were found.
	Values int64 `json:"values"`
	Short  int64 `json:"short"`
	// Repaired counts the places where no scan and no plan had found a real value and the
	// list did.
	Repaired int64 `json:"repaired"`
	// Tweak is which mapping of reversible numbers was taken: the first one whose values are nobody's.
	Tweak int `json:"tweak,omitempty"`
	// List is the SHA-256 of the list of the real values' fingerprints.
	List string `json:"list"`
}
