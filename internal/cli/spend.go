package cli

import (
	"cmp"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) spendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "spend", Short: "Show what was spent, by account", Args: usageArgs(cobra.NoArgs),
		Long: `Show what calls to models have cost, by account and period, and what is held for
calls that go on. The account of a run is runs/RUN, so what every run spends
counts for the account runs.

The ledger is a file of the state folder. Where PROOFBOX_DATABASE has the URL of a
PostgreSQL (postgres://USER:PASSWORD@HOST/DATABASE), it is there, and many hosts
share its caps.`,
		Example: "  proofbox spend\n  proofbox spend cap runs 10 --per day\n  proofbox spend history\n  proofbox spend what-if --cap 0.50\n  proofbox spend verify",
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.client.Spending(cmd.Context())
			if err != nil {
				return err
			}
			return a.showBalances(list)
		},
	}
	a.jsonFlag(cmd)
	cmd.AddCommand(a.capCommand(), a.historyCommand(), a.whatIfCommand(), a.verifySpendCommand(), a.abandonCommand())
	return cmd
}

func (a *app) showBalances(list []proofbox.Balance) error {
	if a.json {
		return a.document(list)
	}
	a.printf("%-24s %-18s %14s %14s %14s\n", "account", "period", "charged", "held", "cap")
	for _, b := range list {
		limit := "none"
		if b.Cap != nil {
			limit = b.Cap.String()
		}
		a.printf("%-24s %-18s %14s %14s %14s\n", b.Account, b.Period, b.Charged, b.Held, limit)
	}
	return nil
}

func (a *app) capCommand() *cobra.Command {
	var per string
	cmd := &cobra.Command{
		Use: "cap ACCOUNT USD", Short: "Cap what an account can spend", Args: usageArgs(cobra.ExactArgs(2)),
		Long: `Cap what an account, with all accounts below it, can spend: in all, or in each day
or month of UTC. A call that could pass a cap gets the output that still fits, or
is refused. A cap cannot be below what is already spent.`,
		Example: "  proofbox spend cap runs 100 --per month",
		RunE: func(cmd *cobra.Command, args []string) error {
			period, err := proofbox.ParsePeriod(cmp.Or(per, string(proofbox.Total)))
			if err != nil {
				return usage(cmd, err)
			}
			usd, err := proofbox.ParseMoney(args[1])
			if err != nil {
				return usage(cmd, err)
			}
			list, err := a.client.Cap(cmd.Context(), proofbox.CapRequest{Account: args[0], Period: period, USD: usd})
			if err != nil {
				return err
			}
			return a.showBalances(list)
		},
	}
	cmd.Flags().StringVar(&per, "per", "", "what the cap is for: total, day or month (default total)")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) abandonCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "abandon RUN", Short: "Charge in full what a run of a lost host holds", Args: usageArgs(cobra.ExactArgs(1)),
		Long: `Charge in full what a run holds, and what it has set aside, where its host will
never settle it: its state folder is gone, or the database is in use without it.
Nobody is taken for dead by himself when several hosts share a ledger, so this is
how such holds end. Should the run go on after all, it spends what was charged.`,
		Example: "  proofbox spend abandon RUN",
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := a.client.AbandonSpending(cmd.Context(), proofbox.AbandonRequest{Run: args[0]})
			if err != nil {
				return err
			}
			if a.json {
				return a.document(done)
			}
			a.printf("%s of %s charged in full\n", plural(done.Holds, "hold"), done.Run)
			return nil
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) verifySpendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Replay the ledger and prove that no cap was ever passed", Args: usageArgs(cobra.NoArgs),
		Long: `Replay every event of the ledger of spending. After each of them, what an account
has charged and holds must be within its caps; at the end, the balances must be
those that the events give.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.client.VerifySpending(cmd.Context())
			if err != nil {
				return err
			}
			switch {
			case a.json:
				if err := a.document(report); err != nil {
					return err
				}
			case report.OK:
				a.printf("no cap was passed: %s replayed, %s open\n", plural(report.Events, "event"), plural(report.Open, "hold"))
			default:
				a.printf("A CAP WAS PASSED, OR THE LEDGER ALTERED: %s\n", report.Problem)
			}
			if !report.OK {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	a.jsonFlag(cmd)
	return cmd
}
