package cli

import (
	"io"

	"github.com/spf13/cobra"
)

func (a *app) metricsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "metrics", Short: "Print numbers for Prometheus", Args: usageArgs(cobra.NoArgs),
		Long: `Print what is on record here, as numbers in the text format of Prometheus: runs, what
boxes have asked for and what left them, calls to models and what accounts have
spent. A collector that reads files takes them from a timer's output; one that asks
by HTTP finds them at /metrics of proofbox serve --listen, with its token.

Spans of OpenTelemetry need no command: each run sends them to the collector that
OTEL_EXPORTER_OTLP_ENDPOINT names, by HTTP and in JSON.`,
		Example: "  proofbox metrics > /var/lib/node_exporter/proofbox.prom\n  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 proofbox run -- make test",
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := a.client.Metrics(cmd.Context())
			if err != nil {
				return err
			}
			defer text.Close()
			_, err = io.Copy(a.stdout, text)
			return err
		},
	}
}
