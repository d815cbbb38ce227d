package cli

import (
	"encoding/json"
	"fmt"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/internal/recording"
)

// The formats of a recording on the command line.
const (
	asEvals = "evals"
	asOTel  = "otel"
)

func (a *app) recordingCommand() *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use: "recording RUN", Short: "Write the recorded calls of a run to models", Args: oneRun,
		Long: `Write the calls to models of a run whose box file says ` + "`record: true`" + `: one JSON document
a line, with all that is needed to make the calls again. With --as, conversations are
written as samples of OpenAI's evals, whose ideal is what was answered, or as spans
of OpenTelemetry's conventions for generative AI.`,
		Example: "  proofbox recording last >tasks.jsonl\n  proofbox recording last --as otel >spans.jsonl",
		RunE: func(cmd *cobra.Command, args []string) error {
			write := a.exchangeWriter(as, args[0])
			if write == nil {
				return usage(cmd, fmt.Errorf("%q is no format of a recording; there are %s and %s", as, asEvals, asOTel))
			}
			if as == asOTel {
				run, err := a.client.Show(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				write = a.exchangeWriter(as, run.ID)
			}
			return writeAll(a.client.Exchanges(cmd.Context(), args[0]), write)
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "another format: evals or otel")
	cmd.AddCommand(a.importCommand())
	return cmd
}

// exchangeWriter gives what writes one exchange of a run in a format; nil for one
// that there is not.
func (a *app) exchangeWriter(as, run string) func(proofbox.Exchange) error {
	switch as {
	case "":
		enc := json.NewEncoder(a.stdout)
		return func(e proofbox.Exchange) error { return enc.Encode(e) }
	case asEvals:
		return conversations(func(e proofbox.Exchange) error { return recording.WriteEvals(a.stdout, e) })
	case asOTel:
		return conversations(func(e proofbox.Exchange) error { return recording.WriteOTel(a.stdout, run, e) })
	}
	return nil
}

// conversations passes over what is none, as the other formats have to.
func conversations(write func(proofbox.Exchange) error) func(proofbox.Exchange) error {
	return func(e proofbox.Exchange) error {
		if !recording.IsConversation(e) {
			return nil
		}
		return write(e)
	}
}

func writeAll(exchanges iter.Seq2[proofbox.Exchange, error], write func(proofbox.Exchange) error) error {
	for e, err := range exchanges {
		if err != nil {
			return err
		}
		if err := write(e); err != nil {
			return fmt.Errorf("writing exchange %d: %w", e.Number, err)
		}
	}
	return nil
}

func (a *app) importCommand() *cobra.Command {
	var from, model string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Make a recording of another tool's file", Args: usageArgs(cobra.ExactArgs(1)),
		Long: `Read samples of OpenAI's evals, or lines of OTLP with spans of OpenTelemetry's
conventions for generative AI, and write them as a recording.`,
		Example: "  proofbox recording import samples.jsonl --from evals --model gpt-5 >tasks.jsonl",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("opening what is to be imported: %w", err)
			}
			defer f.Close()
			var list iter.Seq2[proofbox.Exchange, error]
			switch from {
			case asEvals:
				list = recording.ReadEvals(f, model)
			case asOTel:
				list = recording.ReadOTel(f)
			default:
				return usage(cmd, fmt.Errorf("--from says %q; there are %s and %s", from, asEvals, asOTel))
			}
			enc := json.NewEncoder(a.stdout)
			return writeAll(list, func(e proofbox.Exchange) error { return enc.Encode(e) })
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the format: evals or otel")
	cmd.Flags().StringVar(&model, "model", "", "the model that the samples are for")
	return cmd
}
