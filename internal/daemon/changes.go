package daemon

import (
	"bytes"
	"context"
	"errors"
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
		return nil, nil, &StateError{Run: id, Why: "it is still running; its changes are computed when it has ended"}
	case run.Decision == proofbox.Discarded, run.Decision == proofbox.PartDiscarded:
		return nil, nil, &StateError{Run: id, Why: "its changes were discarded"}
	case run.Plan.Workspace == nil:
		return nil, nil, &StateError{Run: id, Why: "it had no workspace"}
	}
	changes, err := workspace.Load(filepath.Join(d.store.dir(id), changesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &StateError{Run: id, Why: "its changes are lost: " + run.Ended}
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
	diff := proofbox.Diff{Run: run.ID, Changes: selected}
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
	receipt, err := changes.Keep(ctx, workspace.KeepOptions{
		Original: run.Plan.Workspace.Original, All: r.All, Paths: r.Paths, Shown: r.Shown,
	})
	receipt.Run = run.ID
	if err != nil {
		return receipt, err
	}
	run.Decision = decision(changes)
	signed, err := d.key.SignReceipt(ctx, run.ID, audit.KeepPredicate, receipt)
	if err == nil {
		err = writeFile(filepath.Join(d.store.dir(run.ID), keepFile), signed)
	}
	return receipt, errors.Join(err, d.note(ctx, "keep", run.ID, receipt), d.store.save(run))
}

// decision says what has become of the changes.
func decision(c *workspace.Changes) proofbox.Decision {
	for _, change := range c.List() {
		if !change.Kept {
			return proofbox.PartKept
		}
	}
	return proofbox.Kept
}

// Discard throws away what is left of a run's changes.
func (d *Daemon) Discard(ctx context.Context, name string) (proofbox.Run, error) {
	run, changes, err := d.undecided(name)
	if err != nil {
		return proofbox.Run{}, err
	}
	if err := changes.Discard(); err != nil {
		return *run, err
	}
	if run.Decision == proofbox.PartKept || run.Decision == proofbox.Kept {
		run.Decision = proofbox.PartDiscarded
	} else {
		run.Decision = proofbox.Discarded
	}
	return *run, errors.Join(d.note(ctx, "discard", run.ID, run.Changes), d.store.save(run))
}
