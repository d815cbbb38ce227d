package cli

import (
	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Start a real box behind every wall and say what works here", Args: usageArgs(cobra.NoArgs),
		Long: `Start a real box behind every wall and say what works on this host, what does
not, and what to do about it. Exits with 1 where no wall works.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			progress := a.newProgress()
			health, err := a.client.Doctor(ctx, progress.hear)
			progress.stop()
			if err != nil {
				return err
			}
			if a.json {
				err = a.document(health)
			} else {
				a.showHealth(health)
			}
			if err == nil && !anyWorks(health) {
				err = &exitError{code: exitFailed}
			}
			return err
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func anyWorks(h proofbox.Health) bool {
	for _, w := range h.Walls {
		if w.Works {
			return true
		}
	}
	return false
}

func (a *app) showHealth(h proofbox.Health) {
	a.printf("proofbox %s, state in %s\nboxes run as %s\n\nwalls\n", h.Version, h.Home, h.User)
	for _, w := range h.Walls {
		a.showFinding(w.Works, "works", "no", string(w.Wall), w.Found, w.Next)
	}
	a.printf("\nhost\n")
	for _, c := range h.Checks {
		a.showFinding(c.OK, "ok", "no", c.Name, c.Found, c.Next)
	}
}

func (a *app) showFinding(ok bool, yes, no, name, found, next string) {
	mark := no
	if ok {
		mark = yes
	}
	a.printf("  %-5s  %-15s  %s\n", mark, name, found)
	if next != "" {
		a.printf("  %-5s  %-15s  → %s\n", "", "", next)
	}
}
