package proofbox

import (
	"io/fs"
	"strings"
)

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
	// Large is true where a side is too large to be compared line by line, and in a
	// [Diff] where so much else is shown that this change is left out.
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
	// From is the path of the original that an added file has its bytes from,
	// where one was found: all of them, or Share percent. Renamed is true where
	// that path is gone. The path that is gone is a change of its own.
	From    Raw  `json:"from,omitempty"`
	Share   int  `json:"share,omitempty"`
	Renamed bool `json:"renamed,omitempty"`
	// Notes say what else a reader should know, completing "it …": which names of
	// one file keeping parts, which attributes are not kept.
	Notes []string `json:"notes,omitempty"`
	// Packages are what a lock file has of packages that it had not, or had
	// otherwise: the first of them, where there are very many.
	Packages []LockedPackage `json:"packages,omitempty"`
	// Writers are who has written it, where anything is known of the run's writers;
	// see [Diff.WritersUnknown].
	Writers *Writers `json:"writers,omitempty"`
	// Hazards say what the change would run on the machine of whoever keeps it, and
	// what it hides from a reader. A change with any is kept only with a yes of
	// its own.
	Hazards []Hazard `json:"hazards,omitempty"`
	// Hash is "sha256:HEX" of the path and both sides: what such a yes is bound
	// to. Set where there are hazards.
	Hash string `json:"hash,omitempty"`
	// Choice is what was decided about the change as a whole, and can be taken
	// back until it was applied.
	Choice Choice `json:"choice,omitempty"`
	// Partly is true where some hunks were decided to be kept, and not the
	// change as a whole.
	Partly bool `json:"partly,omitempty"`
	// PartKept is true where some hunks are in the original, and not all.
	PartKept bool `json:"part_kept,omitempty"`
	// Rejected is the earlier run of the same original in which somebody has decided
	// against the same change; empty for none. It decides nothing.
	Rejected string `json:"rejected,omitempty"`
	// Patched is true where all of the change is in [Diff.Patch].
	Patched bool `json:"patched,omitempty"`
	// Hunks are the parts of a change of text that can be decided on one by
	// one; set by [Diff] where the text is asked for.
	Hunks []Hunk `json:"hunks,omitempty"`
}

// Writers are the commands of a run that have written a path, as the host has seen
// it. A program has the name of its file and the one that it was started by, and an
// interpreter its script's, too. They are as hostile as all that comes from a box.
type Writers struct {
	// Names are those of all processes that have written the path, and of all
	// processes that these descend from; sorted.
	Names []Raw `json:"names,omitempty"`
	// Last is the program that has written last, where that is known.
	Last Raw `json:"last,omitempty"`
	// Unknown says why there may be others; empty where there are none.
	Unknown string `json:"unknown,omitempty"`
}

// LockedPackage is a package that a lock file brings, changes or drops.
type LockedPackage struct {
	Name string `json:"name"`
	// Before and After are versions; empty where it is not in the lock file.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Host   string `json:"host,omitempty"` // where it is fetched from, as far as that is said
	// Integrity says how the digest of its bytes has changed: "new", "same",
	// "changed", "gone", or "none" where there is none now and was none.
	Integrity string `json:"integrity"`
	Script    bool   `json:"script,omitempty"` // it runs a program when it is installed
}

// Words tells the package in a line: "a 1.0.0 → 1.1.0, from registry.npmjs.org, other
// bytes, runs a script when it is installed". It is as hostile as the lock file.
func (p LockedPackage) Words() string {
	text := p.Name
	switch {
	case p.Before == "":
		text += " " + p.After + " comes"
	case p.After == "":
		return text + " " + p.Before + " goes"
	case p.Before == p.After:
		text += " " + p.After
	default:
		text += " " + p.Before + " → " + p.After
	}
	if p.Host != "" {
		text += ", from " + p.Host
	}
	text += map[string]string{"none": ", without a digest", "gone": ", its digest is gone", "changed": ", other bytes"}[p.Integrity]
	if p.Script {
		text += ", runs a script when it is installed"
	}
	return text
}

// Hazard is one reason for which a change wants a yes of its own.
type Hazard struct {
	Rule string `json:"rule"` // "git-hook", "package-scripts", "hidden-text" …
	// Words complete "it …": "runs on the next `git commit`". They may hold text
	// that came out of a box, quoted.
	Words string `json:"words"`
	Line  int    `json:"line,omitempty"` // of the new text, from 1
}

// Allowance is a yes to one change with [Change.Hazards].
type Allowance struct {
	Path Raw `json:"path"`
	// Hash is the change's, with or without "sha256:"; its beginning is enough,
	// from [MinAllowance] digits on.
	Hash string `json:"hash"`
}

// MinAllowance is how many digits of a hash an [Allowance] has at least.
const MinAllowance = 16

// Choice is what somebody has decided about a change or a part of it: empty
// while nobody has.
type Choice string

const (
	Open Choice = ""
	Take Choice = "keep"
	Drop Choice = "discard"
)

// Hunk is a part of a change of text, with the unchanged lines around it.
type Hunk struct {
	// N counts the hunks of a change from 1, for `keep --hunk PATH:N`. 0 is the
	// change of a file's mode.
	N int `json:"n"`
	// Hash is a digest of the lines that go and come, and of how many hunks
	// before it in the same change have the same ones. It is the same in a later
	// run that makes the same change.
	Hash   string `json:"hash"`
	Choice Choice `json:"choice,omitempty"`
	// Lines are those of the hunk's changed lines, counted from 1 without its
	// head, that the choice is about; empty for all.
	Lines []int `json:"lines,omitempty"`
	Kept  bool  `json:"kept,omitempty"`
	// Rejected is as [Change.Rejected], of the hunk.
	Rejected string `json:"rejected,omitempty"`
	// Text is the hunk in unified form, hostile as all that comes from a box.
	Text Raw `json:"text"`
}

// Together gives the choice about a whole change that the choices about all its hunks
// come to: [Open] where they differ, are about some lines, or a hunk is kept already.
func Together(hunks []Hunk) Choice {
	for _, h := range hunks {
		if h.Choice != hunks[0].Choice || len(h.Lines) > 0 || h.Kept {
			return Open
		}
	}
	if len(hunks) == 0 {
		return Open
	}
	return hunks[0].Choice
}

// Head is the hunk's first line, or both modes where it is a change of mode.
func (h Hunk) Head() Raw {
	if h.N == 0 {
		return Raw(strings.ReplaceAll(strings.TrimSpace(string(h.Text)), "\n", ", "))
	}
	line, _, _ := strings.Cut(string(h.Text), "\n")
	return Raw(line)
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
	// WritersUnknown says why nothing is known of who has written the changes; empty
	// where they have [Change.Writers].
	WritersUnknown string `json:"writers_unknown,omitempty"`
	// Folders sum up changes that are too many to be listed: Changes and Text are
	// empty then, and Shown is of all of them.
	Folders []FolderSum `json:"folders,omitempty"`
	// Staged lists the requests that were held beside.
	Staged []Staged `json:"staged,omitempty"`
	// Patch is as Text, of those changes only that `git apply` can do.
	Patch Raw `json:"patch,omitempty"`
}

// FolderSum sums up the changes in a folder, or of one path.
type FolderSum struct {
	Path       Raw `json:"path"` // empty for all that no other one has
	Changes    int `json:"changes"`
	Insertions int `json:"insertions"`
	Deletions  int `json:"deletions"`
	Hazards    int `json:"hazards,omitempty"` // changes that have any
}

// KeepReceipt is the account of one keep. It is signed as an in-toto
// statement and kept beside the run.
type KeepReceipt struct {
	Run      string `json:"run"`
	Original string `json:"original"`
	// Kept lists what was written, each change from what the original held to
	// what it holds now.
	Kept []Change `json:"kept"`
	// Merged lists the paths that had changed in the original since the run
	// began, and now hold both changes.
	Merged []Raw `json:"merged,omitempty"`
	// Undid is true where the changes of an earlier keep were taken back.
	Undid bool `json:"undid,omitempty"`
	// Refused lists what was asked for and not applied, each with its reason.
	Refused []Change `json:"refused,omitempty"`
	// Proof is the proof that the keep is bound to.
	Proof *Proof `json:"proof,omitempty"`
	// Commit is where the changes went, instead of the original.
	Commit *Commit `json:"commit,omitempty"`
}

// Commit is a commit of kept changes.
type Commit struct {
	Branch string `json:"branch"`
	ID     string `json:"id"`
	Parent string `json:"parent,omitempty"` // the commit that it is on top of
	Author string `json:"author"`           // "NAME <ADDRESS>"
	// Unsigned is true where settings have commits signed: this one is not.
	Unsigned bool `json:"unsigned,omitempty"`
}
