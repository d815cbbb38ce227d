package cli

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) contentsSynthCommand() *cobra.Command {
	var r proofbox.SynthRequest
	cmd := &cobra.Command{
		Use: "synth PLAN OUT", Short: "Make up a data set",
		Long: `Make up a data set: customers, orders, tickets, transactions, documents,
campaigns, brand, or all of them related (shop). A plan is one of these words or a
file, see docs/formats/synth-plan.md. Records agree with each other, and every
identifier is one that its issuer or a standard reserves, so that the set can be
sealed as synthetic. The same plan, rows and seed give the same bytes. OUT is a
file where its name ends in .jsonl, .csv or .json, and a folder otherwise; nothing
may be there yet. With --mess the set is as dirty as real ones are, and what was
damaged is told beside it, in OUT.truth.jsonl.`,
		Example: "  proofbox contents synth customers customers.csv --rows 1000\n" +
			"  proofbox contents synth shop data --rows 10000 --seed 7 --mess usual",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage(cmd, errors.New("name a plan and where the set goes"))
			}
			var err error
			if r.Plan, r.Out, err = synthPaths(args[0], args[1]); err != nil {
				return err
			}
			made, err := a.client.SynthesiseContents(cmd.Context(), r)
			if err != nil {
				return err
			}
			if a.json {
				return a.document(made)
			}
			a.showMade(made)
			return nil
		},
	}
	cmd.Flags().Int64Var(&r.Rows, "rows", 1000, "records of the plan's first table; the others follow, a `NUMBER`")
	cmd.Flags().Uint64Var(&r.Seed, "seed", 1, "another one gives other records, a `NUMBER`")
	cmd.Flags().StringVar(&r.Mess, "mess", "", "how dirty it is, a `LEVEL`: none, light, usual or heavy; the plan's where it is left out")
	a.jsonFlag(cmd)
	return cmd
}

// synthPaths makes paths absolute. A plan is a file if its name has an end or a
// folder; otherwise it is one of those that are built in.
func synthPaths(plan, out string) (string, string, error) {
	var err error
	if filepath.Ext(plan) != "" || filepath.Base(plan) != plan {
		if plan, err = filepath.Abs(plan); err != nil {
			return "", "", fmt.Errorf("finding the plan: %w", err)
		}
	}
	if out, err = filepath.Abs(out); err != nil {
		return "", "", fmt.Errorf("finding the place of the set: %w", err)
	}
	return plan, out, nil
}

func (a *app) showMade(m proofbox.Synthesised) {
	for _, t := range m.Tables {
		a.printf("%s: %s\n", filepath.Join(m.Path, t.Name), plural(int(t.Rows), "record"))
	}
	if m.Truth == "" {
		return
	}
	a.printf("%s: what was damaged\n", m.Truth)
	for _, kind := range slices.Sorted(maps.Keys(m.Defects)) {
		a.printf("  %6d  %s\n", m.Defects[kind], kind)
	}
}
