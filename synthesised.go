package proofbox

// SynthRequest asks for a made-up data set.
type SynthRequest struct {
	// Plan is a file, or the name of a plan that is built in ("customers").
	Plan string `json:"plan"`
	// Out is where the set goes. There is nothing yet.
	Out string `json:"out"`
	// Rows is how many records the plan's first table has.
	Rows int64  `json:"rows"`
	Seed uint64 `json:"seed"`
	// Mess is how dirty it is; empty for what the plan says.
	Mess string `json:"mess,omitempty"`
}

// Synthesised says what was made.
type Synthesised struct {
	Path   string      `json:"path"`
	Plan   string      `json:"plan"`
	Seed   uint64      `json:"seed"`
	Maker  int         `json:"maker"` // its version: plan, seed and maker give the bytes
	Tables []MadeTable `json:"tables"`
	// Truth is the log of what was damaged, beside the set; empty where nothing
	// was. Defects counts it by kind.
	Truth   string         `json:"truth,omitempty"`
	Defects map[string]int `json:"defects,omitempty"`
}

// MadeTable is a table of a made-up set.
type MadeTable struct {
	Name string `json:"name"` // of its file, beneath the set; empty where the set is a file
	Rows int64  `json:"rows"`
}
