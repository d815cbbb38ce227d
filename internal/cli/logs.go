package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs RUN", Short: "Show what a run's command wrote", Args: oneRun,
		Long: `Show what a run's command wrote: its standard output on standard output, its
standard error on standard error. To a terminal, what could act on it is made
visible. With --json, one JSON document a line.`,
		Example: "  proofbox logs last\n  proofbox logs --follow 4f",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, done := a.logWriter()
			defer done()
			for out, err := range a.client.Logs(cmd.Context(), args[0], follow) {
				if err != nil {
					return err
				}
				if err := w(out); err != nil {
					return fmt.Errorf("writing the logs: %w", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on until the run has ended")
	a.jsonFlag(cmd)
	return cmd
}

// logWriter says how a piece of output is written, and how the writing ends.
func (a *app) logWriter() (write func(proofbox.Output) error, done func()) {
	if a.json {
		enc := json.NewEncoder(a.stdout)
		return func(o proofbox.Output) error { return enc.Encode(o) }, func() {}
	}
	s := &session{stderrT: a.stderr, back: func() error { return nil }}
	streams := map[string]io.Writer{"stdout": s.filter(a.stdout), "stderr": s.filter(a.stderr)}
	return func(o proofbox.Output) error {
		w, ok := streams[o.Stream]
		if !ok {
			return nil
		}
		_, err := w.Write(o.Data)
		return err
	}, s.restore
}
