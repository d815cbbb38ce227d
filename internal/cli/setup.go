package cli

import (
	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) setupCommand() *cobra.Command {
	var install bool
	cmd := &cobra.Command{
		Use: "setup", Short: "Say what this host lacks, and install and make it with --install", Args: usageArgs(cobra.NoArgs),
		Long: `Say which packages this host lacks, and whether it has a base: the kernel and the
Debian root that microVMs are made from, and what the image base is. With
--install, install the packages (as root) and make the base, out of packages
that apt fetches from this host's own mirrors; no kernel is installed.

The base lies in /var/lib/proofbox/base where root makes it, for everybody, else
in $XDG_DATA_HOME/proofbox/base, or where $PROOFBOX_BASE says. A setup that was
interrupted goes on where it was when it is run again. To have one of today's
packages, remove the folder first.`,
		Example: "  proofbox setup\n  proofbox setup --install",
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := a.client.Setup(cmd.Context(), false, nil)
			if err != nil {
				return err
			}
			if install && (len(found.Missing) > 0 || !found.Base.Ready) {
				return a.install(cmd, found)
			}
			if a.json {
				return a.document(found)
			}
			a.showSetup(found)
			return nil
		},
	}
	cmd.Flags().BoolVar(&install, "install", false, "install the packages that are missing, as root, and make the base")
	a.jsonFlag(cmd)
	return cmd
}

// showSetup says what is missing, and what to type.
func (a *app) showSetup(s proofbox.Setup) {
	for _, p := range s.Missing {
		a.printf("missing  %s, for %s\n", p.Name, p.For)
	}
	if s.Base.Ready {
		a.printf("base     %s: %s\n", s.Base.Dir, s.Base.Found)
	} else {
		a.printf("missing  the base, for microVMs and the image base: %s\n", s.Base.Found)
	}
	switch {
	case len(s.Missing) > 0:
		a.printf("next     run `proofbox setup --install` as root\n")
	case !s.Base.Ready:
		a.printf("next     run `proofbox setup --install`\n")
	default:
		a.printf("nothing is missing\n")
	}
}

// install names everything before anything is installed.
func (a *app) install(cmd *cobra.Command, found proofbox.Setup) error {
	for _, p := range found.Missing {
		a.errorf("will install %s, for %s\n", p.Name, p.For)
	}
	if !found.Base.Ready {
		a.errorf("will make the base, for microVMs: about 150 MB to fetch, 400 MB on the disk\n")
	}
	progress := a.newProgress()
	hear := progress.hear
	if progress.to == nil { // nobody watches, so every step is for the record
		hear = func(e proofbox.Event) { a.errorf("%s\n", e.Progress) }
	}
	done, err := a.client.Setup(cmd.Context(), true, hear)
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
	if done.Base.Made {
		a.printf("made the base in %s: %s\n", done.Base.Dir, done.Base.Found)
	}
	return nil
}
