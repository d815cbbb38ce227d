package proofbox

import "time"

// State is where a run is in its life: created, running, ended, in that
// order. A run in state ended has been torn down.
type State string

const (
	Created State = "created"
	Running State = "running"
	Ended   State = "ended"
)

// Exit statuses of a run beside the command's own, as timeout(1) and shells
// use them.
const (
	ExitTimeLimit = 124 // the time limit ended the command
	ExitFailed    = 125 // proofbox itself could not do its work
	ExitRefused   = 126 // policy, contents or a missing certificate refused the run
	ExitNoCommand = 127 // the command is not in the image
	ExitKilled    = 137 // the memory limit or a kill ended the command
)

// Run is the record of one execution in a box.
type Run struct {
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"`
	State   State     `json:"state"`
	Command []string  `json:"command"`
	Created time.Time `json:"created"`
	Started time.Time `json:"started,omitzero"`
	Finish  time.Time `json:"finished,omitzero"`

	// Ended says in words what ended the run: "exit status 0", "memory limit
	// 512MiB", "stopped". Empty while it runs.
	Ended string `json:"ended,omitempty"`
	// ExitCode is what `proofbox run` exits with; of no meaning before the run
	// has ended.
	ExitCode int `json:"exit_code"`

	Wall        Wall   `json:"wall"`
	Accelerator string `json:"accelerator,omitempty"`
	Plan        Plan   `json:"plan"`
	// Weakened lists what a trial took from the wall on purpose; no other run
	// has it.
	Weakened []string `json:"weakened,omitempty"`
	// Proves is the run whose changes this one tries, before they are kept. Its
	// record is gone with its box.
	Proves string `json:"proves,omitempty"`
	// Passing says that the run is of a trial or of the doctor. Its record is gone
	// with its box, too.
	Passing bool `json:"passing,omitempty"`
	// Controls are the applied controls, as read back from outside the box
	// before the command started.
	Controls []Control `json:"controls"`
	// Usage is what the run used, where the host could tell.
	Usage Usage `json:"usage"`
	// Warnings are what happened beside the plan: a limit that was touched,
	// an original that moved on while the box ran.
	Warnings []string `json:"warnings,omitempty"`

	Contents []Seen `json:"contents"`
	Later    *Later `json:"later,omitempty"` // nil where the data is neither synthetic nor masked
	Egress   []Call `json:"egress"`
	// Denied lists what was allowed, and taken away while the run went on.
	Denied  []Destination `json:"denied,omitempty"`
	Intents []Intent      `json:"intents"`
	Spend   Spend         `json:"spend"`
	// Recording is nil where nothing was recorded.
	Recording *Recording `json:"recording,omitempty"`
	// Placeholders are what the box has in the place of secrets, by their names.
	Placeholders map[string]string `json:"placeholders,omitempty"`
	// Staged lists the requests that were held, and what became of them.
	Staged []Staged `json:"staged,omitempty"`

	Changes  Tally     `json:"changes"`
	Decision Decision  `json:"decision,omitempty"`
	Teardown *Teardown `json:"teardown,omitempty"`
}

// Control is one protection and whether it was found in force.
type Control struct {
	Name  string `json:"name"`  // "seccomp", "no new privileges", "user namespace" …
	Want  string `json:"want"`  // what the terms ask for
	Found string `json:"found"` // what the host says
	OK    bool   `json:"ok"`
}

// Usage is what a run used.
type Usage struct {
	Wall       Duration `json:"wall,omitzero"` // wall clock of the command
	CPU        Duration `json:"cpu,omitzero"`
	PeakMemory Size     `json:"peak_memory,omitzero"`
	Output     Size     `json:"output,omitzero"`
}

// Call is one connection, or one HTTP request, that a box asked its gateway for.
type Call struct {
	Time time.Time `json:"time"`
	// Host is a name, or what the box said where that was none.
	Host string `json:"host"`
	Port int    `json:"port,omitempty"`
	// Method and Path are of an HTTP request; a tunnel is a CONNECT without a
	// path.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Verdict is "allowed", "denied" (nothing was sent), "cut" (it was ended on
	// the way), "failed" (the destination could not be reached), "held" (it waits
	// for a person, as Staged) or "open".
	Verdict string `json:"verdict"`
	// Reason says why it was not simply allowed.
	Reason string `json:"reason,omitempty"`
	Status int    `json:"status,omitempty"` // of the answer, where the gateway could read it
	Staged int    `json:"staged,omitempty"` // the number under which it is held
	// Sent and Received are bytes: of a tunnel all of them, of an HTTP request
	// those of the bodies. Digest is the SHA-256 of the body that was sent.
	Sent     int64  `json:"sent,omitempty"`
	Received int64  `json:"received,omitempty"`
	Digest   string `json:"digest,omitempty"`
	// Secrets names those that the gateway has put into the request.
	Secrets []string `json:"secrets,omitempty"`
	// Placeholders names the secrets whose placeholders were sent on as they are,
	// because they are not meant for such a request.
	Placeholders []string `json:"placeholders,omitempty"`
	// Alarm says that some of them are meant for other hosts only.
	Alarm string `json:"alarm,omitempty"`
	// Times is how often the same was asked for and denied, in a row or not.
	Times int `json:"times"`
}

// DenyRequest asks to take destinations away from a running box.
type DenyRequest struct {
	// Hosts are as --allow has them; one without a port is every port of it.
	Hosts []string `json:"hosts"`
}

// Denied lists all that was taken away from a running box.
type Denied struct {
	Run    string        `json:"run"`
	Denied []Destination `json:"denied"`
}

// Intent is something a run meant to do in the world.
type Intent struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
}

// Spend is what a run has cost, in decimal text.
type Spend struct {
	USD string `json:"usd"`
	// Cap is what it could have cost at most, where it had a budget.
	Cap string `json:"cap,omitempty"`
}

// Tally counts changes by kind.
type Tally struct {
	Added    int `json:"added"`
	Modified int `json:"modified"`
	Deleted  int `json:"deleted"`
}

// Decision is what became of a run's changes: empty while nobody decided.
type Decision string

const (
	Undecided Decision = ""
	Kept      Decision = "kept"      // everything was kept
	PartKept  Decision = "part kept" // some paths were kept, the others are still there
	Discarded Decision = "discarded"
	// PartDiscarded: some paths were kept, the others are gone.
	PartDiscarded Decision = "part kept, the rest discarded"
)

// Teardown is the account of the host objects that a run made. It is signed
// as an in-toto statement and kept beside the run.
type Teardown struct {
	Run     string       `json:"run"`
	Clean   bool         `json:"clean"` // every object was verified gone
	Time    time.Time    `json:"time"`
	Objects []HostObject `json:"objects"`
	// By says who tore down: "supervisor", or "reaper" where the supervisor
	// had died before it could.
	By string `json:"by"`
}

// HostObject is something proofbox made on the host for a run.
type HostObject struct {
	Kind string `json:"kind"` // "process", "cgroup", "directory", "socket", "loop device", "mount namespace" …
	Name string `json:"name"`
	Gone bool   `json:"gone"`
	// Found says how the absence was verified, or what stands in its way.
	Found string `json:"found,omitempty"`
}
