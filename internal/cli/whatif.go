package cli

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) historyCommand() *cobra.Command {
	r := proofbox.HistoryRequest{}
	cmd := &cobra.Command{
		Use: "history", Short: "List what calls to models have cost, the newest first", Args: usageArgs(cobra.NoArgs),
		Long: `List calls to models, the newest first: when each was made, by which run and to which
model, what was held for it and what it cost. A call that goes on has no cost yet.`,
		Example: "  proofbox spend history --limit 20\n  proofbox spend history --account runs/RUN --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.client.SpendHistory(cmd.Context(), r)
			if err != nil {
				return err
			}
			if a.json {
				return a.document(list)
			}
			a.printf("%-20s %-24s %-16s %-20s %14s %14s\n", "time", "account", "kind", "model", "held", "charged")
			for _, c := range list {
				charged := "goes on"
				if c.Charged != nil {
					charged = c.Charged.String()
				}
				a.printf("%-20s %-24s %-16s %-20s %14s %14s\n", moment(c.Time), c.Account, c.Kind, c.Model, c.Held, charged)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&r.Account, "account", "", "list this account and those below it (default all)")
	cmd.Flags().IntVar(&r.Limit, "limit", 100, "list so many at most")
	a.jsonFlag(cmd)
	return cmd
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func (a *app) whatIfCommand() *cobra.Command {
	var limit, account, per string
	cmd := &cobra.Command{
		Use: "what-if", Short: "Say whom another cap would have stopped, and propose caps", Args: usageArgs(cobra.NoArgs),
		Long: `Replay what was spent under another cap and say who would have been stopped, when, and
what that would have spared. The cap is for each run, or with --account for that
account, in each period. A call that would not have fitted is left out, and later
calls are taken to come as they did.

Caps are proposed for each kind of task: the name that its box files give, else the
program. A proposal lets 19 of 20 runs of that kind end by themselves, with 95 %
confidence; it takes 72 runs to know one.`,
		Example: "  proofbox spend what-if\n  proofbox spend what-if --cap 0.50\n  proofbox spend what-if --cap 20 --account runs --per day",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := proofbox.WhatIfRequest{Account: account}
			var err error
			if r.Period, err = proofbox.ParsePeriod(cmp.Or(per, string(proofbox.Total))); err != nil {
				return usage(cmd, err)
			}
			if limit != "" {
				usd, err := proofbox.ParseMoney(limit)
				if err != nil {
					return usage(cmd, err)
				}
				r.Cap = &usd
			}
			report, err := a.client.WhatIf(cmd.Context(), r)
			switch {
			case err != nil:
				return err
			case a.json:
				return a.document(report)
			}
			if report.Cap != nil {
				a.showStops(report)
			}
			a.showProposals(report.Proposals)
			return nil
		},
	}
	cmd.Flags().StringVar(&limit, "cap", "", "the cap to try, in US dollars")
	cmd.Flags().StringVar(&account, "account", "", "the account that it is for (default each run)")
	cmd.Flags().StringVar(&per, "per", "", "what it is for: total, day or month (default total)")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) showStops(report proofbox.WhatIf) {
	var stopped []proofbox.Stop
	var spared proofbox.Money
	for _, s := range report.Stopped {
		spared += s.Spared
		if s.Refused > 0 {
			stopped = append(stopped, s)
		}
	}
	a.printf("A cap of %s USD would have stopped %d of %d, and spared %s of %s USD.\n", report.Cap, len(stopped), report.Spenders, spared, report.Spent)
	for _, s := range stopped {
		a.printf("  %-24s %-18s %-16s spent %s USD: stopped at %s, %d of %s refused\n", s.Account, s.Period, s.Kind, s.Spent, moment(s.Time), s.Refused, plural(s.Calls, "call"))
	}
	if more := len(report.Stopped) - len(stopped); more > 0 {
		a.printf("  %d more would have had less room for answers, and needed no more than that.\n", more)
	}
	a.printf("\n")
}

func (a *app) showProposals(list []proofbox.Proposal) {
	if len(list) == 0 {
		a.printf("Nothing was spent yet, so there is nothing to propose.\n")
		return
	}
	a.printf("%-16s %6s %12s %12s %25s %12s  %s\n", "kind of task", "runs", "median", "19 of 20", "of all such runs", "most", "proposed cap")
	for _, p := range list {
		proposed := fmt.Sprintf("after %d more", p.Missing)
		if p.Cap != nil {
			proposed = p.Cap.String()
		}
		between := fmt.Sprintf("%s to %s", bound(p.Low), bound(p.High))
		a.printf("%-16s %6d %12s %12s %25s %12s  %s\n", p.Kind, p.Runs, p.Median, p.P95, between, p.Max, proposed)
	}
}

func bound(m *proofbox.Money) string {
	if m == nil {
		return "?"
	}
	return m.String()
}
