package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/client"
)

// superviseCommand supervises one detached run: it owns the door, the limits and
// the teardown. It is started by proofbox itself, see [client.Client.Detach].
func (a *app) superviseCommand() *cobra.Command {
	return &cobra.Command{
		Use: "supervise", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var req proofbox.RunRequest
			if err := json.NewDecoder(a.stdin).Decode(&req); err != nil {
				return fmt.Errorf("reading the run to supervise: %w", err)
			}
			var once sync.Once
			answer := func(l proofbox.Launched) {
				once.Do(func() { _ = json.NewEncoder(a.stdout).Encode(l) }) // whoever asked may have gone
			}
			id := ""
			run, err := a.client.Run(cmd.Context(), client.Command{
				Spec: req.Spec, Args: req.Command,
				Event: func(e proofbox.Event) {
					if e.Started != "" {
						id = e.Started
					}
					if e.Running {
						run, err := a.client.Show(cmd.Context(), id)
						if err == nil {
							answer(proofbox.Launched{Run: &run})
						}
					}
				},
			})
			if err != nil {
				answer(proofbox.Launched{Problem: problemOf(err)})
				return err
			}
			answer(proofbox.Launched{Run: &run}) // where its command never ran
			return nil
		},
	}
}

// problemOf gives an error the form of the API.
func problemOf(err error) *proofbox.Problem {
	if p, ok := errors.AsType[*proofbox.Problem](err); ok {
		return p
	}
	if refusal, ok := errors.AsType[*proofbox.Refusal](err); ok {
		return &proofbox.Problem{Code: proofbox.CodeRefused, Message: err.Error(), Refusal: refusal}
	}
	return &proofbox.Problem{Code: proofbox.CodeFailed, Message: err.Error()}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			a.printf("proofbox %s\n", proofbox.Version)
			return nil
		},
	}
}
