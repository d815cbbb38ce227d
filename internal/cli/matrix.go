package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) breakoutMatrixCommand() *cobra.Command {
	var only string
	cmd := &cobra.Command{
		Use: "matrix", Short: "Attack every wall that this host has, and show what each stops and what it costs", Args: usageArgs(cobra.NoArgs),
		Long: `Attack every wall that this host has, one after the other, and show what each
stops and what it costs. Exits with 1 where one of them did not hold.`,
		Example: "  proofbox breakout matrix\n  proofbox breakout matrix --only 'A*' --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			trials, err := a.matrix(cmd, only)
			if err != nil {
				return err
			}
			if a.json {
				err = a.document(trials)
			} else {
				a.showMatrix(trials)
			}
			if err == nil && slices.ContainsFunc(trials, func(t proofbox.Trial) bool { return !t.Holds }) {
				err = &exitError{code: exitFailed}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&only, "only", "", "run the probes whose ID matches a `GLOB`")
	a.jsonFlag(cmd)
	return cmd
}

// matrix tries each wall that doctor finds to work.
func (a *app) matrix(cmd *cobra.Command, only string) ([]proofbox.Trial, error) {
	ctx, stop := untilInterrupted(cmd)
	defer stop()
	progress := a.newProgress()
	defer progress.stop()
	health, err := a.client.Doctor(ctx, progress.hear)
	if err != nil {
		return nil, err
	}
	var trials []proofbox.Trial
	for _, w := range health.Walls {
		if !w.Works {
			a.errorf("proofbox: the wall %s is left out: %s\n", w.Wall, w.Found)
			continue
		}
		trial, err := a.client.Breakout(ctx, proofbox.TrialRequest{Wall: w.Wall, Only: only}, progress.hear)
		if err != nil {
			return nil, err
		}
		trials = append(trials, trial)
	}
	if len(trials) == 0 {
		return nil, errors.New("no wall works on this host; `proofbox doctor` says why")
	}
	return trials, nil
}

// marks are how verdicts stand in the matrix.
var marks = map[proofbox.Verdict]string{
	proofbox.Contained: "stopped", proofbox.Escaped: "ESCAPED", proofbox.Unproven: "unproven", proofbox.NotApplicable: "-",
}

// showMatrix writes a table: a line for each probe, a column for each wall.
func (a *app) showMatrix(trials []proofbox.Trial) {
	a.row("", "", trials, func(t proofbox.Trial) string { return string(t.Wall) })
	a.row("", "how a processor of its own is run", trials, func(t proofbox.Trial) string { return cmp.Or(t.Accelerator, "-") })
	for _, id := range probeIDs(trials) {
		a.row(id.id, id.title, trials, func(t proofbox.Trial) string {
			for _, p := range t.Probes {
				if p.ID == id.id {
					return marks[p.Verdict]
				}
			}
			return "-"
		})
	}
	a.printf("\n")
	for _, v := range proofbox.Verdicts {
		a.row("", string(v), trials, func(t proofbox.Trial) string { return fmt.Sprint(t.Tally[v]) })
	}
	a.printf("\n")
	for _, name := range useNames(trials) {
		a.row("", name, trials, func(t proofbox.Trial) string { return useCell(t, name) })
	}
	a.row("", "a box, from start to end", trials, func(t proofbox.Trial) string { return boxTime(t).String() })
	a.row("", "the whole trial", trials, func(t proofbox.Trial) string {
		return t.Ended.Sub(t.Began).Round(time.Second / 10).String()
	})
	a.whyNot(trials)
}

// whyNot says of every wall what did not hold there.
func (a *app) whyNot(trials []proofbox.Trial) {
	for _, t := range trials {
		if t.Holds {
			continue
		}
		a.printf("\n%s does not hold\n", t.Wall)
		for _, p := range t.Probes {
			if p.Verdict == proofbox.Escaped || p.Verdict == proofbox.Unproven {
				a.printf("  %-5s %s: %s\n", p.ID, p.Verdict, p.Why)
			}
		}
		for _, u := range t.Uses {
			if !u.Works && u.LeftOut == "" {
				a.printf("  %s: %s\n", u.Name, useText(u))
			}
		}
	}
}

// useNames lists the work that any of the trials has tried, in order.
func useNames(trials []proofbox.Trial) (names []string) {
	for _, t := range trials {
		for _, u := range t.Uses {
			if !slices.Contains(names, u.Name) {
				names = append(names, u.Name)
			}
		}
	}
	return names
}

// useCell is how long a wall takes for some work.
func useCell(t proofbox.Trial, name string) string {
	i := slices.IndexFunc(t.Uses, func(u proofbox.UseResult) bool { return u.Name == name })
	switch {
	case i < 0 || t.Uses[i].LeftOut != "":
		return "-"
	case !t.Uses[i].Works:
		return "FAILS"
	}
	return time.Duration(t.Uses[i].Took).Round(time.Second / 100).String()
}

type probeName struct{ id, title string }

// probeIDs lists the probes that any of the trials has, in order.
func probeIDs(trials []proofbox.Trial) []probeName {
	var names []probeName
	for _, t := range trials {
		for _, p := range t.Probes {
			if name := (probeName{p.ID, p.Title}); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// boxTime is what one box of a trial took on average.
func boxTime(t proofbox.Trial) time.Duration {
	if t.Boxes == 0 {
		return 0
	}
	return (time.Duration(t.BoxTime) / time.Duration(t.Boxes)).Round(time.Millisecond)
}

func (a *app) row(id, title string, trials []proofbox.Trial, cell func(proofbox.Trial) string) {
	a.printf("%-6s", id)
	for _, t := range trials {
		a.printf("%-11s", cell(t))
	}
	a.printf("%s\n", title)
}
