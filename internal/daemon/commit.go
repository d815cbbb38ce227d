package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"proofbox"
	"proofbox/internal/repository"
	"proofbox/internal/workspace"
)

// deskDir is where git runs for a commit, while it is made.
const deskDir = "git"

// commit puts what would be kept on a branch of the original's repository, merged
// with what the branch has, and leaves the original as it is.
func (d *Daemon) commit(ctx context.Context, run *proofbox.Run, changes *workspace.Changes, r proofbox.KeepRequest) (receipt proofbox.KeepReceipt, err error) {
	o := workspace.KeepOptions{Original: run.Plan.Workspace.Original, KeepRequest: r}
	receipt = proofbox.KeepReceipt{Run: run.ID, Original: o.Original, Kept: []proofbox.Change{}}
	if r.Proven != "" {
		return receipt, errors.New("a proof is about the files as they lie there, and a commit is not: prove a keep, or commit")
	}
	whole, err := changes.Propose(o)
	if err != nil {
		return receipt, err
	}
	desk := filepath.Join(d.store.dir(run.ID), deskDir)
	if err := os.RemoveAll(desk); err != nil {
		return receipt, fmt.Errorf("removing what a commit left that was killed: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(desk)) }()
	repo, err := repository.Open(ctx, o.Original, desk)
	if err != nil {
		return receipt, err
	}
	c := &committer{repo: repo, options: o, run: run, branch: r.Commit.Branch, message: r.Commit.Message}
	if c.branch == "" {
		c.branch = "proofbox/" + run.ID
	}
	if err := c.prepare(ctx, whole.Files(), filepath.Join(desk, "tree")); err != nil {
		return receipt, err
	}
	shown, err := workspace.Shown(c.written)
	if err != nil {
		return receipt, err
	}
	if err := d.note(ctx, "committing", run.ID, keeping{Paths: len(c.written), Shown: shown}); err != nil {
		return receipt, err
	}
	id, failure := repo.Commit(ctx, c.tip, c.branch, c.text(), c.by, c.files())
	if receipt.Refused = c.proposal.Refused; failure == nil {
		receipt.Kept = c.written
		receipt.Commit = &proofbox.Commit{Branch: c.branch, ID: id, Parent: c.tip, Author: fmt.Sprintf("%s <%s>", c.by.Name, c.by.Email), Unsigned: repo.Signs(ctx)}
	}
	return receipt, errors.Join(failure, d.recordKeep(context.WithoutCancel(ctx), run, changes, "commit", receipt, failure))
}

// committer makes one commit.
type committer struct {
	repo            *repository.Repository
	options         workspace.KeepOptions
	run             *proofbox.Run
	branch, message string
	by              repository.Person

	tip      string // the commit that it goes on top of
	proposal *workspace.Proposal
	written  []proofbox.Change // from what the tip has to what the commit has
}

// prepare merges a proposal with what the branch has, in a folder of its own.
func (c *committer) prepare(ctx context.Context, p *workspace.Proposal, dir string) (err error) {
	if c.by, err = c.repo.Identity(ctx); err != nil {
		return err
	}
	if c.tip, err = c.repo.Tip(c.branch); err != nil {
		return err
	}
	if c.proposal, err = c.fit(ctx, p); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder for a commit: %w", err)
	}
	before := map[string]fs.FileMode{}
	for _, change := range c.proposal.Changes() {
		before[string(change.Path)] = change.Before.Mode.Perm()
	}
	mode := func(path string, program bool) fs.FileMode {
		if was := before[path]; was != 0 && (was&0o100 != 0) == program {
			return was // git knows no other bit, so the others are as they were
		}
		if program {
			return 0o755
		}
		return 0o644
	}
	if err := c.repo.Checkout(ctx, c.tip, dir, paths(c.proposal), mode); err != nil {
		return err
	}
	if c.written, err = c.proposal.Write(ctx, dir); err == nil && len(c.written) == 0 {
		err = &StateError{Run: c.run.ID, Why: "nothing was committed: what is left of what was chosen is in the branch already" + firstRefusal(c.proposal.Refused)}
	}
	return err
}

func paths(p *workspace.Proposal) []string {
	var list []string
	for _, path := range p.Paths() {
		list = append(list, string(path))
	}
	return list
}

// fit leaves out what does not belong in a commit as it is.
func (c *committer) fit(ctx context.Context, p *workspace.Proposal) (_ *workspace.Proposal, err error) {
	rules, err := c.repo.Rules(c.options.Original)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rules.Close()) }()
	tracked, err := c.repo.Tracked(ctx, c.tip, paths(p))
	if err != nil {
		return nil, err
	}
	return p.Refuse(c.options, func(change proofbox.Change) (string, error) {
		if workspace.InRepository(change) {
			return "it belongs to a repository, and a commit cannot hold it", nil
		}
		return rules.Unfit(string(change.Path), tracked[string(change.Path)])
	})
}

// text is the commit's message.
func (c *committer) text() string {
	text := strings.TrimSpace(c.message)
	if text == "" {
		text = "Changes of the run " + c.run.ID
	}
	return text + "\n\nProofbox-Run: " + c.run.ID + "\n"
}

// files gives what was written, as a commit has it.
func (c *committer) files() []repository.File {
	list := make([]repository.File, len(c.written))
	for i, change := range c.written {
		after := change.After
		list[i] = repository.File{
			Path: string(change.Path), Gone: after.Kind != proofbox.File && after.Kind != proofbox.Symlink,
			Link: after.Kind == proofbox.Symlink, Program: after.Mode&0o100 != 0, Size: after.Size,
			Open: func() (io.ReadCloser, error) { return c.proposal.Open(after) },
		}
		if after.Kind == proofbox.Symlink {
			list[i].Size = int64(len(after.Target))
		}
	}
	return list
}
