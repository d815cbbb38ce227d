package breakout

import (
	"context"
	"io"
	"net/http"
	"os"

	"proofbox"
	"proofbox/internal/box"
)

// Boxes starts the boxes of a trial, by the way that every run takes.
type Boxes interface {
	// Start starts a box in which the attack program waits. It answers
	// [box.ErrNotWeaker] where the wall cannot be weakened so.
	Start(ctx context.Context, s Start) (Box, error)
	// Saved gives a copy of what a box of the wall would continue from, for a
	// trial to alter, which then removes it.
	Saved(ctx context.Context, w box.Weakness) (*box.SavedCopy, error)
	// Scan looks at what a file of the host holds, as `proofbox contents scan` does.
	Scan(ctx context.Context, path string) (proofbox.Scan, error)
	// API is proofbox's own, as `proofbox serve` guards it at an address for who has
	// a token; without an address, as the user's own socket has it.
	API(address, token string) http.Handler
	// Note journals something that the trial is about to make on the host.
	Note(o box.Object) error
}

// Start is how a box of a trial is started.
type Start struct {
	Wall      proofbox.Wall
	Workspace string   // the folder on the host whose copy the box gets
	Hide      []string // patterns of what of it the box must not see
	Limits    proofbox.Limits
	Weakness  box.Weakness
	World     *World          // what is beyond its gateway
	Egress    proofbox.Egress // what of it the box is allowed
	Secrets   []proofbox.Secret
	// Monitor has the attacks be made in the place of the machine's monitor, each
	// in a jail of its own. Nothing else is asked of such a box.
	Monitor bool
}

// Box is a running box of a trial.
type Box interface {
	// Exec runs a command in the box and says how it ended. An error means
	// that the box has broken off.
	Exec(ctx context.Context, args []string, s Stdio) (proofbox.ExecResult, error)
	// Processes lists the processes of the box as the host counts: for a wall
	// with a kernel of its own, those that the wall itself is made of.
	Processes() ([]int, error)
	// Upper opens what the box has written to its copy, as [box.Box.Upper] does.
	Upper() (*os.File, error)
	// Scratch is all that the box writes, as [box.Box.Scratch] has it.
	Scratch() *os.File
	// Deny takes a host away that the box was allowed; a twin's gateway decides
	// nothing, and takes none.
	Deny(ctx context.Context, host string) error
	// End ends the box and gives what is left of it when it has been torn
	// down. It may be called more than once.
	End() (Remains, error)
}

// Remains are what is left of a box that was torn down: its record, its output
// and its changes.
type Remains interface {
	Run() proofbox.Run
	// Diff gives the changes as `proofbox diff` does.
	Diff(ctx context.Context) (proofbox.Diff, error)
	// Keep applies them to the workspace as `proofbox keep` does.
	Keep(ctx context.Context, r proofbox.KeepRequest) (proofbox.KeepReceipt, error)
	// Kept is how many bytes the host has of what the box has said.
	Kept() (int64, error)
	// Forget removes the record; nothing can be asked afterwards.
	Forget() error
}

// Stdio is what a command in a box reads and writes.
type Stdio struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// AttackProgram is where a box of a trial finds cmd/proofbox-attack, which lies
// in the workspace as anything would that a user brings.
const AttackProgram = box.Workdir + "/proofbox-attack"
