package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"proofbox"
	"proofbox/internal/box"
)

// reap takes down what the runs of dead supervisors have left on the host.
func (d *Daemon) reap(ctx context.Context) error {
	ids, err := d.store.liveIDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		lock, err := d.store.orphan(id)
		if err != nil {
			return err
		}
		if lock == nil {
			continue
		}
		err = d.reapRun(ctx, id)
		if err := errors.Join(err, lock.Close()); err != nil {
			return fmt.Errorf("taking down the run %q, whose supervisor has died: %w", id, err)
		}
	}
	return nil
}

func (d *Daemon) reapRun(ctx context.Context, id string) error {
	objects, err := box.Reap(ctx, d.store.dir(id))
	if err != nil {
		return err
	}
	run, err := d.store.load(id)
	if errors.Is(err, fs.ErrNotExist) {
		return d.reapUnrecorded(id, objects)
	}
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	if run.State != proofbox.Ended {
		run.State, run.Ended, run.ExitCode, run.Finish = proofbox.Ended, "its supervisor died", proofbox.ExitFailed, now
	}
	if err := errors.Join(d.recallDenied(run), d.settle(ctx, run)); err != nil {
		return err
	}
	run.Teardown = &proofbox.Teardown{Run: id, Clean: box.Clean(objects), Time: now, Objects: objects, By: "reaper"}
	if err := d.conclude(ctx, run); err != nil {
		return err
	}
	if !run.Teardown.Clean {
		return nil // the mark stays, and the next command tries again
	}
	if err := d.store.settle(id); err != nil || run.Proves == "" && !run.Passing {
		return err
	}
	return d.store.forget(id)
}

// reapUnrecorded ends what never has a record: a trial, whose journal has what it
// had planted, and a run that died before it was given one.
func (d *Daemon) reapUnrecorded(id string, objects []proofbox.HostObject) error {
	if !box.Clean(objects) {
		return nil // the mark stays, and the next command tries again
	}
	return errors.Join(d.store.settle(id), d.store.forget(id))
}
