package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/workspace"
)

// proofFile holds a run's last proof.
const proofFile = "proof.json"

// maxProof bounds it, in bytes.
const maxProof = 16 << 20

// Prove runs a command on the original with what a keep would write, in fresh
// boxes of the run's terms. Where it fails with everything, and passes with
// nothing, the first set that fails is searched by halves. Nothing is written.
func (d *Daemon) Prove(ctx context.Context, name string, r proofbox.ProofRequest, io api.Session) (proofbox.Proof, error) {
	run, changes, err := d.undecided(ctx, name)
	if err != nil {
		return proofbox.Proof{}, err
	}
	whole, err := changes.Propose(workspace.KeepOptions{Original: run.Plan.Workspace.Original, KeepRequest: r.Keep})
	if err != nil {
		return proofbox.Proof{}, err
	}
	if whole.Len() == 0 {
		return proofbox.Proof{}, &StateError{Run: run.ID, Why: "nothing of what was chosen would be kept, so there is nothing to prove" + firstRefusal(whole.Refused)}
	}
	p := &prover{daemon: d, run: run, io: io, proof: proofbox.Proof{Run: run.ID, Command: r.Command, Tries: []proofbox.ProofTry{}}}
	if err := p.prove(ctx, whole); err != nil {
		return p.proof, err
	}
	return p.proof, errors.Join(
		writeJSON(filepath.Join(d.store.dir(run.ID), proofFile), p.proof),
		d.note(ctx, "proof", run.ID, p.proof))
}

func firstRefusal(refused []proofbox.Change) string {
	if len(refused) == 0 {
		return ""
	}
	return fmt.Sprintf(": %q: %s", refused[0].Path, refused[0].Refused)
}

// proven gives the proof that a keep is bound to; nil where it is bound to none.
func (d *Daemon) proven(run, digest string) (*proofbox.Proof, error) {
	if digest == "" {
		return nil, nil
	}
	path := filepath.Join(d.store.dir(run), proofFile)
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxProof {
		return nil, fmt.Errorf("the proof of the run %q is %d bytes long", run, info.Size())
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the proof of the run %q: %w", run, err)
	}
	var p proofbox.Proof
	if err == nil {
		if err := json.Unmarshal(data, &p); err != nil {
			return nil, fmt.Errorf("reading the proof of the run %q: %w", run, err)
		}
	}
	if !p.Passed || p.Shown != digest {
		return nil, &StateError{Run: run, Why: "nothing was kept: its last proof is not the one that the keep is bound to"}
	}
	return &p, nil
}

// prover carries a proof out, one box after the other.
type prover struct {
	daemon *Daemon
	run    *proofbox.Run
	io     api.Session
	proof  proofbox.Proof
}

func (p *prover) prove(ctx context.Context, whole *workspace.Proposal) error {
	n := whole.Len()
	p.say("proving with everything that would be kept")
	base, try, err := p.try(ctx, whole, p.io, proofbox.ProofTry{Kept: n})
	if err != nil {
		return err
	}
	if p.proof.Shown, p.proof.Passed = base, try.Passed; try.Passed {
		return nil
	}
	p.say("it fails: proving without any of it")
	if _, try, err = p.try(ctx, whole.First(0), quiet(), proofbox.ProofTry{}); err != nil || !try.Passed {
		return err
	}
	kept, err := firstFailing(n, func(kept int) (bool, error) {
		p.say(fmt.Sprintf("searching the first set that fails: the first %d of %d", kept, n))
		_, try, err := p.try(ctx, whole.First(kept), quiet(), proofbox.ProofTry{Kept: kept})
		return try.Passed, err
	})
	if err != nil {
		return err
	}
	return p.inside(ctx, whole.First(kept))
}

// inside names the first set that fails, and searches among the hunks of its
// last part which one it is.
func (p *prover) inside(ctx context.Context, set *workspace.Proposal) error {
	p.proof.First = &proofbox.FailingSet{Paths: set.Paths(), Last: set.Last()}
	hunks, err := set.Hunks()
	if err != nil || len(hunks) < 2 {
		return err
	}
	last, err := firstFailing(len(hunks), func(n int) (bool, error) {
		p.say(fmt.Sprintf("searching the first hunk of %q with which it fails: the first %d of %d", set.Last()[0], n, len(hunks)))
		some, err := set.FirstHunks(n)
		if err != nil {
			return false, err
		}
		_, try, err := p.try(ctx, some, quiet(), proofbox.ProofTry{Kept: set.Len() - 1, Hunks: n})
		return try.Passed, err
	})
	if err == nil {
		p.proof.First.Hunk = hunks[last-1].Head()
	}
	return err
}

// firstFailing gives the smallest number with which something fails that passes with
// 0 and fails with n. What lies between is halved; where it passes again after it
// has failed, the number is one of several at which it begins to fail.
func firstFailing(n int, passes func(int) (bool, error)) (int, error) {
	good, bad := 0, n
	for bad-good > 1 {
		middle := (good + bad) / 2
		ok, err := passes(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			good = middle
		} else {
			bad = middle
		}
	}
	return bad, nil
}

func (p *prover) say(text string) { p.io.Event(proofbox.Event{Progress: text}) }

// quiet is the session of a box that nobody listens to.
func quiet() api.Session {
	return api.Session{Event: func(proofbox.Event) {}, Drive: func(api.Driver) {}}
}

// try runs the command on a proposal, in a box whose record is not kept among
// the runs. It gives the digest of what was written.
func (p *prover) try(ctx context.Context, what *workspace.Proposal, io api.Session, try proofbox.ProofTry) (string, proofbox.ProofTry, error) {
	spec := p.run.Plan.Spec
	spec.Name, spec.Wall = "", p.run.Wall
	req := proofbox.RunRequest{Spec: spec, Command: p.proof.Command, Stdin: io.Stdin != nil}
	s, err := p.daemon.begin(ctx, req, &tried{proves: p.run.ID, proposal: what})
	if err != nil {
		return "", try, err
	}
	err = errors.Join(s.supervise(ctx, req, io), context.Cause(ctx))
	if s.run.Teardown.Clean {
		err = errors.Join(err, p.daemon.store.forget(s.run.ID))
	}
	if err == nil && s.run.Started.IsZero() {
		err = fmt.Errorf("the box of the proof has not started: %s", s.run.Ended)
	}
	if err != nil {
		return "", try, err
	}
	try.Ended, try.ExitCode, try.Passed = s.run.Ended, s.run.ExitCode, s.run.ExitCode == 0
	p.proof.Tries = append(p.proof.Tries, try)
	return s.base.Written, try, nil
}
