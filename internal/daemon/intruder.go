package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/breakout"
)

// intruderBox makes the attempts of a trial in the place of a machine's monitor:
// each command is such a program, in a jail of its own.
type intruderBox struct {
	stage  *trialStage
	config box.Config // without what is each jail's own

	mu      sync.Mutex
	running *box.Intruder // guarded by mu
	made    int           // guarded by mu
	id      string
}

var _ breakout.Box = (*intruderBox)(nil)

// intrude works out what a machine of the trial is made of.
func (t *trialStage) intrude(ctx context.Context, s breakout.Start) (*intruderBox, error) {
	config, err := t.machine(ctx, s)
	return &intruderBox{stage: t, id: filepath.Base(t.dir) + "-" + newID()[:4], config: config}, err
}

// Saved implements [breakout.Boxes].
func (t *trialStage) Saved(ctx context.Context, w box.Weakness) (*box.SavedCopy, error) {
	config, err := t.machine(ctx, breakout.Start{Wall: proofbox.MicroVM, Limits: proofbox.DefaultLimits, Weakness: w})
	if err != nil {
		return nil, err
	}
	config.ID = filepath.Base(t.dir) + "-" + newID()[:4]
	if config.Dir, err = t.folder(config.ID); err != nil {
		return nil, err
	}
	return t.daemon.host.CopySaved(ctx, config)
}

// folder makes a folder for a jail of the trial.
func (t *trialStage) folder(name string) (string, error) {
	dir := filepath.Join(t.dir, name)
	if err := t.Note(box.Object{Kind: box.Folder, Name: dir}); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("making a folder for a jail: %w", err)
	}
	return dir, nil
}

// machine declares a machine of the trial, without what is each one's own.
func (t *trialStage) machine(ctx context.Context, s breakout.Start) (box.Config, error) {
	p, err := t.daemon.prepare(ctx, proofbox.Spec{
		Name: "breakout", Wall: s.Wall, Risk: proofbox.Risk{Code: proofbox.Reviewed}, Limits: s.Limits,
		Workspace: proofbox.Workspace{Original: "none"},
	}, []string{"true"})
	if err != nil {
		return box.Config{}, err
	}
	terms := p.plan.Terms
	config := box.Config{
		Journal: t.journal, Runtime: p.runtime, Hostname: "box", Root: p.rootSteps(),
		Limits: terms.Limits, Enforced: terms.Enforced, Weakness: s.Weakness,
	}
	return config, p.nameRoot(ctx, &config)
}

// Exec implements [breakout.Box]: the input's end ends the program.
func (b *intruderBox) Exec(ctx context.Context, args []string, stdio breakout.Stdio) (result proofbox.ExecResult, err error) {
	i, err := b.start(ctx, args[1:], stdio.Stdout)
	if err != nil {
		return result, err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(io.Discard, stdio.Stdin) // its end is all that counts
	}()
	select {
	case result.ExitCode = <-i.Ended():
	case <-over:
	case <-ctx.Done():
	}
	result.Ended = fmt.Sprintf("exit status %d", result.ExitCode)
	b.mu.Lock()
	b.running = nil
	b.mu.Unlock()
	account, err := i.Close(context.WithoutCancel(ctx))
	if !box.Clean(account) {
		err = errors.Join(err, fmt.Errorf("something of a jail is left: %+v", account))
	}
	return result, err
}

func (b *intruderBox) start(ctx context.Context, args []string, out io.Writer) (*box.Intruder, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made++
	config := b.config
	config.ID = fmt.Sprintf("%s-%d", b.id, b.made)
	var err error
	if config.Dir, err = b.stage.folder(config.ID); err != nil {
		return nil, err
	}
	i, err := b.stage.daemon.host.Intrude(ctx, config, b.stage.daemon.programs.attack, args, out)
	b.running = i
	return i, err
}

// Processes implements [breakout.Box].
func (b *intruderBox) Processes() ([]int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running == nil {
		return nil, errors.New("no program is in the monitor's place")
	}
	return b.running.Processes()
}

// Scratch implements [breakout.Box]: there is none.
func (b *intruderBox) Scratch() *os.File { return nil }

// Upper implements [breakout.Box].
func (b *intruderBox) Upper() (*os.File, error) {
	return nil, errors.New("in the place of a monitor there is no workspace")
}

// Deny implements [breakout.Box].
func (b *intruderBox) Deny(context.Context, string) error {
	return errors.New("in the place of a monitor there is no gateway")
}

// End implements [breakout.Box]: each of its jails was taken down when its
// program had ended.
func (b *intruderBox) End() (breakout.Remains, error) { return noRemains{}, nil }

// noRemains is what is left of jails that were taken down one by one.
type noRemains struct{}

// Run implements [breakout.Remains].
func (noRemains) Run() proofbox.Run {
	return proofbox.Run{Teardown: &proofbox.Teardown{Clean: true}}
}

// Diff implements [breakout.Remains].
func (noRemains) Diff(context.Context) (proofbox.Diff, error) { return proofbox.Diff{}, nil }

// Keep implements [breakout.Remains].
func (noRemains) Keep(context.Context, proofbox.KeepRequest) (proofbox.KeepReceipt, error) {
	return proofbox.KeepReceipt{}, errors.New("in the place of a monitor there is nothing to keep")
}

// Kept implements [breakout.Remains].
func (noRemains) Kept() (int64, error) { return 0, nil }

// Forget implements [breakout.Remains].
func (noRemains) Forget() error { return nil }
