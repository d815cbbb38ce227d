package cli

import (
	"context"
	"errors"
	"fmt"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/client"
	"proofbox/internal/review"
	"proofbox/internal/syntax"
)

const reviewLong = `Decide on the screen what to keep of a run: change by change, hunk by hunk or line
by line. Decisions are kept as they are made and can be taken back until they are
applied, which the key a does. What would run on this machine later is marked with
! and wants a yes of its own, after it was looked at. The key ? lists the keys.
With paths, only what is there is on the screen; applying is about all that was decided.`

// screenFPS is how often a second the screen is drawn where it has changed: a key waits
// for the next time.
const screenFPS = 120

func (a *app) reviewCommand() *cobra.Command {
	return &cobra.Command{
		Use: "review RUN [PATH…]", Short: "Decide on the screen what to keep of a run", Long: reviewLong,
		Example: "  proofbox review last\n  proofbox review last src",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return oneRun(cmd, args)
			}
			terminal, ok := terminalOf(a.stdin)
			if !ok || !isTerminal(a.stdout) {
				return errors.New("a review needs a terminal; scripts use `proofbox diff --json` and `proofbox keep --hunk`")
			}
			paths, err := a.paths(cmd.Context(), args[0], args[1:])
			if err != nil {
				return err
			}
			screen, err := review.Open(cmd.Context(), reviewed{a.client, args[0], paths})
			if err != nil {
				return err
			}
			if _, err := tea.NewProgram(screen, tea.WithContext(cmd.Context()), tea.WithInput(keys{terminal}), tea.WithOutput(a.stdout), tea.WithFPS(screenFPS)).Run(); err != nil {
				return fmt.Errorf("reviewing: %w", err)
			}
			return nil
		},
	}
}

// reviewed is a run, as the screen wants it.
type reviewed struct {
	client *client.Client
	run    string
	paths  []proofbox.Raw // none for all
}

func (r reviewed) Diff(ctx context.Context, req proofbox.DiffRequest) (proofbox.Diff, error) {
	if len(req.Paths) == 0 {
		req.Paths = r.paths
	}
	return r.client.Diff(ctx, r.run, req)
}

func (r reviewed) Decide(ctx context.Context, req proofbox.ChoiceRequest) error {
	_, err := r.client.Decide(ctx, r.run, req)
	return err
}

func (r reviewed) Keep(ctx context.Context, req proofbox.KeepRequest) (proofbox.KeepReceipt, error) {
	return r.client.Keep(ctx, r.run, req)
}

func (r reviewed) Colours(ctx context.Context, o syntax.Order) ([][][]syntax.Part, error) {
	return syntax.Program(client.Program("proofbox-syntax")).Parts(ctx, o)
}
