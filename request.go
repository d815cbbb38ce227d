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
}

// KeepRequest asks to apply changes of a run to its original.
type KeepRequest struct {
	// All keeps every change that a bulk keep covers; else Paths names them.
	All   bool  `json:"all,omitempty"`
	Paths []Raw `json:"paths,omitempty"`
	// Shown, where it is set, is the digest of the changes that the person has
	// seen, see [Diff.Shown]; a keep of anything else is refused.
	Shown string `json:"shown,omitempty"`
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
