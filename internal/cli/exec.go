package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) execCommand() *cobra.Command {
	var tty bool
	var env []string
	cmd := &cobra.Command{
		Use: "exec [flags] RUN -- COMMAND [ARG…]", Short: "Run a further command in a running box",
		Long: `Run a further command in the box of a run that has not ended, with the same
limits and protections. The exit status is the command's own.`,
		Example: "  proofbox exec last -- ps aux\n  proofbox exec --tty last -- sh",
		RunE: func(cmd *cobra.Command, args []string) error {
			before, command, err := afterDash(cmd, args)
			if err == nil {
				err = oneRun(cmd, before)
			}
			if err != nil {
				return err
			}
			var spec proofbox.Spec
			if err := (&specFlags{env: env}).lists(&spec); err != nil {
				return usage(cmd, err)
			}
			return a.exec(cmd.Context(), before[0], spec, command, tty)
		},
	}
	cmd.Flags().BoolVarP(&tty, "tty", "t", false, "give the command a terminal")
	cmd.Flags().StringArrayVar(&env, "env", nil, "set a variable, `K=V`")
	return cmd
}

func (a *app) exec(ctx context.Context, run string, spec proofbox.Spec, args []string, tty bool) error {
	s, err := a.session(tty)
	if err != nil {
		return failed(err)
	}
	defer s.restore()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go s.forward(ctx, cancel)
	if err := s.begin(); err != nil {
		return failed(err)
	}
	result, err := a.client.Exec(ctx, run, s.command(spec, args))
	s.restore()
	if errors.Is(err, errInterrupted) {
		return &exitError{code: exitInterrupted}
	}
	if err != nil {
		return failed(err)
	}
	if result.Ended != fmt.Sprintf("exit status %d", result.ExitCode) {
		a.errorf("proofbox: ended: %s\n", result.Ended)
	}
	if result.ExitCode == 0 {
		return nil
	}
	return &exitError{code: result.ExitCode}
}

func (a *app) stopCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "stop RUN", Short: "End a run and wait until it has been torn down", Args: oneRun,
		Example: "  proofbox stop last",
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := a.client.Stop(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.document(run)
			}
			a.printf("run %s has ended: %s\n", run.ID, run.Ended)
			return nil
		},
	}
	a.jsonFlag(cmd)
	return cmd
}
