package workspace

import (
	"context"
	"errors"

	"proofbox"
)

// UndoOptions say how to take back a keep.
type UndoOptions struct {
	Original string
	proofbox.UndoRequest
	// Begin is as in [KeepOptions].
	Begin func(todo []proofbox.Change) error
}

// NothingToUndoError says that nothing of a run is in the original.
type NothingToUndoError struct{}

func (e *NothingToUndoError) Error() string {
	return "nothing of this run was kept, or it was taken back already; there is nothing to undo"
}

// Conflict marks the error for the API.
func (e *NothingToUndoError) Conflict() bool { return true }

// Undo takes back what the last keep has written: every path gets exactly the
// bytes, the mode and the kind that it had. A path that was edited since is
// merged by content, with what the keep had written as the base; a conflict has
// nothing written. The undo is a keep itself: crash-safe, with a receipt.
func (c *Changes) Undo(ctx context.Context, o UndoOptions) (proofbox.KeepReceipt, error) {
	receipt := proofbox.KeepReceipt{Original: o.Original, Kept: []proofbox.Change{}, Undid: true}
	if err := checkSide(o.Conflict); err != nil {
		return receipt, err
	}
	t, err := openTarget(o.Original)
	if err != nil {
		return receipt, err
	}
	defer t.close()
	if err := c.recoverIn(t); err != nil {
		return receipt, err
	}
	r, err := c.lastKeep()
	if err != nil {
		return receipt, err
	}
	p, err := c.plan(ctx, t, r.reversed(), o.Conflict)
	if conflict, ok := errors.AsType[*ConflictError](err); ok {
		conflict.Verb = "undone"
	}
	if err != nil {
		return receipt, err
	}
	return receipt, c.write(ctx, t, p, r.N, o.Begin, &receipt)
}

// lastKeep gives the last keep that is still in the original.
func (c *Changes) lastKeep() (*record, error) {
	for r, err := range c.records() {
		if err != nil {
			return nil, err
		}
		if r.Stage == finished && r.Undoes == 0 {
			return r, nil
		}
	}
	return nil, &NothingToUndoError{}
}

// reversed gives the record's steps the other way round.
func (r *record) reversed() []wish {
	list := make([]wish, len(r.Steps))
	for i, s := range r.Steps {
		list[i] = wish{proofbox.Change{Path: s.Path, Before: s.After, After: s.Before}, s.Hunks}
	}
	return list
}

// Undoable says whether a keep is in the original that was not taken back.
func (c *Changes) Undoable() bool {
	_, err := c.lastKeep()
	return err == nil
}
