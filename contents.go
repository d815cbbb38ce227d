package proofbox

import "time"

// Scan is what was found in a data set: what looks like an identifier of a
// person or like a secret.
type Scan struct {
	Path    string `json:"path"`
	Files   int64  `json:"files"`
	Bytes   int64  `json:"bytes"`   // as they are stored
	Records int64  `json:"records"` // lines of text, rows, elements, values
	Values  int64  `json:"values"`  // fields of all records
	// Rules is the SHA-256 of everything that decides what is found.
	Rules string `json:"rules"`
	// NamesBy is the digest of the program that found names, where PROOFBOX_NAMES has
	// named one; empty where proofbox has looked for them itself, or not at all.
	NamesBy string `json:"names_by,omitempty"`
	// Kinds counts the findings.
	Kinds []KindCount `json:"kinds"`
	// Fields counts all findings by the field that they are in, without the numbers of elements
	// ("customer.phones[]"); of the first [MaxFields] fields that had one. Elsewhere counts those in others.
	Fields    []FieldCount `json:"fields"`
	Elsewhere int64        `json:"elsewhere"`
	// Unproven counts the identifiers and secrets that are not provably
	// synthetic.
	Unproven int64 `json:"unproven"`
	// Findings are the first [MaxFindings] findings, those that are not
	// provably synthetic first.
	Findings []Finding `json:"findings"`
	// Problems are what could not be read; what it holds is unknown.
	Problems []DataProblem `json:"problems"`
	// Blind names what this version does not look for.
	Blind []string `json:"blind"`
}

// MaxFindings bounds the findings and the problems that a [Scan] lists. It
// counts all of them.
const MaxFindings = 1000

// MaxFields bounds the fields of which a [Scan] counts the findings.
const MaxFields = 10_000

// FieldCount counts the findings of a kind in a field.
type FieldCount struct {
	Field string `json:"field"`
	Kind  string `json:"kind"`
	Found int64  `json:"found"`
}

// KindCount counts the findings of a kind.
type KindCount struct {
	Kind      string `json:"kind"`
	Found     int64  `json:"found"`
	Synthetic int64  `json:"synthetic"` // of those, provably synthetic
}

// Place is where in a data set something is.
type Place struct {
	// File is the path below the data set; a member of an archive stands after
	// "!". It is empty where the data set is a file.
	File Raw `json:"file"`
	// Record counts lines, rows, elements or values from 1.
	Record int64 `json:"record,omitempty"`
	// Field is the column, or the path in a document ("customer.phones[0]");
	// empty in plain text.
	Field string `json:"field,omitempty"`
	// Offset is in bytes, from the beginning of the file once it is unpacked
	// and decoded as UTF-8; of the field's value where the file is a database, Parquet,
	// an Office file or PDF.
	Offset int64 `json:"offset"`
}

// Finding is one value that looks like an identifier or a secret.
type Finding struct {
	Place
	Kind string `json:"kind"`
	// Identifier says that the value points at one person or account, or opens
	// something; the claims of classes are about those.
	Identifier bool `json:"identifier"`
	// Confidence is between 0 and 1. It orders findings; it is no probability.
	Confidence float64 `json:"confidence"`
	// Synthetic is why nobody can have this value, by the name of what reserves
	// it ("RFC 2606"), or "tag" where it was made here; empty where somebody may.
	Synthetic string `json:"synthetic,omitempty"`
	// Shape is the value with its digits as 9 and its letters as a: enough to
	// recognise it, and not the value.
	Shape string `json:"shape"`
}

// DataProblem is something that could not be read.
type DataProblem struct {
	Place
	Reason string `json:"reason"`
}

// Seal is what is signed about a data set.
type Seal struct {
	Class Class `json:"class"`
	// Root is the root of the Merkle tree (RFC 6962) over the lines of Files.
	Root    string       `json:"root"`
	Files   []SealedFile `json:"files"`
	Bytes   int64        `json:"bytes"`
	Records int64        `json:"records"`
	Values  int64        `json:"values"`
	Rules   string       `json:"rules"`
	Kinds   []KindCount  `json:"kinds"`
	Blind   []string     `json:"blind"`
	Grant   *Grant       `json:"grant,omitempty"`
	// Masking is what the masker says of masked data.
	Masking *Masking `json:"masking,omitempty"`
	// Planted is how awake the scan was when this was sealed.
	Planted *Planted `json:"planted,omitempty"`
	// Awake is what whoever sealed it asks of that.
	Awake   *Awake    `json:"awake,omitempty"`
	Creator string    `json:"creator"` // the version of proofbox
	Time    time.Time `json:"time"`
}

// Planted says how many values that look real, planted in a shadow of a set, the
// scan of that set misses.
type Planted struct {
	Values int `json:"values"`
	Missed int `json:"missed"`
	// Bound is the upper end, by Clopper and Pearson, of the one-sided 95 % interval
	// for the share that is missed.
	Bound float64 `json:"bound"`
	// Recipes is the version of what makes such values.
	Recipes int `json:"recipes"`
	// Kinds counts those that were missed by kind.
	Kinds map[string]int `json:"kinds,omitempty"`
}

// Awake is what is asked of a test with planted values. It can be more than what always is, and not less.
type Awake struct {
	Miss float64 `json:"miss"` // the largest share that may be missed, by the bound; 0 for [MaxMiss]
	Days int     `json:"days"` // how long a test counts; 0 for [MaxTestDays]
}

// What is always asked of a test with planted values.
const (
	MaxMiss     = .01
	MaxTestDays = 90
)

// SealedFile is one file of a sealed data set.
type SealedFile struct {
	Name   Raw    `json:"name"` // empty where the data set is a file
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Grant is a person's recorded consent to the use of real data.
type Grant struct {
	Person string    `json:"person"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

// SealRequest asks for a seal.
type SealRequest struct {
	Path  string `json:"path"`
	Class Class  `json:"class"`
	Grant *Grant `json:"grant,omitempty"`
	// Awake is what is asked of the test with planted values beyond what always is; nil for nothing.
	Awake *Awake `json:"awake,omitempty"`
}

// Verified says what a verification of a seal found.
type Verified struct {
	Path string `json:"path"`
	// File is where the seal is, KeyID the key that signed it.
	File  string `json:"file"`
	KeyID string `json:"key_id"`
	// Digest is the SHA-256 of the seal's bytes.
	Digest string `json:"digest"`
	// Seal has no files where those were not read again.
	Seal Seal `json:"seal"`
	// Files counts them, and How says what was done to verify them; empty for a new seal.
	Files int    `json:"files,omitempty"`
	How   string `json:"how,omitempty"`
	// Envelope is the seal's bytes; it is no part of the document.
	Envelope []byte `json:"-"`
}
