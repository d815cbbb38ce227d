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
			progress := a.newProgress()
			health, err := a.client.Doctor(cmd.Context(), progress.hear)
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

func (a *app) setupCommand() *cobra.Command {
	var install bool
	cmd := &cobra.Command{
		Use: "setup", Short: "Say which packages this host lacks, and install them with --install", Args: usageArgs(cobra.NoArgs),
		Example: "  proofbox setup\n  proofbox setup --install",
		RunE: func(cmd *cobra.Command, _ []string) error {
			missing, err := a.client.Setup(cmd.Context(), false, nil)
			if err != nil {
				return err
			}
			if install && len(missing.Missing) > 0 {
				return a.install(cmd, missing)
			}
			if a.json {
				return a.document(missing)
			}
			for _, p := range missing.Missing {
				a.printf("missing  %s, for %s\n", p.Name, p.For)
			}
			if len(missing.Missing) == 0 {
				a.printf("nothing is missing\n")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&install, "install", false, "install what is missing, as root")
	a.jsonFlag(cmd)
	return cmd
}

// install names every package before anything is installed.
func (a *app) install(cmd *cobra.Command, missing proofbox.Setup) error {
	for _, p := range missing.Missing {
		a.errorf("will install %s, for %s\n", p.Name, p.For)
	}
	progress := a.newProgress()
	done, err := a.client.Setup(cmd.Context(), true, progress.hear)
	progress.stop()
	if err != nil {
		return err
	}
	if a.json {
		return a.document(done)
	}
	for _, p := range done.Installed {
		a.printf("installed %s\n", p.Name)
	}
	return nil
}
