package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/box"
	"proofbox/internal/breakout"
)

// Breakout tries to break out of a wall of this host.
func (d *Daemon) Breakout(ctx context.Context, req proofbox.TrialRequest, progress func(proofbox.Event)) (proofbox.Trial, error) {
	if req.Only != "" && req.Attack != nil {
		return proofbox.Trial{}, errors.New("a trial is either of some probes or of a script")
	}
	probes, err := breakout.Select(req.Only)
	if err != nil {
		return proofbox.Trial{}, err
	}
	state := d.wallState(ctx, req.Wall)
	if !state.Available {
		return proofbox.Trial{}, fmt.Errorf("the wall %q cannot be tried on this host: %s", req.Wall, state.Why)
	}
	trial := &breakout.Trial{
		Wall: req.Wall, Accelerator: state.Accelerator, Program: d.programs.attack, Probes: probes,
		Progress: func(text string) { progress(proofbox.Event{Progress: text}) },
	}
	switch {
	case req.Attack != nil:
		return d.trial(ctx, trial, func(ctx context.Context) (proofbox.Trial, error) {
			return trial.Script(ctx, req.Attack)
		})
	case req.Only != "":
		return d.trial(ctx, trial, trial.Run)
	}
	trial.Uses = true
	return d.wholeTrial(ctx, trial)
}

// wholeTrial tries a wall with the whole suite, and certifies what was found.
func (d *Daemon) wholeTrial(ctx context.Context, t *breakout.Trial) (proofbox.Trial, error) {
	parts, err := d.parts(t.Wall)
	if err != nil {
		return proofbox.Trial{}, err
	}
	report, err := d.trial(ctx, t, t.Run)
	if err != nil {
		return report, err
	}
	report.Certificate, err = d.certify(ctx, report, parts)
	return report, err
}

// Probes lists what a trial attempts.
func (d *Daemon) Probes(context.Context) ([]proofbox.ProbeInfo, error) {
	return breakout.Describe(breakout.Table()), nil
}

// trial carries a trial out in a folder of its own, whose journal has whatever
// the trial makes on the host.
func (d *Daemon) trial(ctx context.Context, t *breakout.Trial, run func(context.Context) (proofbox.Trial, error)) (proofbox.Trial, error) {
	d.trials.Add(1)
	defer d.trials.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.closing, func() { cancel(errors.New("the trial was ended")) })()
	id, lock, err := d.store.create()
	if err != nil {
		return proofbox.Trial{}, err
	}
	defer lock.Close()
	stage := &trialStage{daemon: d, dir: d.store.dir(id)}
	if stage.journal, err = box.NewJournal(stage.dir); err != nil {
		return proofbox.Trial{}, errors.Join(err, d.store.settle(id))
	}
	t.Boxes, t.Dir = stage, stage.dir
	report, err := run(ctx)
	if left := stage.clear(context.WithoutCancel(ctx)); left != nil {
		return report, errors.Join(err, left) // the mark stays, and the next command tries again
	}
	return report, errors.Join(err, d.store.settle(id), d.store.forget(id))
}

// trialStage is the host's side of a trial.
type trialStage struct {
	daemon *Daemon
	dir    string

	mu      sync.Mutex
	journal *box.Journal
	objects []box.Object // guarded by mu
}

var _ breakout.Boxes = (*trialStage)(nil)

// Note implements [breakout.Boxes].
func (t *trialStage) Note(o box.Object) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.journal.Note(o); err != nil {
		return err
	}
	t.objects = append(t.objects, o)
	return nil
}

// API implements [breakout.Boxes].
func (t *trialStage) API(address, token string) http.Handler {
	if address == "" {
		return t.daemon.Handler()
	}
	return api.Guard(t.daemon.Handler(), address, token)
}

// Scan implements [breakout.Boxes].
func (t *trialStage) Scan(ctx context.Context, path string) (proofbox.Scan, error) {
	return t.daemon.Scan(ctx, path, false)
}

// clear removes what the trial has planted and verifies that it is gone.
func (t *trialStage) clear(ctx context.Context) error {
	account := box.Release(ctx, t.objects)
	err := t.journal.Close()
	for _, o := range account {
		if !o.Gone {
			err = errors.Join(err, fmt.Errorf("the trial has left the %s %q: %s", o.Kind, o.Name, o.Found))
		}
	}
	return err
}

// Start implements [breakout.Boxes]: it begins a run as [Daemon.Run] does.
func (t *trialStage) Start(ctx context.Context, s breakout.Start) (breakout.Box, error) {
	if s.Monitor {
		return t.intrude(ctx, s)
	}
	req := proofbox.RunRequest{
		Spec: proofbox.Spec{
			Name: "breakout", Wall: s.Wall, Risk: proofbox.Risk{Code: proofbox.Reviewed},
			Workspace: proofbox.Workspace{Original: s.Workspace, Hide: s.Hide}, Limits: s.Limits, Egress: s.Egress, Secrets: s.Secrets,
		},
		Command: []string{breakout.AttackProgram, "wait"}, Stdin: true,
	}
	session, err := t.daemon.begin(ctx, req, &tried{weakness: s.Weakness, world: s.World, passing: true})
	if err != nil {
		return nil, err
	}
	return superviseTrial(ctx, session, req)
}
