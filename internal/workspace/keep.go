package workspace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"proofbox"
)

// KeepOptions say what to apply to which folder.
type KeepOptions struct {
	Original string
	proofbox.KeepRequest
	// Begin, where it is set, is called before the first byte is written, with
	// what will be. Its error is the keep's, and nothing is written.
	Begin func(todo []proofbox.Change) error
}

// ConflictError says that the original is in no state to be written, or that
// something was named that is never kept: nothing was written.
type ConflictError struct {
	Conflicts []string
	// Texts are merges with both sides between git's marks, of those conflicts
	// that have one; else empty.
	Texts []string
	// Verb says what was not done; empty for "kept".
	Verb string
}

func (e *ConflictError) add(path proofbox.Raw, why string) {
	e.Conflicts = append(e.Conflicts, fmt.Sprintf("%q: %s", path, why))
}

// maxConflicts bounds how many conflicts an error names, and maxMarked how many
// bytes of the first merge it shows.
const (
	maxConflicts = 10
	maxMarked    = 2_000
)

func (e *ConflictError) Error() string {
	verb := e.Verb
	if verb == "" {
		verb = "kept"
	}
	text := "nothing was " + verb + ": " + strings.Join(e.Conflicts[:min(len(e.Conflicts), maxConflicts)], "; ")
	if more := len(e.Conflicts) - maxConflicts; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	if len(e.Texts) == 0 {
		return text + "; name the paths without these, or take them by hand from `proofbox diff RUN PATH --raw`"
	}
	text += "; take one side with --on-conflict run or --on-conflict original, or name the paths without these"
	for _, marked := range e.Texts {
		if marked != "" {
			return text + "\n" + excerpt(marked)
		}
	}
	return text
}

// excerpt gives the part of a merge around its first conflict.
func excerpt(marked string) string {
	at := strings.Index(marked, "<<<<<<< original\n")
	marked = marked[max(0, at):]
	if end := strings.Index(marked, ">>>>>>> run\n"); end >= 0 {
		marked = marked[:end+len(">>>>>>> run\n")]
	}
	if len(marked) > maxMarked {
		marked = marked[:maxMarked] + "…\n"
	}
	return marked
}

// Conflict marks the error for the API.
func (e *ConflictError) Conflict() bool { return true }

// Keep applies changes to the original, all or none: also where the process is
// killed half way, once [Changes.Recover] was called. Where the original has
// moved on since the run began, its changes and the run's are merged by content;
// without a side to prefer, a conflict has nothing written. What must never be
// written is in the receipt as refused; named itself, it is an error and nothing
// is written.
func (c *Changes) Keep(ctx context.Context, o KeepOptions) (proofbox.KeepReceipt, error) {
	receipt := proofbox.KeepReceipt{Original: o.Original, Kept: []proofbox.Change{}}
	if err := checkSide(o.Conflict); err != nil {
		return receipt, err
	}
	chosen, refused, err := c.choose(o)
	if err != nil {
		return receipt, err
	}
	receipt.Refused = refused
	t, err := openTarget(o.Original)
	if err != nil {
		return receipt, err
	}
	defer t.close()
	if err := c.recoverIn(t); err != nil {
		return receipt, err
	}
	p, err := c.plan(ctx, t, chosen, o.Conflict)
	if err != nil {
		return receipt, err
	}
	if err := p.wasProven(o.Proven); err != nil {
		return receipt, err
	}
	return receipt, c.write(ctx, t, p, 0, o.Begin, &receipt)
}

// wasProven refuses a plan that is not the one that a proof was of.
func (p *plan) wasProven(digest string) error {
	if digest == "" {
		return nil
	}
	if shown, err := Shown(p.changes()); err != nil || shown != digest {
		return errors.Join(err, &ConflictError{Conflicts: []string{"what would be written is not what the proof run was on, because the original has changed since or something else is asked for; run it again"}})
	}
	return nil
}

func checkSide(s proofbox.Side) error {
	if s != "" && s != proofbox.TakeRun && s != proofbox.TakeOriginal {
		return invalid("%q is no side of a conflict: it is run or original", s)
	}
	return nil
}

// write carries out a plan and says in the receipt what it wrote.
func (c *Changes) write(ctx context.Context, t *target, p *plan, undoes int, begin func([]proofbox.Change) error, receipt *proofbox.KeepReceipt) error {
	todo := p.changes()
	if begin != nil {
		if err := begin(todo); err != nil {
			return err
		}
	}
	r, err := c.newRecord(receipt.Original, p.steps)
	if err != nil {
		return err
	}
	r.Undoes, r.Merged = undoes, p.merged
	if err := c.carryOut(ctx, t, r, p.steps); err != nil {
		return err
	}
	var done []recordStep
	for _, w := range p.done {
		done = append(done, recordStep{Path: w.Path, Hunks: w.hunks})
		w.After = result(w.Change)
		todo = append(todo, w.Change)
	}
	for i := range todo {
		todo[i].Kept = undoes == 0
	}
	slices.SortFunc(todo, byPath)
	receipt.Kept, receipt.Merged = todo, p.merged
	if len(done) == 0 {
		return nil
	}
	return c.keptSteps(done, undoes == 0)
}

func byPath(a, b proofbox.Change) int { return strings.Compare(string(a.Path), string(b.Path)) }

// choose gives what to apply, and what is refused.
func (c *Changes) choose(o KeepOptions) (chosen []wish, refused []proofbox.Change, err error) {
	wishes, err := c.wishes(o.KeepRequest)
	if err != nil {
		return nil, nil, err
	}
	selected := make([]proofbox.Change, len(wishes))
	for i, w := range wishes {
		selected[i] = w.Change
	}
	judged := c.withFolders(selected)
	for i := range judged {
		judged[i].Refused = c.refuses(o, judged[i])
	}
	openFolders(judged)
	spread(judged)
	parts := map[proofbox.Raw]selection{}
	for _, w := range wishes {
		parts[w.Path] = w.hunks
	}
	for _, change := range judged {
		if change.Refused == "" {
			chosen = append(chosen, wish{change, parts[change.Path]})
		} else {
			refused = append(refused, change)
		}
	}
	return chosen, refused, o.named(refused)
}

// wishes gives what a request asks for, sorted by path.
func (c *Changes) wishes(r proofbox.KeepRequest) ([]wish, error) {
	asked := 0
	for _, is := range []bool{r.All, r.Decided, r.Patch != "", len(r.Paths)+len(r.Hunks) > 0} {
		if is {
			asked++
		}
	}
	if asked != 1 {
		return nil, invalid("name paths or hunks to keep, give a patch, or keep everything with --all")
	}
	switch {
	case r.Patch != "":
		return c.patchWishes(r)
	case r.Decided || r.All:
		if err := c.wasShown(c.list.Changes, r.Shown); err != nil {
			return nil, err
		}
		return c.decidedWishes(r.Decided)
	}
	return c.namedWishes(r)
}

// wasShown refuses changes that are not those that somebody has seen.
func (c *Changes) wasShown(changes []proofbox.Change, shown string) error {
	if shown == "" {
		return nil
	}
	if digest, err := Shown(changes); err != nil || digest != shown {
		return errors.Join(err, &ConflictError{Conflicts: []string{"the changes are not those that were shown"}})
	}
	return nil
}

// decidedWishes gives what was decided to be kept, and, unless only that is
// asked for, what nobody has decided on.
func (c *Changes) decidedWishes(only bool) ([]wish, error) {
	var list []wish
	for _, change := range c.list.Changes {
		chosen, ok, err := c.chosenHunks(change, only)
		if err != nil {
			return nil, err
		}
		if ok {
			if len(chosen) == 0 {
				continue
			}
			w, err := c.partly(change, chosen)
			if err != nil {
				return nil, err
			}
			list = append(list, w)
			continue
		}
		if change.Choice == proofbox.Take || change.Choice == proofbox.Open && !only {
			list = append(list, wish{Change: change})
		}
	}
	return list, nil
}

// partly is the wish for some hunks of a change.
func (c *Changes) partly(change proofbox.Change, chosen selection) (wish, error) {
	part, err := c.part(change, chosen)
	return wish{part, chosen}, err
}

// namedWishes gives the paths and hunks that a request names. A path that is
// named whole is kept whole.
func (c *Changes) namedWishes(r proofbox.KeepRequest) ([]wish, error) {
	var list []wish
	whole := map[proofbox.Raw]bool{}
	if len(r.Paths) > 0 {
		selected, err := c.Select(r.Paths)
		if err != nil {
			return nil, err
		}
		if err := c.wasShown(selected, r.Shown); err != nil {
			return nil, err
		}
		for _, change := range selected {
			list, whole[change.Path] = append(list, wish{Change: change}), true
		}
	}
	parts := map[string]selection{}
	for _, ref := range r.Hunks {
		change, h, err := c.hunkAt(ref)
		if err != nil {
			return nil, err
		}
		if whole[change.Path] {
			continue
		}
		if parts[string(change.Path)] == nil {
			parts[string(change.Path)] = selection{}
		}
		parts[string(change.Path)].add(h.Hash, ref.Lines)
	}
	for path, chosen := range parts {
		at, _ := c.find(path)
		w, err := c.partly(c.list.Changes[at], chosen)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b wish) int { return byPath(a.Change, b.Change) })
	return list, nil
}

// withFolders adds the new folders that selected changes lie in. It gives a copy.
func (c *Changes) withFolders(selected []proofbox.Change) []proofbox.Change {
	list := slices.Clone(selected)
	have := make(map[string]bool, len(list))
	for _, change := range list {
		have[string(change.Path)] = true
	}
	for _, change := range selected {
		for dir := range folders(string(change.Path)) {
			if have[dir] {
				break // and then its own folders are there too
			}
			at, ok := c.find(dir)
			if !ok || c.list.Changes[at].Before.Kind != proofbox.Absent || change.After.Kind == proofbox.Absent {
				break
			}
			have[dir] = true
			list = append(list, c.list.Changes[at])
		}
	}
	slices.SortFunc(list, byPath)
	return list
}

// named makes an error of refused changes that were asked for by name.
func (o KeepOptions) named(refused []proofbox.Change) error {
	names := map[string]bool{}
	for _, p := range o.Paths {
		names[cleanPath(p)] = true
	}
	for _, ref := range o.Hunks {
		names[cleanPath(ref.Path)] = true
	}
	conflict := &ConflictError{}
	for _, change := range refused {
		if names[string(change.Path)] {
			conflict.add(change.Path, change.Refused)
		}
	}
	if len(conflict.Conflicts) > 0 {
		return conflict
	}
	return nil
}

// refuses says why a change is left out.
func (c *Changes) refuses(o KeepOptions, change proofbox.Change) string {
	switch {
	case change.Refused != "":
		return change.Refused
	case change.Drifted:
		return driftedWhy
	}
	if why := refusal(change); why != "" {
		return why
	}
	if why := c.from(o, change); why != "" {
		return why
	}
	return c.gate(o, change)
}
