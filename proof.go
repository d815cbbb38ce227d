package proofbox

// ProofRequest asks to run a command on the original with what a keep would
// write, in a fresh box of the run's terms, and to write nothing.
type ProofRequest struct {
	Keep    KeepRequest `json:"keep"`
	Command []string    `json:"command"`
}

// Proof is how that went.
type Proof struct {
	Run     string   `json:"run"`
	Command []string `json:"command"`
	// Passed says that the command exited with 0 on everything that would be kept.
	Passed bool `json:"passed"`
	// Shown is the digest of what the keep would write into the original as it
	// was then. A keep can be bound to it, see [KeepRequest.Proven].
	Shown string `json:"shown"`
	// Tries are the boxes, in the order in which they ran: first one with
	// everything, and where that failed one with nothing, and then as many as the
	// search for the first set that fails takes.
	Tries []ProofTry `json:"tries"`
	// First is the first set that fails, counted in the order of the paths; nil
	// where the proof passed, or where the command fails without any change too.
	First *FailingSet `json:"first,omitempty"`
}

// ProofTry is one box of a proof.
type ProofTry struct {
	// Kept is how many units of the keep were in it: a path with all that goes
	// with it. Hunks is how many hunks of the next one were.
	Kept     int    `json:"kept"`
	Hunks    int    `json:"hunks,omitempty"`
	Passed   bool   `json:"passed"`
	Ended    string `json:"ended"` // in words
	ExitCode int    `json:"exit_code"`
}

// FailingSet is the first set of what would be kept with which a command fails.
// Without its last part the command passes.
type FailingSet struct {
	Paths []Raw `json:"paths"` // all in the set, sorted
	// Last are the paths of the last part: one, unless they only make sense
	// together, as a renamed file's two.
	Last []Raw `json:"last"`
	// Hunk is the head of the last hunk in the set, where it has not all of the
	// last path's ("@@ -3,7 +3,8 @@", or the old and new mode).
	Hunk Raw `json:"hunk,omitempty"`
}
