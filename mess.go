package proofbox

// MessVersion changes whenever the same set is measured differently.
const MessVersion = 2

// MessKinds are the defects that can be seen in a set without knowing what it should be.
var MessKinds = []string{"missing", "placeholder", "space", "layout", "encoding", "misspelt", "duplicate", "conflict", "stale"}

// Mess says how dirty a data set is. It has counts alone, so what is measured of real data can be kept beside made-up
// data and be compared with that.
type Mess struct {
	Version int         `json:"version"` // [MessVersion]
	Records int64       `json:"records"`
	Values  int64       `json:"values"`
	Defects []MessCount `json:"defects"` // of each of [MessKinds]
}

// MessCount counts defects of a kind.
type MessCount struct {
	Kind  string `json:"kind"`
	Found int64  `json:"found"`
}

// MessRequest asks how dirty a data set is.
type MessRequest struct {
	Path string `json:"path"`
	// Like is what was measured of a set that it should be as dirty as; nil for none.
	Like *Mess `json:"like,omitempty"`
}

// MessJudged says how dirty a set is, and what follows.
type MessJudged struct {
	Mess
	// Level is the level of `synth --mess` that a set with so many defects is nearest to.
	Level string `json:"level"`
	// TooClean are the kinds of which the set has clearly less than half of what Like has; empty where there is no Like.
	TooClean []string `json:"too_clean"`
}
