package proofbox

// Health is the answer to `proofbox doctor`: what works on this host, found by
// doing it.
type Health struct {
	Version string       `json:"version"`
	Home    string       `json:"home"` // the state folder
	User    string       `json:"user"` // whom boxes run as, in words
	Walls   []WallHealth `json:"walls"`
	Checks  []Check      `json:"checks"`
}

// WallHealth says whether a real box has run behind a wall.
type WallHealth struct {
	Wall  Wall `json:"wall"`
	Works bool `json:"works"`
	// Found says what was seen, or what went wrong.
	Found string `json:"found"`
	// Next is what to do about it; empty where nothing is to be done.
	Next string `json:"next,omitempty"`
	// Limits says how each limit would be enforced.
	Limits map[string]Enforcement `json:"limits,omitempty"`
	// Controls are those that were read back on the trial box.
	Controls []Control `json:"controls,omitempty"`
}

// Check is one fact about the host.
type Check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
	Next  string `json:"next,omitempty"`
}

// Setup is the answer to `proofbox setup`.
type Setup struct {
	// Missing lists packages that the host lacks, with what each is for.
	Missing []Package `json:"missing"`
	// Installed lists those that were installed by this call.
	Installed []Package `json:"installed"`
	// Base is what microVMs are made from, and what the image base is.
	Base Base `json:"base"`
}

// Base is the kernel and the Debian root that `proofbox setup` makes.
type Base struct {
	Dir string `json:"dir"`
	// Ready says that it is whole, and of this version's recipe.
	Ready bool `json:"ready"`
	// Made says that this call has made it.
	Made bool `json:"made,omitempty"`
	// Found says what is there, or what is wrong.
	Found string `json:"found"`
}

// Package is a package of the host's distribution.
type Package struct {
	Name string `json:"name"`
	For  string `json:"for"`
}

// LogEntry is one event of the audit log.
type LogEntry struct {
	Index  int64  `json:"index"`
	Time   string `json:"time"` // RFC 3339, UTC
	Kind   string `json:"kind"`
	Run    string `json:"run,omitempty"`
	Detail any    `json:"detail,omitempty"`
}

// LogReport is the answer to `proofbox log verify`.
type LogReport struct {
	OK      bool   `json:"ok"`
	Entries int64  `json:"entries"`
	Root    string `json:"root"` // the signed root of the log's tree
	// Problem says what was found where OK is false.
	Problem string `json:"problem,omitempty"`
}
