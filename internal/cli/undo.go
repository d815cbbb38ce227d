package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/internal/terminal"
)

const undoLong = `Take back what the last keep of a run has written: every path gets the bytes, the
mode and the kind that it had before. Called again, it takes back the keep before
that. Nothing is undone half.

A file that was edited since is merged: the edit stays, what was kept goes. Where
both touch the same lines, the conflict is shown and nothing is written until
--on-conflict names a side: original leaves what is there now, run takes what was
there before the keep.`

func (a *app) undoCommand() *cobra.Command {
	var yes bool
	var conflict string
	cmd := &cobra.Command{
		Use: "undo RUN", Short: "Take back what a keep has written", Long: undoLong, Args: oneRun,
		Example: "  proofbox undo last",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				if err := a.ask(fmt.Sprintf("take back what the last keep of run %s has written?", terminal.Name(args[0]))); err != nil {
					return err
				}
			}
			receipt, err := a.client.Undo(cmd.Context(), args[0], proofbox.UndoRequest{Conflict: proofbox.Side(conflict)})
			if err != nil {
				return err
			}
			if a.json {
				return a.document(receipt)
			}
			a.showUndone(receipt)
			return nil
		},
	}
	cmd.Flags().StringVar(&conflict, "on-conflict", "", "where the original was edited since in the same lines, take the `SIDE`: run or original")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) showUndone(r proofbox.KeepReceipt) {
	for _, c := range r.Kept {
		a.printf("undone   %s\n", terminal.Name(string(c.Path)))
	}
	for _, path := range r.Merged {
		a.printf("merged   %s: what was edited since stays\n", terminal.Name(string(path)))
	}
	a.printf("%s taken back in %s\n", plural(len(r.Kept), "change"), terminal.Name(r.Original))
}
