package daemon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"proofbox"
	"proofbox/internal/audit"
	"proofbox/internal/workspace"
)

// undecided gives a run that has ended and whose changes are still there.
func (d *Daemon) undecided(ctx context.Context, name string) (*proofbox.Run, *workspace.Changes, error) {
	run, changes, err := d.changed(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if run.Decision == proofbox.Discarded || run.Decision == proofbox.PartDiscarded {
		return nil, nil, &StateError{Run: run.ID, Why: "its changes were discarded"}
	}
	return run, changes, nil
}

// changed gives a run that has ended, and what is left of its changes.
func (d *Daemon) changed(ctx context.Context, name string) (*proofbox.Run, *workspace.Changes, error) {
	id, err := d.store.resolve(name)
	if err != nil {
		return nil, nil, err
	}
	if err := d.recoverKeep(ctx, id); err != nil {
		return nil, nil, fmt.Errorf("ending a keep of the run %q that was interrupted: %w", id, err)
	}
	run, err := d.store.load(id)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case run.State != proofbox.Ended:
		return nil, nil, &StateError{Run: id, Why: "it is still running; its changes are computed when it has ended: `proofbox stop " + id + "` ends it"}
	case run.Decision == proofbox.Discarded:
		return nil, nil, &StateError{Run: id, Why: "its changes were discarded"}
	case run.Plan.Workspace == nil:
		return nil, nil, &StateError{Run: id, Why: "it had no workspace"}
	}
	changes, err := d.shelf.Load(filepath.Join(d.store.dir(id), changesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &StateError{Run: id, Why: "it has no changes to look at: " + run.Ended}
	}
	return run, changes, err
}

// maxPatch is from how many bytes on a patch gets no more of what is no text:
// `keep --patch` reads as much.
const maxPatch = 48 << 20

// maxShown is from how many bytes of text on a diff shows no further lines: what a
// box has written may be as large as its disk, and takes many times that to compare.
const maxShown = 16 << 20

// Diff gives a run's changes.
func (d *Daemon) Diff(ctx context.Context, name string, r proofbox.DiffRequest) (proofbox.Diff, error) {
	run, changes, err := d.undecided(ctx, name)
	if err != nil {
		return proofbox.Diff{}, err
	}
	selected, err := changes.Select(r.Paths)
	if err != nil {
		return proofbox.Diff{}, err
	}
	diff := proofbox.Diff{Run: run.ID, Original: run.Plan.Workspace.Original, Changes: selected, WritersUnknown: changes.WritersUnknown()}
	if diff.Shown, err = workspace.Shown(selected); err != nil {
		return diff, err
	}
	if len(r.Paths) == 0 {
		if diff.Staged, err = d.staged(run.ID, !r.Stat); err != nil {
			return diff, err
		}
	}
	if len(selected) > workspace.MaxListed {
		diff.Changes, diff.Folders = []proofbox.Change{}, workspace.Sum(selected, r.Paths)
		return diff, nil
	}
	rejections := d.rejections(run)
	if r.Stat {
		return diff, rejections.Tell(run.ID, diff.Changes) // they were loaded for this call alone
	}
	var text, patch bytes.Buffer
	diff.Changes = slices.Clone(selected)
	for i := range diff.Changes {
		c := &diff.Changes[i]
		if text.Len() > maxShown {
			*c = workspace.LeftOut(*c)
		}
		if c.Hunks, err = changes.Hunks(*c); err != nil {
			return diff, err
		}
		at := text.Len()
		if err := changes.WriteUnified(&text, diff.Changes[i:i+1]); err != nil {
			return diff, err
		}
		c.Patched = workspace.Patched(*c, r.Binary && patch.Len() < maxPatch)
		switch {
		case c.Patched && (c.Binary || c.Large):
			err = changes.WritePatch(&patch, diff.Changes[i:i+1])
		case c.Patched:
			patch.Write(text.Bytes()[at:])
		}
		if err != nil {
			return diff, err
		}
	}
	diff.Text, diff.Patch = proofbox.Raw(text.String()), proofbox.Raw(patch.String())
	return diff, rejections.Tell(run.ID, diff.Changes)
}

// rejections are those of a run's original.
func (d *Daemon) rejections(run *proofbox.Run) *workspace.Rejections {
	return workspace.OpenRejections(filepath.Join(d.store.home, "rejected"), run.Plan.Workspace.Original)
}

// Decide notes choices about a run's changes.
func (d *Daemon) Decide(ctx context.Context, name string, r proofbox.ChoiceRequest) (proofbox.Run, error) {
	run, changes, err := d.undecided(ctx, name)
	if err != nil {
		return proofbox.Run{}, err
	}
	if err := changes.Decide(r); err != nil {
		return *run, err
	}
	return *run, d.rejections(run).Note(run.ID, run.Plan.Workspace.Original, changes, r)
}

// Keep applies changes of a run to its original.
func (d *Daemon) Keep(ctx context.Context, name string, r proofbox.KeepRequest) (proofbox.KeepReceipt, error) {
	run, changes, err := d.undecided(ctx, name)
	if err != nil {
		return proofbox.KeepReceipt{}, err
	}
	proof, err := d.proven(run.ID, r.Proven)
	if err != nil {
		return proofbox.KeepReceipt{}, err
	}
	if r.Commit != nil {
		return d.commit(ctx, run, changes, r)
	}
	return d.writing(ctx, run, changes, "keep", func(begin func([]proofbox.Change) error) (proofbox.KeepReceipt, error) {
		receipt, err := changes.Keep(ctx, workspace.KeepOptions{Original: run.Plan.Workspace.Original, KeepRequest: r, Begin: begin})
		receipt.Proof = proof
		return receipt, err
	})
}

// Undo takes back what the last keep of a run has written, also where what was
// left of its changes was discarded.
func (d *Daemon) Undo(ctx context.Context, name string, r proofbox.UndoRequest) (proofbox.KeepReceipt, error) {
	run, changes, err := d.changed(ctx, name)
	if err != nil {
		return proofbox.KeepReceipt{}, err
	}
	return d.writing(ctx, run, changes, "undo", func(begin func([]proofbox.Change) error) (proofbox.KeepReceipt, error) {
		return changes.Undo(ctx, workspace.UndoOptions{Original: run.Plan.Workspace.Original, UndoRequest: r, Begin: begin})
	})
}

// writing does a keep or an undo. Before its first byte is written it is in the
// audit log, and marked: whoever finds the mark without this process ends what
// it has begun.
func (d *Daemon) writing(ctx context.Context, run *proofbox.Run, c *workspace.Changes, kind string, write func(begin func([]proofbox.Change) error) (proofbox.KeepReceipt, error)) (proofbox.KeepReceipt, error) {
	begun := false
	receipt, err := write(func(todo []proofbox.Change) error {
		shown, err := workspace.Shown(todo)
		if err != nil {
			return err
		}
		begun = true
		if err := d.store.markKeeping(run.ID); err != nil {
			return err
		}
		return d.note(ctx, kind+"ing", run.ID, keeping{Paths: len(todo), Shown: shown})
	})
	receipt.Run = run.ID
	if !begun {
		return receipt, err
	}
	// What was written is recorded also where it has failed half way, and where
	// whoever asked has gone.
	ending := d.recordKeep(context.WithoutCancel(ctx), run, c, kind, receipt, err)
	if err != nil {
		return receipt, errors.Join(err, ending, d.endKeeping(run.ID, c))
	}
	return receipt, errors.Join(ending, d.store.unmarkKeeping(run.ID))
}

// endKeeping takes the mark away where nothing is left to be done.
func (d *Daemon) endKeeping(id string, c *workspace.Changes) error {
	open, err := c.Interrupted()
	if err != nil || open {
		return err
	}
	return d.store.unmarkKeeping(id)
}

// recoverKeeps ends the keeps whose processes have died. What stands in the way
// of one must not stop commands that have nothing to do with it: its mark stays,
// the next command tries again, and those about the run itself give the error.
func (d *Daemon) recoverKeeps(ctx context.Context) error {
	ids, err := d.store.keepingIDs()
	for _, id := range ids {
		_ = d.recoverKeep(ctx, id)
	}
	return err
}

// recoverKeep does so for one run, where its mark is there.
func (d *Daemon) recoverKeep(ctx context.Context, id string) error {
	if !d.store.isKeeping(id) {
		return nil
	}
	run, err := d.store.load(id)
	if err != nil {
		return err
	}
	changes, err := workspace.Load(filepath.Join(d.store.dir(id), changesDir))
	if err != nil {
		return err
	}
	found, err := changes.Recover()
	if err != nil {
		return err
	}
	if found {
		run.Decision = decision(changes, run.Decision)
		err = errors.Join(d.note(ctx, "keep recovered", id, nil), d.store.save(run))
	}
	return errors.Join(err, d.endKeeping(id, changes))
}

// keeping is what the audit log holds before the first byte of a keep is
// written: how many paths, and the digest of what they will be.
type keeping struct {
	Paths int    `json:"paths"`
	Shown string `json:"shown"`
}

// keep is what the audit log holds of a keep. The paths are in the receipt,
// which the digest binds.
type keep struct {
	Kept    int    `json:"kept"`
	Refused int    `json:"refused"`
	Receipt string `json:"receipt"` // digest of the receipt's file
	Error   string `json:"error,omitempty"`
}

// recordKeep signs the receipt of a keep and records it. Each keep of a run has
// a receipt of its own.
func (d *Daemon) recordKeep(ctx context.Context, run *proofbox.Run, c *workspace.Changes, kind string, receipt proofbox.KeepReceipt, failure error) error {
	run.Decision = decision(c, run.Decision)
	signed, err := d.key.SignReceipt(ctx, run.ID, audit.KeepPredicate, receipt)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(signed)
	entry := keep{Kept: len(receipt.Kept), Refused: len(receipt.Refused), Receipt: "sha256:" + hex.EncodeToString(sum[:])}
	if failure != nil {
		entry.Error = failure.Error()
	}
	name := fmt.Sprintf(keepFile, hex.EncodeToString(sum[:8]))
	return errors.Join(
		writeFile(filepath.Join(d.store.dir(run.ID), name), signed),
		d.note(ctx, kind, run.ID, entry),
		d.store.save(run))
}

// decision says what has become of the changes, after what was decided before.
func decision(c *workspace.Changes, before proofbox.Decision) proofbox.Decision {
	kept, all := c.Kept()
	switch {
	case before == proofbox.PartDiscarded && c.Undoable():
		return before
	case before == proofbox.PartDiscarded:
		return proofbox.Discarded
	case kept == 0:
		return proofbox.Undecided
	case all:
		return proofbox.Kept
	}
	return proofbox.PartKept
}

// Discard throws away what is left of a run's changes.
func (d *Daemon) Discard(ctx context.Context, name string) (proofbox.Run, error) {
	run, changes, err := d.undecided(ctx, name)
	if err != nil {
		return proofbox.Run{}, err
	}
	kept := decision(changes, run.Decision)
	if err := changes.Discard(); err != nil {
		return *run, err
	}
	run.Decision = proofbox.Discarded
	if kept != proofbox.Undecided {
		run.Decision = proofbox.PartDiscarded
	}
	return *run, errors.Join(d.note(ctx, "discard", run.ID, run.Changes), d.store.save(run), d.drop(run.ID))
}
