package proofbox

import "io/fs"

// Kind is what a directory entry is.
type Kind string

const (
	File    Kind = "file"
	Folder  Kind = "folder"
	Symlink Kind = "symlink"
	// Special is a device, FIFO or socket; it can be listed, never kept.
	Special Kind = "special"
	// Absent stands for no entry at all: the base of an added path, the
	// result of a deleted one.
	Absent Kind = "absent"
)

// Entry is one side of a change: what a path was or has become.
type Entry struct {
	Kind Kind        `json:"kind"`
	Mode fs.FileMode `json:"mode,omitzero"` // permission bits with setuid, setgid and sticky as io/fs has them
	Size int64       `json:"size,omitzero"` // bytes, of a regular file
	// Digest is "sha256:HEX" of a regular file's content.
	Digest string `json:"digest,omitempty"`
	Target Raw    `json:"target,omitempty"` // of a symlink
}

// Change is one path in which a box's copy differs from the original.
// Path is relative to the workspace, uses slashes, and is hostile: any byte
// but NUL and slash may be in its parts.
type Change struct {
	Path   Raw   `json:"path"`
	Before Entry `json:"before"`
	After  Entry `json:"after"`
	// Binary is true where either side is not text.
	Binary bool `json:"binary,omitempty"`
	// Large is true where a side is too large to be compared line by line.
	Large bool `json:"large,omitempty"`
	// Drifted is true where the original moved on during the run, so that the
	// box's base of this path is not certain. Such a change is never kept.
	Drifted bool `json:"drifted,omitempty"`
	// Refused says why keep will not apply this change ("a device", "a link
	// that leaves the workspace"); empty where it may.
	Refused string `json:"refused,omitempty"`
	// Kept is true once the change was applied to the original.
	Kept bool `json:"kept,omitempty"`
	// Insertions and Deletions count lines, of text.
	Insertions int `json:"insertions"`
	Deletions  int `json:"deletions"`
}

// Action names what happened to the path: "added", "deleted" or "modified".
func (c Change) Action() string {
	switch {
	case c.Before.Kind == Absent:
		return "added"
	case c.After.Kind == Absent:
		return "deleted"
	default:
		return "modified"
	}
}

// Diff is the answer to `proofbox diff`.
type Diff struct {
	Run      string   `json:"run"`
	Original string   `json:"original"` // the folder that the paths are in
	Changes  []Change `json:"changes"`
	// Shown is a digest of everything that the changes would write. A keep can
	// be bound to it.
	Shown string `json:"shown"`
	// Text is the unified diff of the changes, as bytes came out of the box:
	// escape it before it reaches a terminal. Empty where only a summary was
	// asked for.
	Text Raw `json:"text,omitempty"`
}

// KeepReceipt is the account of one keep. It is signed as an in-toto
// statement and kept beside the run.
type KeepReceipt struct {
	Run      string   `json:"run"`
	Original string   `json:"original"`
	Kept     []Change `json:"kept"`
	// Refused lists what was asked for and not applied, each with its reason.
	Refused []Change `json:"refused,omitempty"`
}
