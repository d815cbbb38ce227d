package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/internal/terminal"
)

const sendLong = `Send requests that were held because they would change something outside: what
egress.stage of a box file names. "proofbox diff" shows them beside the changes,
each with a name that stands for its bytes; --all sends every one that is held.

They are sent in their order, each once, by the rules that the box had and with
secrets in the place of their placeholders. The first that is not answered with
success ends it. What may have arrived without an answer is sent again only with
--again. Discarding a run drops what it still holds.`

func (a *app) sendCommand() *cobra.Command {
	var yes bool
	var req proofbox.SendRequest
	cmd := &cobra.Command{
		Use: "send RUN (--all | N@HASH…)", Short: "Send requests that were held", Long: sendLong,
		Example: "  proofbox send last 1@3b5d1cfa0e9c2d71\n  proofbox send last --all",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) == 0 || req.All != (len(args) == 1) {
				return fmt.Errorf("name a run, and either its requests or --all; `proofbox help send` has examples")
			}
			if req.Of, err = stagedIDs(args[1:]); err != nil {
				return err
			}
			if !yes {
				if err := a.askSend(cmd, args[0], req); err != nil {
					return err
				}
			}
			run, err := a.client.Send(cmd.Context(), args[0], req)
			if err != nil {
				return err
			}
			if a.json {
				return a.document(run)
			}
			a.showStaged(run.ID, run.Staged)
			return nil
		},
	}
	cmd.Flags().BoolVar(&req.All, "all", false, "send every request that is held")
	cmd.Flags().BoolVar(&req.Again, "again", false, "send also what may have arrived already")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	a.jsonFlag(cmd)
	return cmd
}

// stagedIDs reads names of requests.
func stagedIDs(texts []string) ([]proofbox.StagedID, error) {
	var list []proofbox.StagedID
	for _, text := range texts {
		digits, hash, ok := strings.Cut(text, "@")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || hash == "" {
			return nil, fmt.Errorf("%q is not the name of a request, as `proofbox diff` shows it: 1@3b5d1cfa0e9c2d71", text)
		}
		list = append(list, proofbox.StagedID{N: n, Hash: hash})
	}
	return list, nil
}

// askSend shows what would be sent, and asks.
func (a *app) askSend(cmd *cobra.Command, name string, req proofbox.SendRequest) error {
	run, err := a.client.Show(cmd.Context(), name)
	if err != nil {
		return err
	}
	due := slices.DeleteFunc(run.Staged, func(s proofbox.Staged) bool {
		named := slices.Contains(req.Of, proofbox.StagedID{N: s.N, Hash: s.Hash})
		return !named && !(req.All && s.State == proofbox.Held)
	})
	a.showStaged(run.ID, due)
	return a.ask(fmt.Sprintf("send %s?", plural(len(due), "request")))
}

// showStaged lists requests that were held, and what is known of them.
func (a *app) showStaged(run string, list []proofbox.Staged) {
	for _, s := range list {
		a.printf("%-8s %d@%s %s %s (%s)\n", s.State, s.N, s.Hash, terminal.Name(s.Method), terminal.Name(s.URL), proofbox.Size(s.Bytes).Rounded())
		a.showPieces(s.Body)
		switch {
		case s.State == proofbox.Sent:
			a.printf("  answered with %d\n", s.Status)
			a.showPieces(s.Answer)
		case s.Problem != "":
			a.printf("  %s\n", terminal.Name(s.Problem))
		}
		if s.State == proofbox.Held {
			a.printf("  send it with: proofbox send %s %d@%s\n", run, s.N, s.Hash)
		}
	}
}

// showPieces shows the beginning of a body: its lines, or those of a form.
func (a *app) showPieces(body proofbox.Raw) {
	const most = 20
	lines := strings.Split(strings.TrimRight(string(body), "\n"), "\n")
	for _, line := range lines[:min(len(lines), most)] {
		if line != "" {
			a.printf("  | %s\n", terminal.Escape(shorten(line, 200)))
		}
	}
	if len(lines) > most {
		a.printf("  | …\n")
	}
}
