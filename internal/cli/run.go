package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/client"
)

const runLong = `Run a command in a box, on a writable copy of a folder.

The original folder is never written. When the command has ended, the box is
destroyed and what it changed is kept aside for you to look at (proofbox diff),
to apply (proofbox keep) or to throw away (proofbox discard).

The exit status is the command's own; 124 where the time limit ended it, 125
where proofbox itself failed or was used wrongly, 126 where policy refused the
run, 127 where the command is not in the image, 130 where it was interrupted,
137 where another limit or a kill ended it. The last line on standard error
names the run.

An interrupt (Ctrl-C) goes to the command; a second one, or three seconds, end
the box. With --tty every key is the command's: proofbox stop, from another
terminal, ends it in any case. With --json the only thing on standard output is
the run's record: what the command writes goes to standard error.`

const runExample = `  proofbox run -- go test ./...
  proofbox run --wall gvisor --memory 1GiB --time 5m -- ./agent --fix
  proofbox run --tty -- bash
  proofbox run -f box.yaml -- python3 job.py`

type runFlags struct {
	spec        specFlags
	tty, detach bool
	certify     bool
	idFile      string
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run [flags] -- COMMAND [ARG…]", Short: "Run a command in a box, on a copy of a folder",
		Long: runLong, Example: runExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			before, command, err := afterDash(cmd, args)
			if err == nil && len(before) > 0 {
				err = usage(cmd, fmt.Errorf("%q stands before --; the command stands after it", before[0]))
			}
			if err != nil {
				return err
			}
			spec, err := f.spec.spec(cmd)
			if err != nil {
				return failed(err)
			}
			return a.run(cmd.Context(), spec, command, f)
		},
	}
	f.spec.add(cmd)
	cmd.Flags().BoolVarP(&f.tty, "tty", "t", false, "give the command a terminal")
	cmd.Flags().BoolVarP(&f.detach, "detach", "d", false, "leave the run to a supervisor and return when the command runs")
	cmd.Flags().BoolVar(&f.certify, "certify", false, "try the wall first, where generated code demands it; takes a minute or more")
	cmd.Flags().StringVar(&f.idFile, "id-file", "", "write the run's ID to `FILE` as soon as there is one")
	a.jsonFlag(cmd)
	return cmd
}

// failed gives an error the exit status by which run says that there was no
// run: refused by policy, or failed.
func failed(err error) *exitError {
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit
	}
	code := proofbox.ExitFailed
	if _, ok := errors.AsType[*proofbox.Refusal](err); ok {
		code = proofbox.ExitRefused
	}
	return &exitError{code, err}
}

func (a *app) run(ctx context.Context, spec proofbox.Spec, args []string, f runFlags) error {
	ids, err := openIDFile(f.idFile)
	if err != nil {
		return failed(err)
	}
	defer ids.close()
	if f.detach && f.certify {
		return failed(errors.New("--detach and --certify exclude each other: `proofbox breakout run --wall WALL` tries the wall, and the run can be detached then"))
	}
	if f.detach {
		return a.detach(ctx, spec, args, f.tty, ids)
	}
	s, err := a.session(f.tty)
	if err != nil {
		return failed(err)
	}
	defer s.restore()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go s.forward(ctx, cancel)
	progress := a.newProgress()
	id := ""
	command := s.command(spec, args)
	command.Certify = f.certify
	if a.json {
		command.Stdout = command.Stderr
	}
	command.Event = func(e proofbox.Event) {
		var err error
		if e.Started != "" {
			id = e.Started
			err = ids.write(id)
		}
		progress.hear(e)
		if e.Running {
			err = errors.Join(err, s.begin())
		}
		if err != nil {
			cancel(err)
		}
	}
	run, err := a.client.Run(ctx, command)
	progress.stop()
	s.restore()
	return a.conclude(run, id, err)
}

// conclude shows how a run ended.
func (a *app) conclude(run proofbox.Run, id string, err error) error {
	code := run.ExitCode
	switch {
	case errors.Is(err, errInterrupted):
		a.errorf("proofbox: interrupted; the run was stopped\n")
		code = exitInterrupted
	case errors.Is(err, context.Canceled):
		a.errorf("proofbox: stopped\n")
		code = proofbox.ExitKilled
	case err != nil:
		a.complain(err)
		code = failed(err).code
	}
	if a.json && err == nil {
		if err := a.document(run); err != nil {
			return failed(err)
		}
	}
	a.sayEnding(run)
	if run.ID != "" {
		id = run.ID
	}
	if id != "" {
		a.errorf("run %s\n", id)
	}
	if code == 0 {
		return nil
	}
	return &exitError{code: code}
}

// sayEnding says what a person should know of how the run ended: a limit that
// ended it, what went wrong beside it, and, to a terminal, what comes next.
func (a *app) sayEnding(run proofbox.Run) {
	if run.ID == "" {
		return
	}
	if run.Ended != plainEnding(run) {
		a.errorf("proofbox: ended: %s\n", run.Ended)
	}
	for _, w := range run.Warnings {
		a.errorf("proofbox: warning: %s\n", w)
	}
	changes := run.Changes.Added + run.Changes.Modified + run.Changes.Deleted
	if isTerminal(a.stderr) && changes > 0 {
		a.errorf("%s: proofbox diff %s, then keep or discard\n", plural(changes, "change"), run.ID)
	}
}

func (a *app) detach(ctx context.Context, spec proofbox.Spec, args []string, tty bool, ids *idFile) error {
	if tty {
		return failed(errors.New("--detach and --tty exclude each other: nobody would be at the terminal"))
	}
	run, err := a.client.Detach(ctx, spec, args)
	if err != nil {
		return failed(err)
	}
	if err := ids.write(run.ID); err != nil {
		return failed(err)
	}
	if run.State == proofbox.Ended { // it was over before the command ran
		return a.conclude(run, run.ID, nil)
	}
	if a.json {
		if err := a.document(run); err != nil {
			return failed(err)
		}
	}
	a.errorf("run %s\n", run.ID)
	return nil
}

// exitInterrupted is the exit status of who was interrupted, as shells have it.
const exitInterrupted = 128 + int(syscall.SIGINT)

// graceTime is how long a command has to end after its first interrupt.
const graceTime = 3 * time.Second

// command is what the client is asked to run.
func (s *session) command(spec proofbox.Spec, args []string) client.Command {
	return client.Command{
		Spec: spec, Args: args, Stdin: s.stdin, Stdout: s.stdout, Stderr: s.stderr,
		TTY: s.size, Term: os.Getenv("TERM"), Signals: s.signals, Sizes: s.sizes,
	}
}
