package cli

import (
	"context"
	"fmt"
	"strings"

	"proofbox"
	"proofbox/internal/terminal"
)

// prove runs a command on what a keep would leave, and binds the keep to that.
// A command that fails is an error that says with which changes it begins to.
func (a *app) prove(ctx context.Context, d proofbox.Diff, req *proofbox.KeepRequest, args []string) error {
	s, err := a.session(false)
	if err != nil {
		return err
	}
	defer s.restore()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go s.forward(ctx, cancel)
	progress := a.newProgress()
	command := s.command(proofbox.Spec{}, args)
	if a.json {
		command.Stdout = command.Stderr
	}
	command.Event = func(e proofbox.Event) {
		progress.hear(e)
		if e.Running {
			s.begun.Store(true)
		}
	}
	proof, err := a.client.Prove(ctx, d.Run, *req, command)
	progress.stop()
	s.restore()
	if err != nil {
		return err
	}
	if !proof.Passed {
		return a.unproven(d, proof)
	}
	a.errorf("proved: %s passes with it\n", quoted(proof.Command))
	req.Proven = proof.Shown
	return nil
}

func quoted(command []string) string {
	return shorten(terminal.Name(strings.Join(quoteAll(command), " ")), 60)
}

// unproven says how a proof has failed. With --json it is in the receipt of a
// keep that has written nothing.
func (a *app) unproven(d proofbox.Diff, p proofbox.Proof) error {
	if a.json {
		err := a.document(proofbox.KeepReceipt{Run: d.Run, Original: d.Original, Kept: []proofbox.Change{}, Proof: &p})
		if err != nil {
			return err
		}
	}
	a.errorf("proofbox: nothing was kept: %s fails with it (%s)\n", quoted(p.Command), p.Tries[0].Ended)
	if p.First == nil {
		a.errorf("without any of it, it fails as well (%s), so it can prove nothing\n", p.Tries[1].Ended)
		return &exitError{code: exitFailed}
	}
	a.errorf("the first kept set that fails is of %s:\n", plural(len(p.First.Paths), "path"))
	for i, path := range p.First.Paths {
		if more := len(p.First.Paths) - i; i == maxNamed && more > 1 {
			a.errorf("  and %d more\n", more)
			break
		}
		a.errorf("  %s\n", terminal.Name(string(path)))
	}
	a.errorf("it passes without %s\n", lastPart(p.First))
	return &exitError{code: exitFailed}
}

// lastPart names what a failing set would pass without.
func lastPart(f *proofbox.FailingSet) string {
	var names []string
	for _, path := range f.Last[:min(len(f.Last), maxNamed)] {
		names = append(names, terminal.Name(string(path)))
	}
	text := strings.Join(names, ", ")
	if more := len(f.Last) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more that go with it", more)
	}
	if f.Hunk != "" {
		return fmt.Sprintf("the hunk %s of %s", terminal.Name(string(f.Hunk)), text)
	}
	return text
}
