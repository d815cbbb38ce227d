package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"proofbox"
)

// decisionsFile holds what was decided about a store's changes.
const decisionsFile = "decisions.json"

// decisions are choices by path. What is not in them is open.
type decisions map[proofbox.Raw]*decision

// decision is what was decided about one change: as a whole, or by hunk.
type decision struct {
	Choice proofbox.Choice `json:"choice,omitempty"`
	// Change is the digest of the change that was decided on.
	Change string `json:"change"`
	// Allowed is the hash of a change with hazards that somebody has said yes to.
	Allowed string                    `json:"allowed,omitempty"`
	Hunks   map[string]*hunkSelection `json:"hunks,omitempty"` // by the hunk's hash
}

// hunkSelection is what was decided about one hunk.
type hunkSelection struct {
	Choice proofbox.Choice `json:"choice,omitempty"`
	Lines  []int           `json:"lines,omitempty"`
	// Kept says that it is in the original: all of it, or KeptLines.
	Kept      bool  `json:"kept,omitempty"`
	KeptLines []int `json:"kept_lines,omitempty"`
}

// storedDecisions is the form of the file.
type storedDecisions struct {
	Version   int             `json:"version"`
	Decisions []storedDecided `json:"decisions"`
}

type storedDecided struct {
	Path proofbox.Raw `json:"path"`
	decision
}

// loadDecisions reads what was decided. A decision about anything but the
// store's own changes does not count.
func (c *Changes) loadDecisions() error {
	c.decisions = decisions{}
	f, err := os.Open(filepath.Join(c.dir, decisionsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the decisions: %w", err)
	}
	defer f.Close()
	var stored storedDecisions
	if err := json.NewDecoder(io.LimitReader(f, maxIndex)).Decode(&stored); err != nil {
		return fmt.Errorf("reading the decisions: %w", err)
	}
	if stored.Version != storeVersion {
		return fmt.Errorf("reading the decisions: version %d is not known", stored.Version)
	}
	for _, d := range stored.Decisions {
		at, ok := c.find(string(d.Path))
		if !ok {
			continue
		}
		if digest, err := Shown(c.list.Changes[at : at+1]); err != nil || digest != d.Change {
			continue
		}
		if d.Hunks == nil {
			d.Hunks = map[string]*hunkSelection{}
		}
		c.decisions[d.Path] = &d.decision
		own := &c.list.Changes[at]
		own.Choice, own.Partly, own.PartKept = d.Choice, d.takesPart(), !own.Kept && d.partKept()
	}
	return nil
}

// takesPart says whether a hunk that is not in the original yet is to be kept.
func (d *decision) takesPart() bool {
	for _, h := range d.Hunks {
		if d.Choice == proofbox.Open && h.Choice == proofbox.Take && !h.Kept {
			return true
		}
	}
	return false
}

// saveDecisions writes them whole, so that a crash leaves the old or the new.
func (c *Changes) saveDecisions() error {
	stored := storedDecisions{Version: storeVersion, Decisions: []storedDecided{}}
	for _, change := range c.list.Changes {
		if d := c.decisions[change.Path]; d != nil {
			stored.Decisions = append(stored.Decisions, storedDecided{change.Path, *d})
		}
	}
	if err := c.saveFile(decisionsFile, stored); err != nil {
		return fmt.Errorf("writing the decisions: %w", err)
	}
	return nil
}

// about gives the decision about a change, made where there is none.
func (c *Changes) about(change proofbox.Change) (*decision, error) {
	if d := c.decisions[change.Path]; d != nil {
		return d, nil
	}
	digest, err := Shown([]proofbox.Change{change})
	if err != nil {
		return nil, err
	}
	d := &decision{Change: digest, Hunks: map[string]*hunkSelection{}}
	c.decisions[change.Path] = d
	return d, nil
}

// Decide notes a choice about changes, which can be taken back until it was
// applied. What is refused or kept already cannot be decided on.
func (c *Changes) Decide(r proofbox.ChoiceRequest) error {
	if !slices.Contains([]proofbox.Choice{proofbox.Open, proofbox.Take, proofbox.Drop}, r.Choice) {
		return fmt.Errorf("%q is no choice: it is keep, discard or empty", r.Choice)
	}
	if len(r.Paths)+len(r.Hunks)+len(r.Allow) == 0 {
		return errors.New("name paths or hunks to decide on")
	}
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if len(r.Paths) > 0 {
		selected, err := c.Select(r.Paths)
		if err != nil {
			return err
		}
		named := map[string]bool{}
		for _, p := range r.Paths {
			named[cleanPath(p)] = true
		}
		for _, change := range selected {
			if err := c.decideWhole(change, r.Choice, named[string(change.Path)]); err != nil {
				return err
			}
		}
	}
	for _, ref := range r.Hunks {
		if err := c.decideHunk(ref, r.Choice); err != nil {
			return err
		}
	}
	for _, a := range r.Allow {
		if err := c.allow(a); err != nil {
			return err
		}
	}
	return c.saveDecisions()
}

// lock makes sure that nobody else decides meanwhile, and reads once more what
// was decided until now.
func (c *Changes) lock() (unlock func(), err error) {
	fd, err := openRoot(c.dir)
	if err != nil {
		return nil, fmt.Errorf("locking the decisions: %w", err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking the decisions: %w", err), unix.Close(fd))
	}
	unlock = func() {
		_ = unix.Flock(fd, unix.LOCK_UN) // the close does it, too
		unix.Close(fd)
	}
	if err := c.loadDecisions(); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// allow notes a yes to a change with hazards.
func (c *Changes) allow(a proofbox.Allowance) error {
	at, ok := c.find(cleanPath(a.Path))
	if !ok {
		return &NoChangeError{Path: string(a.Path)}
	}
	if !allows(a, c.list.Changes[at]) {
		return &ConflictError{Conflicts: []string{fmt.Sprintf("the yes to %q is not one to what the run has made of it", a.Path)}, Verb: "decided"}
	}
	d, err := c.about(c.list.Changes[at])
	if err == nil {
		d.Allowed = c.list.Changes[at].Hash
	}
	return err
}

// decideWhole notes a choice about a change. One that was named, and not just lies in a
// folder that was, must allow it.
func (c *Changes) decideWhole(change proofbox.Change, choice proofbox.Choice, named bool) error {
	if why := undecidable(change, choice); why != "" {
		if named {
			return &ConflictError{Conflicts: []string{fmt.Sprintf("%q: %s", change.Path, why)}, Verb: "decided"}
		}
		return nil
	}
	d, err := c.about(change)
	if err != nil {
		return err
	}
	d.decideWhole(choice)
	at, _ := c.find(string(change.Path))
	c.list.Changes[at].Choice = choice
	return nil
}

// undecidable says why a choice about a change cannot be made; empty where it
// can.
func undecidable(c proofbox.Change, choice proofbox.Choice) string {
	switch {
	case c.Kept:
		return "it was kept already; `proofbox undo RUN` takes that back"
	case choice == proofbox.Take && c.Refused != "":
		return c.Refused
	case choice == proofbox.Take && c.Drifted:
		return driftedWhy
	}
	return ""
}

const driftedWhy = "the original changed while the box ran, so what the box started from is not certain"

func (c *Changes) decideHunk(ref proofbox.HunkRef, choice proofbox.Choice) error {
	change, h, err := c.hunkAt(ref)
	if err != nil {
		return err
	}
	if why := undecidable(change, choice); why != "" {
		return &ConflictError{Conflicts: []string{fmt.Sprintf("%q: %s", ref.Path, why)}, Verb: "decided"}
	}
	d, err := c.about(change)
	if err != nil {
		return err
	}
	if err := c.spreadWhole(change, d); err != nil {
		return err
	}
	own := d.Hunks[h.Hash]
	if own == nil {
		own = &hunkSelection{}
		d.Hunks[h.Hash] = own
	}
	own.Choice, own.Lines = choice, ref.Lines
	at, _ := c.find(string(change.Path))
	c.list.Changes[at].Choice, err = c.gatherWhole(change, d)
	return err
}

// gatherWhole turns choices about all hunks that come to one about the whole change
// into that one, and gives it.
func (c *Changes) gatherWhole(change proofbox.Change, d *decision) (proofbox.Choice, error) {
	hunks, err := c.Hunks(change)
	if err != nil {
		return proofbox.Open, err
	}
	whole := proofbox.Together(hunks)
	if whole != proofbox.Open {
		d.decideWhole(whole)
	}
	return whole, nil
}

// decideWhole notes a choice about the whole change.
func (d *decision) decideWhole(choice proofbox.Choice) {
	d.Choice = choice
	if choice != proofbox.Take {
		d.Allowed = "" // taken back with what it went with
	}
	for _, h := range d.Hunks {
		h.Choice, h.Lines = proofbox.Open, nil
	}
}

// spreadWhole turns a choice about a whole change into one about each hunk, so
// that one of them can be decided otherwise.
func (c *Changes) spreadWhole(change proofbox.Change, d *decision) error {
	if d.Choice == proofbox.Open {
		return nil
	}
	hunks, err := c.Hunks(change)
	if err != nil {
		return err
	}
	for _, h := range hunks {
		own := d.Hunks[h.Hash]
		if own == nil {
			own = &hunkSelection{}
			d.Hunks[h.Hash] = own
		}
		own.Choice = d.Choice
	}
	d.Choice = proofbox.Open
	return nil
}

// tell fills in what was decided about the hunks of a change.
func (d decisions) tell(path proofbox.Raw, hunks []proofbox.Hunk) {
	own := d[path]
	if own == nil {
		return
	}
	for i := range hunks {
		hunks[i].Choice = own.Choice
		if s := own.Hunks[hunks[i].Hash]; s != nil {
			hunks[i].Kept = s.Kept
			if own.Choice == proofbox.Open {
				hunks[i].Choice, hunks[i].Lines = s.Choice, s.Lines
			}
		}
	}
}

// hunkAt finds the hunk that a reference names.
func (c *Changes) hunkAt(ref proofbox.HunkRef) (proofbox.Change, proofbox.Hunk, error) {
	at, ok := c.find(cleanPath(ref.Path))
	if !ok {
		return proofbox.Change{}, proofbox.Hunk{}, &NoChangeError{Path: string(ref.Path)}
	}
	change := c.list.Changes[at]
	hunks, err := c.Hunks(change)
	if err != nil {
		return change, proofbox.Hunk{}, err
	}
	i := slices.IndexFunc(hunks, func(h proofbox.Hunk) bool { return h.N == ref.N })
	switch {
	case len(hunks) == 0:
		return change, proofbox.Hunk{}, invalid("%q has no hunks: it is kept as a whole or not at all", ref.Path)
	case i < 0:
		return change, proofbox.Hunk{}, invalid("%q has no hunk %d; `proofbox diff RUN %s --json` lists its hunks, from %d to %d", ref.Path, ref.N, ref.Path, hunks[0].N, hunks[len(hunks)-1].N)
	case ref.Hash != "" && ref.Hash != hunks[i].Hash:
		return change, proofbox.Hunk{}, &ConflictError{Conflicts: []string{fmt.Sprintf("hunk %d of %q is not the one that was shown", ref.N, ref.Path)}}
	}
	return change, hunks[i], c.linesIn(change, ref)
}

// linesIn checks that the lines of a reference are lines of its hunk that go or
// come.
func (c *Changes) linesIn(change proofbox.Change, ref proofbox.HunkRef) error {
	if len(ref.Lines) == 0 {
		return nil
	}
	hunks, _, err := c.hunksOf(change)
	if err != nil {
		return err
	}
	if ref.N == 0 {
		return invalid("a change of mode has no lines")
	}
	lines := hunks[ref.N-1].lines
	for _, n := range ref.Lines {
		if n < 1 || n > len(lines) {
			return invalid("hunk %d of %q has lines 1 to %d, and no %d", ref.N, ref.Path, len(lines), n)
		}
	}
	return nil
}

// InvalidError says that what was asked for makes no sense.
type InvalidError struct{ Why string }

func (e *InvalidError) Error() string { return e.Why }

// Invalid marks the error for the API.
func (e *InvalidError) Invalid() bool { return true }

func invalid(format string, args ...any) error {
	return &InvalidError{Why: fmt.Sprintf(format, args...)}
}

// chosenHunks gives the hunks of a change to keep, where something was decided
// by hunk: those decided on, what is kept already and, unless only that is asked
// for, what nobody has decided on. ok is false where the change is one whole.
func (c *Changes) chosenHunks(change proofbox.Change, only bool) (chosen selection, ok bool, err error) {
	d := c.decisions[change.Path]
	if d == nil || d.Choice != proofbox.Open || len(d.Hunks) == 0 {
		return nil, false, nil
	}
	hunks, err := c.Hunks(change)
	if err != nil {
		return nil, false, err
	}
	chosen = selection{}
	for _, h := range hunks {
		own := d.Hunks[h.Hash]
		if own == nil {
			own = &hunkSelection{}
		}
		if own.Kept {
			chosen.add(h.Hash, own.KeptLines)
		}
		if own.Choice == proofbox.Take || own.Choice == proofbox.Open && !only && !own.Kept {
			chosen.add(h.Hash, own.Lines)
		}
	}
	return chosen, true, nil
}

// Kept counts the changes of which something is in the original; all is true
// where nothing else is left of them.
func (c *Changes) Kept() (n int, all bool) {
	all = true
	for _, change := range c.list.Changes {
		switch {
		case change.Kept:
			n++
		case c.decisions[change.Path].partKept():
			n, all = n+1, false
		default:
			all = false
		}
	}
	return n, all
}

// partKept says whether some hunks are in the original.
func (d *decision) partKept() bool {
	if d == nil {
		return false
	}
	for _, h := range d.Hunks {
		if h.Kept {
			return true
		}
	}
	return false
}
