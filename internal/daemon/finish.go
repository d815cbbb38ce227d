package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"proofbox"
	"proofbox/internal/audit"
	"proofbox/internal/box"
)

// note journals an object that the run itself makes.
func (s *session) note(o box.Object) error {
	if err := s.journal.Note(o); err != nil {
		return err
	}
	s.objects = append(s.objects, o)
	return nil
}

// account adds to what is known of the run's host objects.
func (s *session) account(objects []proofbox.HostObject) {
	s.released = append(s.released, objects...)
}

// finish takes down whatever the run has made, at whatever point it has got to,
// and writes the final record. It goes on after errors.
func (s *session) finish(ctx context.Context) error {
	err := s.end(ctx)
	s.daemon.dismiss(s)
	close(s.done)
	if s.control != nil {
		s.control.drain()
	}
	return err
}

func (s *session) end(ctx context.Context) error {
	err := s.takeDown(ctx)
	teardown := proofbox.Teardown{
		Run: s.run.ID, Clean: box.Clean(s.released), Time: time.Now().UTC(), Objects: s.released, By: "supervisor",
	}
	s.run.Finish, s.run.State, s.run.Teardown = teardown.Time, proofbox.Ended, &teardown
	if s.run.Ended == "" {
		s.run.Ended = "proofbox could not start the run"
	}
	if lost := s.trace.close(ctx, s.run); lost != nil {
		s.warn(lost)
	}
	err = errors.Join(err, s.daemon.conclude(ctx, s.run))
	if teardown.Clean && !s.owes { // else the mark stays, and the next command tries again
		err = errors.Join(err, s.daemon.store.settle(s.run.ID))
	}
	return errors.Join(err, s.lock.Close())
}

// takeDown ends the box, collects its changes and releases what it held.
func (s *session) takeDown(ctx context.Context) error {
	var err error
	if s.box != nil {
		s.box.TakeDown(ctx)
		s.writers.Close()
		if err = s.collect(ctx); err != nil {
			s.run.Ended = fmt.Sprintf("%s, but its changes are lost: %v", s.run.Ended, err)
			s.run.ExitCode = proofbox.ExitFailed
		}
	}
	if s.gateway != nil {
		err = errors.Join(err, s.gateway.Close())
		s.endModels()
		s.listCalls()
		s.endRecording()
		unsettled := s.daemon.settle(ctx, s.run)
		s.owes = unsettled != nil
		err = errors.Join(err, unsettled)
	}
	err = errors.Join(err, s.lookBack(ctx))
	if s.ready != nil {
		account, closeErr := s.ready.Close(ctx)
		s.account(account)
		err = errors.Join(err, closeErr)
	}
	if s.box != nil {
		account, closeErr := s.box.Close(ctx)
		s.account(account)
		err = errors.Join(err, closeErr)
	}
	if s.control != nil {
		err = errors.Join(err, s.control.close())
	}
	if s.output != nil {
		err = errors.Join(err, s.output.close())
	}
	s.account(box.Release(ctx, s.objects))
	if s.journal != nil {
		err = errors.Join(err, s.journal.Close())
	}
	return err
}

// endRecording says in the record what was recorded. What could not be is no reason
// to lose the rest.
func (s *session) endRecording() {
	w := s.prepared.recording
	if w == nil {
		return
	}
	kept, err := w.Close()
	s.run.Recording = &kept
	if err != nil {
		s.run.Warnings = append(s.run.Warnings, fmt.Sprintf("the recording is not complete: %v", err))
	}
}

// listCalls takes the gateway's ledger into the record.
func (s *session) listCalls() {
	calls, missing := s.gateway.Calls()
	s.run.Egress, s.run.Denied = calls, s.gateway.Denied()
	for _, text := range s.gateway.Alarms() {
		s.run.Warnings = append(s.run.Warnings, "ALARM: "+text)
	}
	if missing > 0 {
		s.run.Warnings = append(s.run.Warnings, fmt.Sprintf("%d connections more were asked for than the record lists", missing))
	}
}

// collect computes the run's changes, after all processes of the box have
// ended.
func (s *session) collect(ctx context.Context) error {
	if s.base == nil || s.proposal != nil || s.weakness.Root {
		// What root in a trial's box has written, an ordinary user could not
		// read; nobody asks for it.
		return nil
	}
	upper, err := s.box.Upper()
	if err != nil {
		return err
	}
	defer upper.Close()
	changes, err := s.base.Collect(ctx, upper, filepath.Join(s.daemon.store.dir(s.run.ID), changesDir))
	if err != nil {
		return err
	}
	if err := changes.Attribute(s.wrote(upper)); err != nil {
		return err
	}
	s.run.Changes = changes.Tally()
	s.run.Warnings = append(s.run.Warnings, changes.Warnings()...)
	return nil
}

// conclude signs a run's teardown, records its end and saves it.
func (d *Daemon) conclude(ctx context.Context, run *proofbox.Run) error {
	receipt, err := d.key.SignReceipt(ctx, run.ID, audit.TeardownPredicate, run.Teardown)
	if err == nil {
		err = writeFile(filepath.Join(d.store.dir(run.ID), teardownFile), receipt)
	}
	return errors.Join(err,
		d.note(ctx, "end", run.ID, ending{run.Ended, run.ExitCode, run.Changes}),
		d.note(ctx, "teardown", run.ID, run.Teardown),
		d.store.save(run))
}

// ending is what the audit log holds of a run's end.
type ending struct {
	Ended    string         `json:"ended"`
	ExitCode int            `json:"exit_code"`
	Changes  proofbox.Tally `json:"changes"`
}
