package proofbox

import "time"

// Seen is one sealed data set that was readable in the box, as it was verified
// while the copy was made that the box got.
type Seen struct {
	Path  string `json:"path"`
	At    string `json:"at"`
	Class Class  `json:"class"`
	// Root names the bytes of all files, and Seal the seal that says so: its
	// SHA-256. The run's folder has a copy of the seal, with the digest of each
	// file.
	Root    string      `json:"root"`
	Seal    string      `json:"seal"`
	KeyID   string      `json:"key_id"`
	Files   int         `json:"files"`
	Bytes   int64       `json:"bytes"`
	Records int64       `json:"records"`
	Kinds   []KindCount `json:"kinds"`
	Time    time.Time   `json:"time"`
	// Opened are the files that were opened while the box ran, by name, the
	// first [MaxFindings] of them. Who opened them is not known: nobody but
	// proofbox's user has a way to them but the box.
	Opened []Opened `json:"opened"`
	// Unwatched says why there may be more; empty where there are none.
	Unwatched string `json:"unwatched,omitempty"`
	// After is "unchanged" where every byte was still as it was sealed when the
	// box had ended, else "changed"; empty before that, and where proofbox was
	// killed.
	After string `json:"after,omitempty"`
}

// Opened is a file of a box's data that was opened.
type Opened struct {
	Name  Raw       `json:"name"` // empty where the data set is a file
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Read says that bytes were asked for. Where it is not set, the file may
	// still have been mapped into memory.
	Read bool `json:"read"`
}

// Later is what was looked at of the records that reached a box after it had
// started, beside its verified data.
type Later struct {
	Class Class `json:"class"`
	// Roads are by name, and Untagged counts the records in which something may
	// be somebody's and was not in one before.
	Roads    []Road `json:"roads"`
	Records  int64  `json:"records"`
	Untagged int64  `json:"untagged"`
	// Findings are the first of them.
	Findings []Finding `json:"findings"`
	// Stopped says that the sequential test took the data for real.
	Stopped bool `json:"stopped"`
	// Unwatched are roads that were not looked at, or not to their end.
	Unwatched []string `json:"unwatched"`
}

// Road is a way into a running box.
type Road struct {
	Name     string `json:"name"`
	Records  int64  `json:"records"`
	Untagged int64  `json:"untagged"`
}

// Sight is what a run's box could see of data.
type Sight struct {
	Run      string `json:"run"`
	State    State  `json:"state"`
	Ended    string `json:"ended,omitempty"`
	Contents []Seen `json:"contents"`
	Later    *Later `json:"later,omitempty"`
}
