// Package cli is the command line: one file a command. It does nothing that the
// client package does not offer.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"proofbox"
	"proofbox/client"
	"proofbox/internal/terminal"
)

// Exit statuses of every command but run, which has those of
// [proofbox.ExitFailed] and its like.
const (
	exitFailed = 1
	exitUsage  = 2
)

// app is one invocation.
type app struct {
	client         *client.Client
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool
}

// exitError ends the command with a status; its text, where there is one, has
// still to be shown.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Main runs the command line and gives the exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{client: &client.Client{}, stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := root.ExecuteContext(ctx)
	err = errors.Join(err, a.client.Close())
	return a.report(err)
}

// untilInterrupted is the context of a command that has to clean up when a person
// interrupts it: it ends then. Where nobody asks for it, an interrupt ends the
// process, or is the box's to handle.
func untilInterrupted(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(cmd.Context(), os.Interrupt)
}

// report shows an error and gives the exit status that it means.
func (a *app) report(err error) int {
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exitError](err)
	if !ok || exit.err != nil {
		a.complain(err)
	}
	if ok {
		return exit.code
	}
	return exitFailed
}

// complain shows an error, with --json also as the document. Words of it may
// have come out of a box.
func (a *app) complain(err error) {
	if a.json {
		_ = a.document(problemOf(err)) // as in printf
	}
	if refusal, ok := errors.AsType[*proofbox.Refusal](err); ok {
		a.errorf("proofbox: refused by the rule %s\n  why:    %s\n  repair: %s\n", refusal.Rule, refusal.Reason, refusal.Repair)
		return
	}
	a.errorf("proofbox: %v\n", err)
}

// printf writes to standard output, errorf to standard error, both harmless to
// a terminal. That they cannot be written is nothing that could be told anybody.
func (a *app) printf(format string, args ...any) {
	_, _ = io.WriteString(a.stdout, terminal.Escape(fmt.Sprintf(format, args...)))
}

func (a *app) errorf(format string, args ...any) {
	_, _ = io.WriteString(a.stderr, terminal.Escape(fmt.Sprintf(format, args...)))
}

// document writes a document as JSON.
func (a *app) document(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// terminalOf gives the file behind a stream if it is a terminal.
func terminalOf(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

func isTerminal(stream any) bool {
	_, ok := terminalOf(stream)
	return ok
}

const rootLong = `proofbox runs AI agents, models and generated code where mistakes cost nothing,
and shows it: the wall was read back before the command started, the original
folder cannot be written, and every object on the host is verified gone.

A command runs in a box, on a writable copy of a folder. Afterwards you look at
what it changed and keep what is good:

  proofbox run -- make format      run a command on a copy of this folder
  proofbox diff last               what has it changed?
  proofbox keep last --all         apply it, or: proofbox discard last`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "proofbox", Short: "Run agents and generated code in boxes that were shown to hold",
		Long: rootLong, Version: proofbox.Version, SilenceUsage: true, SilenceErrors: true, Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("proofbox {{.Version}}\n")
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	root.AddCommand(
		a.runCommand(), a.planCommand(), a.runsCommand(), a.showCommand(), a.logsCommand(), a.execCommand(),
		a.stopCommand(), a.denyCommand(), a.diffCommand(), a.reviewCommand(), a.keepCommand(), a.discardCommand(), a.undoCommand(), a.sendCommand(), a.logCommand(), a.spendCommand(), a.metricsCommand(), a.recordingCommand(),
		a.doctorCommand(), a.setupCommand(), a.breakoutCommand(), a.contentsCommand(), a.serveCommand(), a.versionCommand(), a.superviseCommand(),
	)
	return root
}

// usage is an error of whoever typed the command.
func usage(cmd *cobra.Command, err error) error {
	code := exitUsage
	if path := cmd.CommandPath(); path == "proofbox run" || path == "proofbox exec" { // their other statuses are the command's
		code = proofbox.ExitFailed
	}
	return &exitError{code, fmt.Errorf("%w; `%s --help` says how it is used", err, cmd.CommandPath())}
}

// usageArgs makes errors about arguments usage errors.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(cmd, err)
		}
		return nil
	}
}

// oneRun checks that a command is about one run.
func oneRun(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, errors.New("name one run: an ID, the beginning of one, a name, or last"))
	}
	return nil
}

// jsonFlag gives a reading command its --json.
func (a *app) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.json, "json", false, "write one JSON document, as docs/formats describes it; an error is one too")
}

// afterDash gives what stands after --.
func afterDash(cmd *cobra.Command, args []string) (before, after []string, err error) {
	dash := cmd.ArgsLenAtDash()
	if dash < 0 {
		return args, nil, usage(cmd, errors.New("the command to run stands after --"))
	}
	if dash == len(args) {
		return args[:dash], nil, usage(cmd, errors.New("there is no command after --"))
	}
	return args[:dash], args[dash:], nil
}

// plural writes a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
