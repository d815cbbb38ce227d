package cli

import (
	"github.com/spf13/cobra"

	"proofbox/client"
)

const serveLong = `Serve this state folder to other processes of this host until it is interrupted.
A command for which PROOFBOX_HOST names the server asks it instead of working
itself; a run is then supervised by the server, and ends with its caller.

Without --listen it is reached at a socket that nobody but its user can open. At
--listen http://127.0.0.1:PORT it answers whoever has the token, which PROOFBOX_TOKEN
gives to a command: the server says in which file it is. Other addresses than this
host's own are refused, because nothing is encrypted.

With --ready N up to N microVMs are started ahead and wait for a run of the kind
that was asked for last: of the same image, memory, processors and disk. Each
serves one run and no second one, and knows nothing of any until it is its own.
They are torn down when the server ends, which runs that still go on do as well.`

func (a *app) serveCommand() *cobra.Command {
	var s client.Serving
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve other processes, with microVMs that are ready", Long: serveLong, Args: usageArgs(cobra.NoArgs),
		Example: "  proofbox serve --ready 2\n  PROOFBOX_HOST=unix://$HOME/.local/state/proofbox/serve.sock proofbox run --wall microvm -- true",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			s.Listening = func(host, tokenFile string) {
				a.printf("PROOFBOX_HOST=%s\n", host)
				if tokenFile != "" {
					a.printf("PROOFBOX_TOKEN=$(cat %s)\n", tokenFile)
				}
			}
			s.Said = func(text string) { a.printf("%s\n", text) }
			return a.client.Serve(ctx, s)
		},
	}
	cmd.Flags().StringVar(&s.Listen, "listen", "", "`URL` to serve at, http://127.0.0.1:PORT; 0 takes a free port")
	cmd.Flags().IntVar(&s.Ready, "ready", 0, "keep `N` microVMs ready")
	return cmd
}
