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

	"proofbox"
	"proofbox/internal/audit"
	"proofbox/internal/workspace"
)

// undecided gives a run that has ended and whose changes are still there.
func (d *Daemon) undecided(name string) (*proofbox.Run, *workspace.Changes, error) {
	id, err := d.store.resolve(name)
	if err != nil {
		return nil, nil, err
	}
	run, err := d.store.load(id)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case run.State != proofbox.Ended:
		return nil, nil, &StateError{Run: id, Why: "it is still running; its changes are computed when it has ended: `proofbox stop " + id + "` ends it"}
	case run.Decision == proofbox.Discarded, run.Decision == proofbox.PartDiscarded:
		return nil, nil, &StateError{Run: id, Why: "its changes were discarded"}
	case run.Plan.Workspace == nil:
		return nil, nil, &StateError{Run: id, Why: "it had no workspace"}
	}
	changes, err := workspace.Load(filepath.Join(d.store.dir(id), changesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &StateError{Run: id, Why: "it has no changes to look at: " + run.Ended}
	}
	return run, changes, err
}

// Diff gives a run's changes.
func (d *Daemon) Diff(_ context.Context, name string, r proofbox.DiffRequest) (proofbox.Diff, error) {
	run, changes, err := d.undecided(name)
	if err != nil {
		return proofbox.Diff{}, err
	}
	selected, err := changes.Select(r.Paths)
	if err != nil {
		return proofbox.Diff{}, err
	}
	diff := proofbox.Diff{Run: run.ID, Original: run.Plan.Workspace.Original, Changes: selected}
	if diff.Shown, err = workspace.Shown(selected); err != nil || r.Stat {
		return diff, err
	}
	var text bytes.Buffer
	if err := changes.WriteUnified(&text, selected); err != nil {
		return diff, err
	}
	diff.Text = proofbox.Raw(text.String())
	return diff, nil
}

// Keep applies changes of a run to its original.
func (d *Daemon) Keep(ctx context.Context, name string, r proofbox.KeepRequest) (proofbox.KeepReceipt, error) {
	run, changes, err := d.undecided(name)
	if err != nil {
		return proofbox.KeepReceipt{}, err
	}
	begun := false
	receipt, err := changes.Keep(ctx, workspace.KeepOptions{
		Original: run.Plan.Workspace.Original, All: r.All, Paths: r.Paths, Shown: r.Shown,
		Begin: func(todo []proofbox.Change) error {
			shown, err := workspace.Shown(todo)
			if err != nil {
				return err
			}
			begun = true
			return d.note(ctx, "keeping", run.ID, keeping{Paths: len(todo), Shown: shown})
		},
	})
	receipt.Run = run.ID
	if !begun {
		return receipt, err
	}
	// What was written is recorded also where the keep has failed half way, and
	// where whoever asked has gone.
	return receipt, errors.Join(err, d.recordKeep(context.WithoutCancel(ctx), run, changes, receipt, err))
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
func (d *Daemon) recordKeep(ctx context.Context, run *proofbox.Run, c *workspace.Changes, receipt proofbox.KeepReceipt, failure error) error {
	run.Decision = decision(c)
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
		d.note(ctx, "keep", run.ID, entry),
		d.store.save(run))
}

// decision says what has become of the changes.
func decision(c *workspace.Changes) proofbox.Decision {
	kept := 0
	for _, change := range c.List() {
		if change.Kept {
			kept++
		}
	}
	switch kept {
	case 0:
		return proofbox.Undecided
	case len(c.List()):
		return proofbox.Kept
	}
	return proofbox.PartKept
}

// Discard throws away what is left of a run's changes.
func (d *Daemon) Discard(ctx context.Context, name string) (proofbox.Run, error) {
	run, changes, err := d.undecided(name)
	if err != nil {
		return proofbox.Run{}, err
	}
	kept := decision(changes)
	if err := changes.Discard(); err != nil {
		return *run, err
	}
	run.Decision = proofbox.Discarded
	if kept != proofbox.Undecided {
		run.Decision = proofbox.PartDiscarded
	}
	return *run, errors.Join(d.note(ctx, "discard", run.ID, run.Changes), d.store.save(run))
}
