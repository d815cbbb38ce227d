package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"proofbox/internal/terminal"
)

func (a *app) logCommand() *cobra.Command {
	var last int
	cmd := &cobra.Command{
		Use: "log", Short: "Show the audit log, the newest event last", Args: usageArgs(cobra.NoArgs),
		Long: `Show the audit log: every decision, start, end, teardown, keep and discard. The
log is append-only and signed; proofbox log verify finds any altered byte.`,
		Example: "  proofbox log -n 20\n  proofbox log verify",
		RunE: func(cmd *cobra.Command, _ []string) error {
			entries, err := a.client.Log(cmd.Context(), last)
			if err != nil {
				return err
			}
			if a.json {
				return a.document(entries)
			}
			for _, e := range entries {
				detail, err := json.Marshal(e.Detail)
				if err != nil {
					return fmt.Errorf("reading event %d: %w", e.Index, err)
				}
				line := fmt.Sprintf("%5d  %s  %-9s %-10s %s", e.Index, localTime(e.Time), e.Kind, e.Run, terminal.Name(string(detail)))
				a.printf("%s\n", shorten(line, a.width()))
			}
			return nil
		},
	}
	cmd.Flags().IntVarP(&last, "last", "n", 0, "show only the last `N` events")
	a.jsonFlag(cmd)
	cmd.AddCommand(a.verifyCommand())
	return cmd
}

// localTime writes an event's time as the other lists do.
func localTime(text string) string {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	return t.Local().Format(time.DateTime)
}

func (a *app) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check the audit log for altered bytes", Args: usageArgs(cobra.NoArgs),
		Long: `Check every byte of the audit log against the signed root of its tree. A log
that was replaced by an earlier state of itself verifies too: keep the root that
is printed somewhere else to notice that.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.client.VerifyLog(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				if err := a.document(report); err != nil {
					return err
				}
			} else if report.OK {
				a.printf("the log is whole: %d events, root %s\n", report.Entries, report.Root)
			} else {
				a.printf("THE LOG WAS ALTERED: %s\n", report.Problem)
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
