package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) breakoutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "breakout", Short: "Attack a wall of this host and say, with evidence, what held", Args: usageArgs(cobra.NoArgs),
		Long: `Attack a wall of this host and say, with evidence, what held.

Every probe is attempted in a box that is started as every run's box is, as the
box's user and as root in the box, and once more on a twin whose wall lacks the
protection that is meant to stop it. What was reached is decided by what the
host sees. A probe that its twin stops too proves nothing and is called unproven.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.breakoutRunCommand(), a.breakoutMatrixCommand(), a.breakoutVerifyCommand(), a.breakoutListCommand())
	return cmd
}

func (a *app) breakoutRunCommand() *cobra.Command {
	var wall, only, attack string
	cmd := &cobra.Command{
		Use: "run", Short: "Attack one wall", Args: usageArgs(cobra.NoArgs),
		Long: `Attack one wall. Exits with 1 where a probe has escaped or is unproven, or where
ordinary work does not go well behind the wall.`,
		Example: "  proofbox breakout run --wall container\n  proofbox breakout run --wall gvisor --only 'G*'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := proofbox.TrialRequest{Only: only}
			var err error
			if req.Wall, err = trialWall(wall); err != nil {
				return usage(cmd, err)
			}
			if attack != "" {
				if req.Attack, err = os.ReadFile(attack); err != nil {
					return err
				}
			}
			return a.breakout(cmd, req)
		},
	}
	cmd.Flags().StringVar(&wall, "wall", "", "the `WALL` to attack: container, gvisor or microvm")
	cmd.Flags().StringVar(&only, "only", "", "run the probes whose ID matches a `GLOB`")
	cmd.Flags().StringVar(&attack, "attack", "", "run the script in `FILE` as the only probe")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) breakout(cmd *cobra.Command, req proofbox.TrialRequest) error {
	ctx, stop := untilInterrupted(cmd)
	defer stop()
	progress := a.newProgress()
	trial, err := a.client.Breakout(ctx, req, progress.hear)
	progress.stop()
	if err != nil {
		return err
	}
	if a.json {
		err = a.document(trial)
	} else {
		a.showTrial(trial)
	}
	if err == nil && !trial.Holds {
		err = &exitError{code: exitFailed}
	}
	return err
}

// showTrial writes a page about a trial: what did not hold first.
func (a *app) showTrial(t proofbox.Trial) {
	wall := string(t.Wall)
	if t.Accelerator != "" {
		wall += " (" + t.Accelerator + ")"
	}
	a.printf("%s: %s\n", wall, tallyText(t.Tally))
	a.printf("%s in %v\n", plural(len(t.Probes), "probe"), t.Ended.Sub(t.Began).Round(time.Second/10))
	if len(t.Made) > 0 {
		a.printf("attempts %s\n", madeText(t.Made))
	}
	for _, u := range t.Uses {
		a.printf("%s: %s\n", u.Name, useText(u))
	}
	if t.Certificate != "" {
		a.printf("certificate %s\n", t.Certificate)
	}
	for _, v := range []proofbox.Verdict{proofbox.Escaped, proofbox.Unproven, proofbox.NotApplicable, proofbox.Contained} {
		a.showVerdict(v, t.Probes)
	}
}

// madeText says how many attempts were made from where.
func madeText(made map[string]int) string {
	var parts []string
	for _, as := range []struct{ name, text string }{
		{"user", "as the box's user"}, {"root", "as root in the box"}, {"monitor", "in the machine's monitor"}, {"host", "on the host"}, {"twin", "on a twin"},
	} {
		if made[as.name] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", made[as.name], as.text))
		}
	}
	return strings.Join(parts, ", ")
}

func useText(u proofbox.UseResult) string {
	switch {
	case u.LeftOut != "":
		return "left out: " + u.LeftOut
	case u.Works && u.Took > 0:
		return fmt.Sprintf("works, in %v of at most %v", time.Duration(u.Took).Round(time.Second/10), time.Duration(u.Within))
	case u.Works:
		return "works"
	}
	return "DOES NOT WORK: " + u.Found
}

func tallyText(tally map[proofbox.Verdict]int) string {
	var parts []string
	for _, v := range proofbox.Verdicts {
		parts = append(parts, fmt.Sprintf("%d %s", tally[v], v))
	}
	return strings.Join(parts, ", ")
}

func (a *app) showVerdict(v proofbox.Verdict, probes []proofbox.ProbeResult) {
	probes = slices.DeleteFunc(slices.Clone(probes), func(p proofbox.ProbeResult) bool { return p.Verdict != v })
	if len(probes) == 0 {
		return
	}
	a.printf("\n%s\n", v)
	for _, p := range probes {
		a.printf("  %-5s %s\n", p.ID, p.Title)
		a.printf("        %s\n", p.Why)
	}
}

func (a *app) breakoutVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check a certificate against this host as it is now",
		Long: `Check the certificate of a trial: whether this host's key has signed it, whether
it is fresh, whether the wall held, and whether kernel, programs, configuration
and suite are what they were. Exits with 1 where it does not count.`,
		Example: "  proofbox breakout verify ~/.local/state/proofbox/certificates/microvm-*.dsse.json",
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			envelope, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			check, err := a.client.VerifyCertificate(cmd.Context(), envelope)
			if err != nil {
				return err
			}
			if a.json {
				err = a.document(check)
			} else {
				a.showCheck(check)
			}
			if err == nil && !check.Valid {
				err = &exitError{code: exitFailed}
			}
			return err
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, errors.New("name the file of one certificate"))
	}
	return nil
}

func (a *app) showCheck(c proofbox.CertificateCheck) {
	if c.Valid {
		a.printf("valid: the wall %s held on this host as it is now\n", c.Certificate.Wall)
	} else {
		a.printf("does not count: %s\n", c.Problem)
	}
	if c.Certificate.Wall == "" {
		return
	}
	a.printf("  %-14s %s\n", "tried", c.Certificate.Time.Local().Format(time.DateTime))
	for _, name := range slices.Sorted(maps.Keys(c.Certificate.Parts)) {
		a.printf("  %-14s %s\n", name, c.Certificate.Parts[name])
	}
	for _, p := range c.Changed {
		a.printf("  changed: %s was %q and is %q\n", p.Part, p.Was, p.Is)
	}
}

func (a *app) breakoutListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the probes: what each attempts, what decides, what its twin lacks", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			probes, err := a.client.Probes(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.document(probes)
			}
			for _, p := range probes {
				a.printf("%-5s %s\n", p.ID, p.Title)
				if p.Oracle == "" { // a line of the catalogue that is attempted behind no wall
					a.printf("      not attempted: %s\n", p.Not[proofbox.MicroVM])
					continue
				}
				a.printf("      decided by %s\n      twin: %s\n", p.Oracle, strings.Join(p.Twin, ", "))
			}
			return nil
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

// errNoWall is about a trial of nothing in particular.
var errNoWall = errors.New("name the wall to attack with --wall: container, gvisor or microvm")

// trialWall reads the wall to attack.
func trialWall(name string) (proofbox.Wall, error) {
	wall, err := proofbox.ParseWall(name)
	if err == nil && wall == proofbox.AutoWall {
		err = errNoWall
	}
	return wall, err
}
