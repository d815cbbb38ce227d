package box

import (
	"context"

	"proofbox"
	"proofbox/internal/box/jail"
)

// Runtime is one way to isolate a box. Its methods may be called at once from
// several goroutines.
type Runtime interface {
	// Wall is the wall that the runtime builds.
	Wall() proofbox.Wall
	// Check says why this host cannot run the wall at all; nil where it may.
	// It looks for what is needed, it starts nothing.
	Check(ctx context.Context) error
	// Steps gives what the runtime needs in the jail, beside the box's own
	// root, and the program that starts the box from it. Process 1 of the box
	// must be [InitPath], with the arguments [InitArgs], and must find the
	// door at [DoorPath]. Where the wall lets a process of the box end process
	// 1, as gVisor does, the box ends with it.
	Steps(Layout) ([]jail.Step, jail.Program, error)
	// Controls reads back, from outside, which protections of the wall are in
	// force on the processes of a started box.
	Controls(Started) []proofbox.Control
}

// Layout is what a runtime starts a box from. Paths are inside the jail.
type Layout struct {
	ID       string
	Hostname string
	// Root is the folder that is the box's root, read-only.
	Root string
	// Writable maps folders and files of the jail to where they are writable
	// in the box.
	Writable []Mapping
	// Nested maps the box's user and group IDs to the jail's.
	Nested []jail.IDRange
	// Rlimits that the box's processes start with, by their name in
	// getrlimit(2).
	Rlimits map[string]uint64
	// Counted is true where the memory limit is held by adding up what the
	// processes of the box have: there must be no memory beside that.
	Counted bool
	Env     []string
	// Weak is what a trial takes from the wall. The host side of Weak.Binds is
	// in the jail at [Layout.Opened]. A runtime that cannot leave out a
	// protection answers [ErrNotWeaker].
	Weak Weakness
	// Hardware and Init are set for a [Machine] alone, in place of Root, Writable
	// and Counted. Init is the host's path of cmd/proofbox-init.
	Hardware *Hardware
	Init     string
}

// Mapping shows what is at Source in the jail at Target in the box.
type Mapping struct {
	Source, Target string
	Folder         bool
}

// Started are the processes of a box whose process 1 has come to the door.
type Started struct {
	// Processes are all processes of the box, as the host counts, without
	// what only serves it.
	Processes []int
	// Door is the one of them that opened the door.
	Door int
	// Jail is the jail's process 1.
	Jail int
	// Owner is the host's ID of the box's user, and Range holds every host ID
	// that a process of the box could have.
	Owner  int
	Range  []jail.IDRange
	Layout Layout
}

// Paths that are the same in every box.
const (
	InitPath   = "/run/proofbox/init"
	DoorPath   = "/run/proofbox/door"
	CanaryPath = "/run/proofbox/canary" // see Host.restrict
	HomePath   = "/home/box"
	Workdir    = "/workspace"

	// GatewayAddress is where process 1 listens for a box that has a gateway.
	GatewayAddress = "127.0.0.1:3128"
)

// InitArgs is the command line of a box's process 1.
var InitArgs = []string{"proofbox-init", "--door", DoorPath}
