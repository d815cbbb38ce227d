package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/internal/terminal"
)

const keepLong = `Apply changes of a run to the original: the paths that are named, with what is
below them, or everything with --all.

Either the original is, in every path that would be written, still what the run
started from, or nothing is written. Links are never followed, files never
written in place. Devices, set-user-ID files and links that leave the folder are
refused by name; a repository's own files (.git) are kept only when they are
named, because they can run programs.`

func (a *app) keepCommand() *cobra.Command {
	var all, yes bool
	cmd := &cobra.Command{
		Use: "keep RUN (--all | PATH…)", Short: "Apply changes of a run to the original", Long: keepLong,
		Example: "  proofbox keep last src/main.go\n  proofbox keep last --all --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return oneRun(cmd, args)
			}
			if all == (len(args) > 1) {
				return usage(cmd, errors.New("name paths to keep, or keep everything with --all"))
			}
			return a.keep(cmd.Context(), args[0], args[1:], yes)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "keep every change that a bulk keep covers")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) keep(ctx context.Context, run string, args []string, yes bool) error {
	paths, err := a.paths(ctx, run, args)
	if err != nil {
		return err
	}
	diff, err := a.client.Diff(ctx, run, proofbox.DiffRequest{Paths: paths, Stat: true})
	if err != nil {
		return err
	}
	if len(diff.Changes) == 0 {
		a.errorf("run %s has changed nothing; there is nothing to keep\n", diff.Run)
		return nil
	}
	if !yes {
		a.showStat(diff.Changes)
		if err := a.ask(fmt.Sprintf("`proofbox diff %s` shows it. Apply it to %s?", diff.Run, terminal.Name(diff.Original))); err != nil {
			return err
		}
	}
	receipt, err := a.client.Keep(ctx, run, proofbox.KeepRequest{All: len(paths) == 0, Paths: paths, Shown: diff.Shown})
	if err != nil {
		return err
	}
	if a.json {
		if err := a.document(receipt); err != nil {
			return err
		}
	} else {
		a.showKept(receipt)
	}
	if len(receipt.Refused) > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

func (a *app) showKept(r proofbox.KeepReceipt) {
	for _, c := range r.Kept {
		a.printf("kept     %s\n", terminal.Name(string(c.Path)))
	}
	for _, group := range refusals(r.Refused) {
		a.printf("refused  %s\n", group)
	}
	a.printf("%s kept in %s\n", plural(len(r.Kept), "change"), terminal.Name(r.Original))
}

// maxNamed is up to how many paths are named that are refused for one reason.
const maxNamed = 3

// refusals says what was refused, all that was for the same reason together.
func refusals(changes []proofbox.Change) []string {
	var reasons []string
	paths := map[string][]string{}
	for _, c := range changes {
		if len(paths[c.Refused]) == 0 {
			reasons = append(reasons, c.Refused)
		}
		paths[c.Refused] = append(paths[c.Refused], terminal.Name(string(c.Path)))
	}
	var list []string
	for _, why := range reasons {
		names := paths[why]
		text := strings.Join(names[:min(len(names), maxNamed)], ", ")
		if more := len(names) - maxNamed; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		list = append(list, text+": "+why)
	}
	return list
}

// ask waits for a yes at the terminal. Without a terminal there is nobody to
// ask.
func (a *app) ask(question string) error {
	if !isTerminal(a.stdin) {
		return errors.New("nobody is there to ask; say --yes")
	}
	a.errorf("%s [y/N] ", question)
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y") {
		return errors.New("nothing was done")
	}
	return nil
}

func (a *app) showDiscarded(run proofbox.Run) {
	switch {
	case run.Decision == proofbox.PartDiscarded:
		a.printf("the other changes of run %s are discarded; what was kept stays\n", run.ID)
	case run.Changes == (proofbox.Tally{}):
		a.printf("run %s had changed nothing\n", run.ID)
	default:
		a.printf("the changes of run %s are discarded; the original is as it was\n", run.ID)
	}
}

// askDiscard names what would be thrown away, unless it is nothing.
func (a *app) askDiscard(ctx context.Context, name string) error {
	run, err := a.client.Show(ctx, name)
	if err != nil {
		return err
	}
	n := run.Changes.Added + run.Changes.Modified + run.Changes.Deleted
	if n == 0 {
		return nil
	}
	return a.ask(fmt.Sprintf("throw %s of run %s (%s) away?", plural(n, "change"), run.ID,
		shorten(terminal.Name(strings.Join(quoteAll(run.Command), " ")), 60)))
}

func (a *app) discardCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "discard RUN", Short: "Throw a run's changes away", Args: oneRun,
		Long:    "Throw away what is left of a run's changes. The record of the run stays; the changes cannot be brought back.",
		Example: "  proofbox discard last",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes && isTerminal(a.stdin) {
				if err := a.askDiscard(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			run, err := a.client.Discard(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.document(run)
			}
			a.showDiscarded(run)
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	a.jsonFlag(cmd)
	return cmd
}
