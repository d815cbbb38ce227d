package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"proofbox"
	"proofbox/internal/terminal"
)

func (a *app) runsCommand() *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use: "runs", Short: "List the runs, the newest first", Args: usageArgs(cobra.NoArgs),
		Example: "  proofbox runs\n  proofbox runs -n 10",
		RunE: func(cmd *cobra.Command, _ []string) error {
			runs, err := a.client.Runs(cmd.Context())
			if err != nil {
				return err
			}
			if most > 0 {
				runs = runs[:min(most, len(runs))]
			}
			if a.json {
				return a.document(runs)
			}
			a.listRuns(runs)
			return nil
		},
	}
	cmd.Flags().IntVarP(&most, "last", "n", 0, "show only the newest `N` runs")
	a.jsonFlag(cmd)
	return cmd
}

// listRuns writes one line a run.
func (a *app) listRuns(runs []proofbox.Run) {
	if len(runs) == 0 {
		a.errorf("there are no runs yet\n")
		return
	}
	const row = "%-9s  %-19s  %-9s  %-28s  %-20s  %s"
	width := a.width()
	a.printf("%s\n", fmt.Sprintf(row, "RUN", "BEGUN", "WALL", "STATE", "CHANGES", "COMMAND"))
	for _, r := range runs {
		state := r.Ended
		if state == "" {
			state = string(r.State)
		}
		command := strings.Join(quoteAll(r.Command), " ")
		if r.Name != "" {
			command = r.Name + ": " + command
		}
		line := fmt.Sprintf(row, r.ID, r.Created.Local().Format(time.DateTime), r.Wall,
			shorten(terminal.Name(state), 28), tally(r), terminal.Name(command))
		a.printf("%s\n", shorten(line, width))
	}
}

// tally says how many changes a run has and what became of them.
func tally(r proofbox.Run) string {
	n := r.Changes.Added + r.Changes.Modified + r.Changes.Deleted
	switch {
	case n == 0:
		return "-"
	case r.Decision == proofbox.PartDiscarded:
		return fmt.Sprintf("%d, part kept", n)
	case r.Decision != proofbox.Undecided:
		return fmt.Sprintf("%d, %s", n, r.Decision)
	}
	return fmt.Sprint(n)
}

// lineWidth is how long a line of a list is where no terminal says it.
const lineWidth = 160

// width is how long a line of a list may be.
func (a *app) width() int {
	if f, ok := terminalOf(a.stdout); ok {
		if cols, _, err := term.GetSize(int(f.Fd())); err == nil && cols > 0 {
			return cols
		}
	}
	return lineWidth
}

// shorten cuts what would not fit.
func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:max(0, most-1)]) + "…"
	}
	return s
}
