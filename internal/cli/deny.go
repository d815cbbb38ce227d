package cli

import (
	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) denyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "deny RUN HOST[:PORT]…", Short: "Take destinations away from a running box", Args: usageArgs(cobra.MinimumNArgs(2)),
		Long: `Take destinations away that a running box was allowed. Connections to them are ended,
wherever they are in what they do, and no new ones are made; there is no way back
in this run. A host without a port is every port of it, and *.example.com every name
directly below.`,
		Example: "  proofbox deny last registry.npmjs.org\n  proofbox deny 4f '*.example.com:8443'",
		RunE: func(cmd *cobra.Command, args []string) error {
			denied, err := a.client.Deny(cmd.Context(), args[0], proofbox.DenyRequest{Hosts: args[1:]})
			if err != nil {
				return err
			}
			if a.json {
				return a.document(denied)
			}
			for _, to := range denied.Denied {
				a.printf("%s cannot reach %s any more\n", denied.Run, everyPort(to))
			}
			return nil
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

// everyPort names a destination that may have every port.
func everyPort(to proofbox.Destination) string {
	if to.Port == 0 {
		return to.Host
	}
	return to.String()
}
