package proofbox

// RunRequest asks for a run.
type RunRequest struct {
	Spec    Spec     `json:"spec"`
	Command []string `json:"command"`
	// TTY gives the command a terminal of this size, and Term its type.
	TTY  *TerminalSize `json:"tty,omitempty"`
	Term string        `json:"term,omitempty"`
	// Stdin says that the caller has something for the command to read.
	Stdin bool `json:"stdin,omitempty"`
	// Certify tries the wall first, where the code demands a certificate and the
	// wall has none that counts.
	Certify bool `json:"certify,omitempty"`
	// Detach leaves the run to a supervisor of its own and answers as soon as
	// the command runs.
	Detach bool `json:"detach,omitempty"`
}

// ExecRequest asks for a further command in a running box.
type ExecRequest struct {
	Command []string          `json:"command"`
	Env     map[string]string `json:"env,omitempty"`
	TTY     *TerminalSize     `json:"tty,omitempty"`
	Term    string            `json:"term,omitempty"`
	Stdin   bool              `json:"stdin,omitempty"`
}

// ExecResult is how such a command ended.
type ExecResult struct {
	ExitCode int    `json:"exit_code"`
	Ended    string `json:"ended"` // in words
}

// TerminalSize is the size of a terminal in characters.
type TerminalSize struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// DiffRequest asks for a run's changes.
type DiffRequest struct {
	// Paths limits the answer to these paths and what is below them; empty
	// means all.
	Paths []Raw `json:"paths,omitempty"`
	// Stat leaves out the text.
	Stat bool `json:"stat,omitempty"`
	// Binary has the bytes of what is no text in [Diff.Patch] too.
	Binary bool `json:"binary,omitempty"`
}

// KeepRequest asks to apply changes of a run to its original.
type KeepRequest struct {
	// One of All, Decided, Patch, or Paths and Hunks says what to keep: every
	// change that a bulk keep covers and that was not decided to be discarded;
	// what was decided to be kept; what a patch has left of the changes; or what
	// is named.
	All     bool      `json:"all,omitempty"`
	Decided bool      `json:"decided,omitempty"`
	Patch   Raw       `json:"patch,omitempty"`
	Paths   []Raw     `json:"paths,omitempty"`
	Hunks   []HunkRef `json:"hunks,omitempty"`
	// NotFrom leaves out what one of these commands has written, or one that it has
	// started; and what may be written by one, unless Unknown is set. See
	// [Writers.Names].
	NotFrom []string `json:"not_from,omitempty"`
	Unknown bool     `json:"unknown,omitempty"`
	// Allow says yes to changes with hazards, which nothing else covers.
	Allow []Allowance `json:"allow,omitempty"`
	// Conflict says whose version is taken where the run and the original have
	// changed the same lines or the same path: [TakeRun] or [TakeOriginal].
	// Empty has such a keep refused.
	Conflict Side `json:"conflict,omitempty"`
	// Shown, where it is set, is the digest of the changes that the person has
	// seen, see [Diff.Shown]; a keep of anything else is refused.
	Shown string `json:"shown,omitempty"`
	// Proven, where it is set, is the digest of the proof that the keep is bound
	// to, see [Proof.Shown]: one of this run that has passed.
	Proven string `json:"proven,omitempty"`
	// Commit, where it is set, has the changes committed to a branch of the
	// repository that the original lies in, and the original left as it is.
	Commit *CommitRequest `json:"commit,omitempty"`
}

// CommitRequest says how changes are committed.
type CommitRequest struct {
	// Branch is where the commit goes, on top of what is there, or of what is
	// checked out where there is no such branch yet. Empty means "proofbox/" and
	// the run's ID.
	Branch  string `json:"branch,omitempty"`
	Message string `json:"message,omitempty"`
}

// Event is what a run or another long step says while it goes on. One field is
// set.
type Event struct {
	// Progress names the step that has begun; a run's steps end with "Running".
	Progress string `json:"progress,omitempty"`
	// Started gives the run's ID.
	Started string `json:"started,omitempty"`
	// Running says that the command has begun.
	Running bool `json:"running,omitempty"`
}

// Output is one piece of what a run's command wrote.
type Output struct {
	Time   int64  `json:"time"`   // nanoseconds since the command began
	Stream string `json:"stream"` // "stdout" or "stderr"
	Data   []byte `json:"data"`
}

// Launched is what the supervisor of a detached run answers, once.
type Launched struct {
	Run     *Run     `json:"run,omitempty"`     // as the command begins, or ended where it could not
	Problem *Problem `json:"problem,omitempty"` // where there is no run
}

// Side is one of two that have changed the same.
type Side string

const (
	TakeRun      Side = "run"
	TakeOriginal Side = "original"
)

// HunkRef names a hunk of a change.
type HunkRef struct {
	Path Raw `json:"path"`
	N    int `json:"n"`
	// Lines limits it to some of its changed lines, counted from 1 without the
	// hunk's head; empty for all.
	Lines []int `json:"lines,omitempty"`
	// Hash, where it is set, is the hash that the hunk was shown with.
	Hash string `json:"hash,omitempty"`
}

// ChoiceRequest decides about changes of a run, without applying anything.
type ChoiceRequest struct {
	Choice Choice `json:"choice"`
	// Paths are decided on as a whole, with what lies below them; Hunks on
	// their own.
	Paths []Raw     `json:"paths,omitempty"`
	Hunks []HunkRef `json:"hunks,omitempty"`
	// Allow says yes to changes with hazards. It goes with the decision, and with
	// the bytes that it was made about.
	Allow []Allowance `json:"allow,omitempty"`
}

// UndoRequest asks to take back what the last keep of a run has written.
type UndoRequest struct {
	// Conflict is as in [KeepRequest]: where the original was edited since, the
	// side to take. [TakeRun] means what was there before the keep.
	Conflict Side `json:"conflict,omitempty"`
}
