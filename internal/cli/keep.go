package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/internal/terminal"
)

const keepLong = `Apply changes of a run to the original: the paths that are named, with what is
below them, single hunks, what is left in a patch, what was decided, or everything
with --all but what was decided to be discarded.

All of it is written, or nothing, also where proofbox is killed meanwhile: the
next command finishes it or takes it back. Where the original has changed since
the run began, its changes and the run's are merged by content; a conflict is
shown, and nothing is written until --on-conflict names a side. Links are never
followed, files never written in place. Devices, set-user-ID files and links that
leave the folder are refused by name. "proofbox undo" takes a keep back.

What would run on this machine later (a repository's hooks and settings, editor
tasks, package scripts, build files, CI, programs) or hides text is never covered by
--all or a folder: each such change wants a yes of its own, at the question or with
--allow [PATH@]HASH, which holds for exactly the bytes that "proofbox diff" shows.

--hunk names a hunk as "proofbox diff RUN --json" counts them: PATH:N, or
PATH:N/LINES for some of its lines (main.go:2/3-5,7), counted from 1 below its @@
line. Hunk 0 is a change of mode. --patch reads a patch that "proofbox diff RUN
--export-patch FILE" has written and somebody has shortened or edited.

--not-from leaves out what a command of the run has written, or anything that it has
started: "npm", say. Who has written a path is what the host has seen, and
"proofbox diff --writers" shows it. What may be from it for all that is known is left out,
too, unless --unknown-too is given.

With --prove, the command after -- runs first, in a fresh box of the run's terms, on
the original with exactly what would be kept. Where it fails, nothing is written,
and the first set of the changes with which it fails is named: in the order of their
paths, found by halves in further boxes.

With --commit, what is kept goes into a commit, by you, on top of the branch or, where
there is none of that name, of what is checked out, merged with that. The index, the
files and the branch that is checked out stay as they are. No hook, filter or setting
of the repository runs: files that need a filter are left out, and so is what git
ignores.`

// keepFlags are what keep is told to keep.
type keepFlags struct {
	all, decided, yes bool
	hunks, allow      []string
	patch, conflict   string
	prove, commit     bool
	branch, message   string
	notFrom           []string
	unknown           bool
	command           []string // what must pass first, with prove
}

func (a *app) keepCommand() *cobra.Command {
	var f keepFlags
	cmd := &cobra.Command{
		Use: "keep RUN (--all | PATH… | --hunk PATH:N …)", Short: "Apply changes of a run to the original", Long: keepLong,
		Example: "  proofbox keep last src/main.go\n  proofbox keep last --hunk src/main.go:2\n  proofbox keep last --all --yes\n  proofbox keep last --all --prove -- go test ./...",
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if f.prove {
				args, f.command, err = afterDash(cmd, args)
			}
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return oneRun(cmd, args)
			}
			if !f.commit && f.branch+f.message != "" {
				return usage(cmd, errors.New("--branch and --message are for --commit"))
			}
			if f.unknown && len(f.notFrom) == 0 {
				return usage(cmd, errors.New("--unknown-too is for --not-from"))
			}
			if f.ways(args[1:]) == 0 && len(f.notFrom) > 0 {
				f.all = true
			}
			if f.ways(args[1:]) != 1 {
				return usage(cmd, errors.New("name paths or hunks to keep, give a patch, or keep everything with --all"))
			}
			return a.keep(cmd.Context(), args[0], args[1:], f)
		},
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "keep every change that a bulk keep covers")
	cmd.Flags().BoolVar(&f.decided, "decided", false, "keep what was decided to be kept")
	cmd.Flags().StringArrayVar(&f.hunks, "hunk", nil, "keep one hunk, `PATH:N`; can be given several times")
	cmd.Flags().StringArrayVar(&f.allow, "allow", nil, "say yes to a change that would run here, `[PATH@]HASH`; can be given several times")
	cmd.Flags().StringVar(&f.patch, "patch", "", "keep what a patch has of the changes, from `FILE` or - for standard input")
	cmd.Flags().StringVar(&f.conflict, "on-conflict", "", "where both have changed the same, take the `SIDE`: run or original")
	cmd.Flags().StringArrayVar(&f.notFrom, "not-from", nil, "leave out what a `COMMAND` of the run has written; can be given several times")
	cmd.Flags().BoolVar(&f.unknown, "unknown-too", false, "with --not-from, keep also what nobody knows the writer of")
	cmd.Flags().BoolVar(&f.prove, "prove", false, "keep only where the command after -- passes with it, in a fresh box")
	cmd.Flags().BoolVar(&f.commit, "commit", false, "commit to a branch of the original's repository, and leave the files as they are")
	cmd.Flags().StringVar(&f.branch, "branch", "", "the `BRANCH` for --commit (default proofbox/RUN)")
	cmd.Flags().StringVarP(&f.message, "message", "m", "", "the message for --commit")
	cmd.MarkFlagsMutuallyExclusive("commit", "prove")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	a.jsonFlag(cmd)
	return cmd
}

// ways counts in how many ways it was said what to keep.
func (f keepFlags) ways(paths []string) (n int) {
	for _, is := range []bool{f.all, f.decided, f.patch != "", len(paths)+len(f.hunks) > 0 || f.onlyAllow(paths)} {
		if is {
			n++
		}
	}
	return n
}

// onlyAllow says whether nothing is named but what is allowed, which is meant by
// it.
func (f keepFlags) onlyAllow(paths []string) bool {
	return len(f.allow) > 0 && !f.all && !f.decided && f.patch == "" && len(paths)+len(f.hunks) == 0
}

func (a *app) keep(ctx context.Context, run string, args []string, f keepFlags) error {
	req, diff, err := a.keepRequest(ctx, run, args, f)
	if err != nil {
		return err
	}
	if len(diff.Changes)+len(diff.Folders) == 0 {
		a.errorf("run %s has changed nothing; there is nothing to keep\n", diff.Run)
		return nil
	}
	if !f.yes {
		a.showAsked(diff, req)
		if err := a.askHazards(ctx, diff, &req); err != nil {
			return err
		}
		verb := "Apply it to"
		if f.commit {
			verb = "Commit it to a branch of the repository of"
		}
		if err := a.ask(fmt.Sprintf("`proofbox diff %s` shows it. %s %s?", diff.Run, verb, terminal.Name(diff.Original))); err != nil {
			return err
		}
	}
	if f.prove {
		if err := a.prove(ctx, diff, &req, f.command); err != nil {
			return err
		}
	}
	receipt, err := a.client.Keep(ctx, run, req)
	if err != nil {
		return err
	}
	if a.json {
		if err := a.document(receipt); err != nil {
			return err
		}
	} else {
		a.showKept(receipt)
	}
	if len(receipt.Refused) > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

// keepRequest asks for what the flags say, bound to the changes as they are
// shown, which it gives too.
func (a *app) keepRequest(ctx context.Context, run string, args []string, f keepFlags) (proofbox.KeepRequest, proofbox.Diff, error) {
	req := proofbox.KeepRequest{All: f.all, Decided: f.decided, Conflict: proofbox.Side(f.conflict), NotFrom: f.notFrom, Unknown: f.unknown}
	if f.commit {
		req.Commit = &proofbox.CommitRequest{Branch: f.branch, Message: f.message}
	}
	var err error
	if req.Patch, err = a.readPatch(f.patch); err != nil {
		return req, proofbox.Diff{}, err
	}
	if req.Paths, err = a.paths(ctx, run, args); err != nil {
		return req, proofbox.Diff{}, err
	}
	if req.Allow, err = a.allowances(ctx, run, f.allow); err != nil {
		return req, proofbox.Diff{}, err
	}
	if f.onlyAllow(args) {
		for _, yes := range req.Allow {
			req.Paths = append(req.Paths, yes.Path)
		}
	}
	if req.Hunks, err = a.hunks(ctx, run, f.hunks); err != nil {
		return req, proofbox.Diff{}, err
	}
	if len(req.Hunks) > 0 {
		diff, err := a.bindHunks(ctx, run, &req)
		return req, diff, err
	}
	diff, err := a.client.Diff(ctx, run, proofbox.DiffRequest{Paths: req.Paths, Stat: true})
	if req.Patch == "" {
		req.Shown = diff.Shown
	}
	return req, diff, err
}

// allowances reads what --allow was given: PATH@HASH, or a hash alone, which is
// looked up.
func (a *app) allowances(ctx context.Context, run string, args []string) ([]proofbox.Allowance, error) {
	var list []proofbox.Allowance
	for _, arg := range args {
		path, hash := "", arg
		if at := strings.LastIndexByte(arg, '@'); at > 0 {
			path, hash = arg[:at], arg[at+1:]
		}
		if len(hash) < proofbox.MinAllowance {
			return nil, fmt.Errorf("the yes %q is not PATH@HASH with at least %d digits, as `proofbox diff RUN --stat` shows it", arg, proofbox.MinAllowance)
		}
		yes, err := a.allowanceOf(ctx, run, path, hash)
		if err != nil {
			return nil, err
		}
		list = append(list, yes)
	}
	return list, nil
}

func (a *app) allowanceOf(ctx context.Context, run, path, hash string) (proofbox.Allowance, error) {
	if path != "" {
		paths, err := a.paths(ctx, run, []string{path})
		if err != nil {
			return proofbox.Allowance{}, err
		}
		return proofbox.Allowance{Path: paths[0], Hash: hash}, nil
	}
	diff, err := a.client.Diff(ctx, run, proofbox.DiffRequest{Stat: true})
	if err != nil {
		return proofbox.Allowance{}, err
	}
	for _, c := range diff.Changes {
		if strings.HasPrefix(strings.TrimPrefix(c.Hash, "sha256:"), strings.TrimPrefix(hash, "sha256:")) {
			return proofbox.Allowance{Path: c.Path, Hash: c.Hash}, nil
		}
	}
	return proofbox.Allowance{}, fmt.Errorf("no change that wants a yes has the hash %q; `proofbox diff RUN --stat` shows them", hash)
}

// askHazards shows each change that would run here and asks about it alone. A no
// leaves it out.
func (a *app) askHazards(ctx context.Context, d proofbox.Diff, req *proofbox.KeepRequest) error {
	for _, c := range d.Changes {
		if len(c.Hazards) == 0 || c.Kept || c.Refused != "" || c.Drifted || c.Choice == proofbox.Drop && len(req.Paths) == 0 {
			continue
		}
		if !isTerminal(a.stdin) {
			return errors.New("nobody is there to ask; say --yes, and --allow for what would run here")
		}
		one, err := a.client.Diff(ctx, d.Run, proofbox.DiffRequest{Paths: []proofbox.Raw{c.Path}})
		if err != nil {
			return err
		}
		a.writePatch(string(one.Text), isTerminal(a.stdout))
		for _, h := range c.Hazards {
			a.printf("! %s %s\n", terminal.Name(string(c.Path)), describeHazard(h))
		}
		if a.ask("Keep this one?") == nil {
			req.Allow = append(req.Allow, proofbox.Allowance{Path: c.Path, Hash: c.Hash})
		}
	}
	return nil
}

// readPatch reads a patch from a file or standard input; no name is no patch.
func (a *app) readPatch(name string) (proofbox.Raw, error) {
	var data []byte
	var err error
	switch name {
	case "":
		return "", nil
	case "-":
		data, err = io.ReadAll(a.stdin)
	default:
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return "", fmt.Errorf("reading the patch: %w", err)
	}
	if len(data) == 0 {
		return "", fmt.Errorf("the patch %q is empty", name)
	}
	return proofbox.Raw(data), nil
}

// bindHunks fills in with which hashes the hunks are shown. Paths that are named
// whole beside them are in the answer too.
func (a *app) bindHunks(ctx context.Context, run string, req *proofbox.KeepRequest) (proofbox.Diff, error) {
	paths := slices.Clone(req.Paths)
	for _, ref := range req.Hunks {
		paths = append(paths, ref.Path)
	}
	diff, err := a.client.Diff(ctx, run, proofbox.DiffRequest{Paths: paths})
	if err != nil {
		return diff, err
	}
	for i := range req.Hunks {
		if h := findHunk(diff, req.Hunks[i]); h != nil {
			req.Hunks[i].Hash = h.Hash
		}
	}
	return diff, nil
}

// findHunk gives the hunk of a diff that a reference names, nil for none.
func findHunk(d proofbox.Diff, ref proofbox.HunkRef) *proofbox.Hunk {
	for i := range d.Changes {
		for j := range d.Changes[i].Hunks {
			if h := &d.Changes[i].Hunks[j]; d.Changes[i].Path == ref.Path && h.N == ref.N {
				return h
			}
		}
	}
	return nil
}

// showAsked shows what a keep is asked for: hunks with their lines, else paths.
func (a *app) showAsked(d proofbox.Diff, req proofbox.KeepRequest) {
	switch {
	case len(d.Folders) > 0:
		a.showFolders(d)
		return
	case len(req.Hunks) == 0:
		a.showStat(d, nil)
		return
	}
	for _, ref := range req.Hunks {
		a.printf("%s, hunk %d\n", terminal.Name(string(ref.Path)), ref.N)
		if h := findHunk(d, ref); h != nil {
			a.writePatch(string(h.Text), isTerminal(a.stdout))
		}
	}
}

// hunks reads what --hunk was given.
func (a *app) hunks(ctx context.Context, run string, args []string) ([]proofbox.HunkRef, error) {
	var list []proofbox.HunkRef
	for _, arg := range args {
		at := strings.LastIndexByte(arg, ':')
		if at <= 0 {
			return nil, fmt.Errorf("the hunk %q is not PATH:N or PATH:N/LINES", arg)
		}
		number, lines, some := strings.Cut(arg[at+1:], "/")
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("the hunk %q is not PATH:N or PATH:N/LINES", arg)
		}
		ref := proofbox.HunkRef{N: n}
		if some {
			if ref.Lines, err = lineNumbers(lines); err != nil {
				return nil, fmt.Errorf("the hunk %q: %w", arg, err)
			}
		}
		paths, err := a.paths(ctx, run, []string{arg[:at]})
		if err != nil {
			return nil, err
		}
		ref.Path = proofbox.Raw(filepath.Clean(string(paths[0])))
		list = append(list, ref)
	}
	return list, nil
}

// maxLines bounds how many lines a list of numbers names.
const maxLines = 1_000_000

// lineNumbers reads "3-5,7".
func lineNumbers(text string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.Atoi(first)
		to := from
		if isRange && err == nil {
			to, err = strconv.Atoi(last)
		}
		if err != nil || from < 1 || to < from || to-from >= maxLines {
			return nil, fmt.Errorf("%q is not a list of lines like 3-5,7", text)
		}
		for n := from; n <= to; n++ {
			list = append(list, n)
		}
	}
	return list, nil
}

func (a *app) showKept(r proofbox.KeepReceipt) {
	for _, c := range r.Kept {
		a.printf("kept     %s\n", terminal.Name(string(c.Path)))
	}
	for _, group := range refusals(r.Refused) {
		a.printf("refused  %s\n", group)
	}
	for _, path := range r.Merged {
		a.printf("merged   %s: it holds what changed in the original meanwhile, too\n", terminal.Name(string(path)))
	}
	if c := r.Commit; c != nil {
		a.printf("%s committed as %.12s to the branch %s, by %s\n", plural(len(r.Kept), "change"), c.ID, terminal.Name(c.Branch), terminal.Name(c.Author))
		if c.Unsigned {
			a.errorf("it is not signed, although commit.gpgSign is set: a signature is made by a program that settings name, and none of these runs here; `git commit --amend --no-edit -S` on that branch signs it\n")
		}
		return
	}
	a.printf("%s kept in %s\n", plural(len(r.Kept), "change"), terminal.Name(r.Original))
}

// maxNamed is up to how many paths are named that are refused for one reason.
const maxNamed = 3

// refusals says what was refused, all that was for the same reason together.
func refusals(changes []proofbox.Change) []string {
	var reasons []string
	paths := map[string][]string{}
	for _, c := range changes {
		if len(paths[c.Refused]) == 0 {
			reasons = append(reasons, c.Refused)
		}
		paths[c.Refused] = append(paths[c.Refused], terminal.Name(string(c.Path)))
	}
	var list []string
	for _, why := range reasons {
		names := paths[why]
		text := strings.Join(names[:min(len(names), maxNamed)], ", ")
		if more := len(names) - maxNamed; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		list = append(list, text+": "+why)
	}
	return list
}

// ask waits for a yes at the terminal. Without a terminal there is nobody to
// ask.
func (a *app) ask(question string) error {
	if !isTerminal(a.stdin) {
		return errors.New("nobody is there to ask; say --yes")
	}
	a.errorf("%s [y/N] ", question)
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y") {
		return errors.New("nothing was done")
	}
	return nil
}

func (a *app) showDiscarded(run proofbox.Run) {
	switch {
	case run.Decision == proofbox.PartDiscarded:
		a.printf("the other changes of run %s are discarded; what was kept stays\n", run.ID)
	case run.Changes == (proofbox.Tally{}):
		a.printf("run %s had changed nothing\n", run.ID)
	default:
		a.printf("the changes of run %s are discarded; the original is as it was\n", run.ID)
	}
}

// askDiscard names what would be thrown away, unless it is nothing.
func (a *app) askDiscard(ctx context.Context, name string) error {
	run, err := a.client.Show(ctx, name)
	if err != nil {
		return err
	}
	n := run.Changes.Added + run.Changes.Modified + run.Changes.Deleted
	if n == 0 {
		return nil
	}
	return a.ask(fmt.Sprintf("throw %s of run %s (%s) away?", plural(n, "change"), run.ID,
		shorten(terminal.Name(strings.Join(quoteAll(run.Command), " ")), 60)))
}

const discardLong = `Throw away what is left of a run's changes. The record of the run stays; the
changes cannot be brought back. What was kept can still be undone.

With paths or hunks, nothing is thrown away: they are only decided against, so
that "keep --all" leaves them out. Naming them in a later keep takes that back.`

// drop decides against changes.
func (a *app) drop(ctx context.Context, run string, args, hunks []string) error {
	req := proofbox.ChoiceRequest{Choice: proofbox.Drop}
	var err error
	if req.Paths, err = a.paths(ctx, run, args); err != nil {
		return err
	}
	if req.Hunks, err = a.hunks(ctx, run, hunks); err != nil {
		return err
	}
	decided, err := a.client.Decide(ctx, run, req)
	if err != nil {
		return err
	}
	if a.json {
		return a.document(decided)
	}
	a.printf("decided; `proofbox keep %s --all` will leave them out\n", decided.ID)
	return nil
}

func (a *app) discardCommand() *cobra.Command {
	var yes bool
	var hunks []string
	cmd := &cobra.Command{
		Use: "discard RUN [PATH…]", Short: "Throw a run's changes away", Long: discardLong,
		Example: "  proofbox discard last\n  proofbox discard last vendor --hunk main.go:2",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return oneRun(cmd, args)
			}
			if len(args)+len(hunks) > 1 {
				return a.drop(cmd.Context(), args[0], args[1:], hunks)
			}
			if !yes && isTerminal(a.stdin) {
				if err := a.askDiscard(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			run, err := a.client.Discard(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.document(run)
			}
			a.showDiscarded(run)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&hunks, "hunk", nil, "decide against one hunk, `PATH:N`; can be given several times")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	a.jsonFlag(cmd)
	return cmd
}
