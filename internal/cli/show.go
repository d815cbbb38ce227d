package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show RUN", Short: "Say everything about a run",
		Long: `Say everything about a run: which wall and why, which protections were read
back, what ended it, what it changed, and what of it is left on the host.

RUN is an ID, the beginning of one, a name, or last.`,
		Example: "  proofbox show last\n  proofbox show last --json", Args: oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := a.client.Show(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.document(run)
			}
			a.showRun(run)
			return nil
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) showRun(r proofbox.Run) {
	a.field("run", strings.TrimSpace(r.ID+" "+r.Name))
	a.field("state", string(r.State))
	if r.Ended != "" {
		a.field("ended", r.Ended)
		if r.Ended != plainEnding(r) {
			a.field("", plainEnding(r))
		}
	}
	a.field("created", r.Created.Local().Format(time.DateTime))
	if r.State == proofbox.Ended {
		a.field("used", usageText(r.Usage))
	}
	a.showPlan(r.Plan)
	a.showControls(r.Controls)
	a.printf("\nchanges    %d added, %d modified, %d deleted%s\n", r.Changes.Added, r.Changes.Modified, r.Changes.Deleted, decided(r))
	a.printf("data       %d declared, intents %d, spent %s USD%s\n", len(r.Contents), len(r.Intents), r.Spend.USD, capText(r.Spend))
	a.showCalls(r.Egress)
	a.showStaged(r.ID, r.Staged)
	a.showTeardown(r.Teardown)
	for _, w := range r.Warnings {
		a.printf("warning: %s\n", w)
	}
}

func (a *app) showControls(controls []proofbox.Control) {
	if len(controls) == 0 {
		return
	}
	a.printf("\nprotections, read back before the command started\n")
	for _, c := range controls {
		mark := "in force"
		if !c.OK {
			mark = "MISSING"
		}
		a.printf("  %-8s %s: %s\n", mark, c.Name, c.Found)
	}
}

func capText(s proofbox.Spend) string {
	if s.Cap == "" {
		return ""
	}
	return " of " + s.Cap
}

func decided(r proofbox.Run) string {
	if r.Decision == "" {
		return ""
	}
	return ", " + string(r.Decision)
}

// plainEnding is the ending of a run that nothing but its command has ended.
func plainEnding(r proofbox.Run) string { return fmt.Sprintf("exit status %d", r.ExitCode) }

func usageText(u proofbox.Usage) string {
	text := fmt.Sprintf("%v", time.Duration(u.Wall).Round(time.Millisecond))
	if u.PeakMemory > 0 {
		text += fmt.Sprintf(", %s of memory at most", u.PeakMemory.Rounded())
	}
	return text + fmt.Sprintf(", %s of output", u.Output.Rounded())
}

func (a *app) showTeardown(t *proofbox.Teardown) {
	if t == nil {
		return
	}
	state := "every object verified gone"
	if !t.Clean {
		state = "SOMETHING IS LEFT"
	}
	a.printf("\nteardown   by the %s: %s\n", t.By, state)
	for _, o := range t.Objects {
		mark := "gone"
		if !o.Gone {
			mark = "LEFT"
		}
		a.printf("  %-5s %-14s %s (%s)\n", mark, o.Kind, o.Name, o.Found)
	}
}
