package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/internal/hazard"
	"proofbox/internal/terminal"
)

const diffLong = `Show what a run has changed, computed from bytes: every file, link, mode and
folder, whether git would show it or not. Paths limit it to themselves and what
is below them.

What could act on a terminal or hide text is shown as visible escapes; with
--raw the patch is written as it is, for git apply or patch. These take a patch
as a whole or not at all: name the paths that are text, since what is binary, a
repository's own or larger than a line-by-line comparison allows is only named.
So is the rest where 16 MiB are shown; a path that is named is shown by itself.
--stat sums up what many files of a new folder would run; where paths are named, all of
it is listed, and --json has everything always.
--writers names who has written each path: the program that has written last, and
those that it or another writer was started by. "proofbox keep --not-from" goes by it.
More than 100,000 changes are summed up by folder; naming a folder lists what is in it.
--export-patch leaves out what git apply would refuse, and says so; it has the
bytes of what is no text, up to 8 MiB of a file.`

func (a *app) diffCommand() *cobra.Command {
	var stat, raw, writers bool
	var export string
	cmd := &cobra.Command{
		Use: "diff RUN [PATH…]", Short: "Show what a run has changed", Long: diffLong,
		Example: "  proofbox diff last\n  proofbox diff last --stat\n  proofbox diff last src/main.go",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return oneRun(cmd, args)
			}
			paths, err := a.paths(cmd.Context(), args[0], args[1:])
			if err != nil {
				return err
			}
			diff, err := a.client.Diff(cmd.Context(), args[0], proofbox.DiffRequest{Paths: paths, Stat: stat || writers, Binary: export != ""})
			if err != nil {
				return err
			}
			if export != "" && len(diff.Folders) == 0 {
				return a.exportPatch(diff, export)
			}
			raw = raw || export != ""
			if writers && !a.json && len(diff.Folders) == 0 {
				return a.showWriters(diff)
			}
			var folded hazard.Folding
			if len(paths) == 0 {
				folded = hazard.Fold(diff.Changes)
			}
			return a.showDiff(diff, stat, raw, folded)
		},
	}
	cmd.Flags().BoolVar(&stat, "stat", false, "only name the paths and count the lines")
	cmd.Flags().BoolVar(&writers, "writers", false, "say which commands of the run have written each path, as far as the host has seen it")
	cmd.Flags().BoolVar(&raw, "raw", false, "write the patch as it is, not escaped")
	cmd.Flags().StringVar(&export, "export-patch", "", "write what git apply can do to `FILE`, and name the rest")
	cmd.MarkFlagsMutuallyExclusive("stat", "writers", "raw", "export-patch")
	a.jsonFlag(cmd)
	return cmd
}

// exportPatch writes the changes that are text as a patch, and says which are
// not in it. The file is a new one.
func (a *app) exportPatch(d proofbox.Diff, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("writing the patch: %w", err)
	}
	_, err = io.WriteString(f, string(d.Patch))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the patch: %w", err)
	}
	left := slices.DeleteFunc(slices.Clone(d.Changes), func(c proofbox.Change) bool { return c.Patched })
	for _, c := range left {
		a.errorf("not in the patch: %s\n", describePath(c))
	}
	a.errorf("%s written to %s\n", plural(len(d.Changes)-len(left), "change"), terminal.Name(path))
	if a.json {
		return a.document(d)
	}
	return nil
}

// paths gives the paths that a person has named, which are relative to the
// run's workspace or lie in it.
func (a *app) paths(ctx context.Context, run string, args []string) ([]proofbox.Raw, error) {
	list := make([]proofbox.Raw, len(args))
	for i, arg := range args {
		if filepath.IsAbs(arg) {
			inside, err := a.inWorkspace(ctx, run, arg)
			if err != nil {
				return nil, err
			}
			arg = inside
		}
		list[i] = proofbox.Raw(arg)
	}
	return list, nil
}

// inWorkspace makes an absolute path relative to a run's workspace.
func (a *app) inWorkspace(ctx context.Context, run, path string) (string, error) {
	record, err := a.client.Show(ctx, run)
	if err != nil {
		return "", err
	}
	if record.Plan.Workspace == nil {
		return "", fmt.Errorf("run %s had no workspace that %q could be in", record.ID, path)
	}
	inside, err := filepath.Rel(record.Plan.Workspace.Original, path)
	if err != nil || !filepath.IsLocal(inside) {
		return "", fmt.Errorf("%q is not in the run's workspace %q; paths are relative to it", path, record.Plan.Workspace.Original)
	}
	return inside, nil
}

func (a *app) showDiff(d proofbox.Diff, stat, raw bool, folded hazard.Folding) error {
	switch {
	case a.json:
		return a.document(d)
	case len(d.Folders) > 0:
		a.showFolders(d)
		a.showStaged(d.Run, d.Staged)
		if raw {
			return errors.New("so many changes are no patch; name paths")
		}
		return nil
	case len(d.Changes)+len(d.Staged) == 0:
		a.errorf("run %s has changed nothing\n", d.Run)
		return nil
	case stat:
		a.showStat(d, folded)
		a.showStaged(d.Run, d.Staged)
		return nil
	case raw:
		if _, err := io.WriteString(a.stdout, string(d.Text)); err != nil {
			return fmt.Errorf("writing the patch: %w", err)
		}
		return nil
	}
	a.writePatch(string(d.Text), isTerminal(a.stdout))
	a.showStaged(d.Run, d.Staged)
	return nil
}

// SGR sequences for the lines of a patch.
const (
	plain = "\x1b[0m"
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	cyan  = "\x1b[36m"
)

// writePatch writes a patch escaped, and coloured where colours are wanted.
func (a *app) writePatch(text string, colours bool) {
	for line := range strings.Lines(text) {
		safe := terminal.Escape(line)
		if colours {
			body, end := strings.CutSuffix(safe, "\n")
			safe = colourOf(line) + body + plain
			if end {
				safe += "\n"
			}
		}
		_, _ = io.WriteString(a.stdout, safe) // as in printf
	}
}

func colourOf(line string) string {
	switch {
	case strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "),
		strings.HasPrefix(line, "new "), strings.HasPrefix(line, "old "), strings.HasPrefix(line, "deleted "), strings.HasPrefix(line, "warning: "):
		return bold
	case strings.HasPrefix(line, "@@"):
		return cyan
	case strings.HasPrefix(line, "+"):
		return green
	case strings.HasPrefix(line, "-"):
		return red
	}
	return plain
}

// showFolders sums up changes that are too many to be listed.
func (a *app) showFolders(d proofbox.Diff) {
	n := 0
	for _, f := range d.Folders {
		n += f.Changes
		name, risks := terminal.Name(string(f.Path)), ""
		if f.Path == "" {
			name = "and in further folders"
		}
		if f.Hazards > 0 {
			risks = fmt.Sprintf("  ! %d would run here or hide text", f.Hazards)
		}
		a.printf("  %-16s  %-14s  %s%s\n", plural(f.Changes, "change"), fmt.Sprintf("+%d -%d", f.Insertions, f.Deletions), name, risks)
	}
	a.printf("%s are too many to be listed one by one; `proofbox diff %s PATH --stat` lists those in a folder\n", plural(n, "change"), d.Run)
}

// showStat lists changes, one a line.
func (a *app) showStat(d proofbox.Diff, folded hazard.Folding) {
	insertions, deletions := 0, 0
	for _, c := range d.Changes {
		a.printf("  %-8s  %-14s  %s\n", c.Action(), amount(c), describePath(c))
		a.showNotes(c)
		if folded.Over(c.Path) == "" {
			a.showHazards(c)
		}
		if sum := folded[c.Path]; sum != "" {
			a.printf("  %8s  %s;\n  %8s  `proofbox diff %s %s --stat` lists them\n", "!", sum, "", d.Run, terminal.Name(string(c.Path)))
		}
		insertions += c.Insertions
		deletions += c.Deletions
	}
	a.printf("%s, %s added, %d removed\n", plural(len(d.Changes), "change"), plural(insertions, "line"), deletions)
}

// showNotes says what else there is to know of a change.
func (a *app) showNotes(c proofbox.Change) {
	for _, n := range c.Notes {
		a.printf("  %8s  %s\n", "", terminal.Escape(n))
	}
	for i, p := range c.Packages {
		if more := len(c.Packages) - i; i == maxPackages && more > 1 {
			a.printf("  %8s  and %d packages more\n", "", more)
			break
		}
		a.printf("  %8s  %s\n", "", terminal.Name(p.Words()))
	}
}

// maxPackages is up to how many packages of a lock file are listed.
const maxPackages = 20

// showHazards says what a change would run, and how to say yes to it.
func (a *app) showHazards(c proofbox.Change) {
	for _, h := range c.Hazards {
		a.printf("  %8s  %s\n", "!", describeHazard(h))
	}
	if len(c.Hazards) > 0 && !c.Kept {
		a.printf("  %8s  keep it with --allow %s\n", "", terminal.Name(allowance(c)))
	}
}

func describeHazard(h proofbox.Hazard) string {
	if h.Line > 0 {
		return fmt.Sprintf("line %d %s", h.Line, terminal.Escape(h.Words))
	}
	return terminal.Escape(h.Words)
}

// allowance is how a yes to a change is written: its hash is enough, and its path
// is before it where it can be typed as it is shown.
func allowance(c proofbox.Change) string {
	hash := strings.TrimPrefix(c.Hash, "sha256:")
	hash = hash[:min(len(hash), proofbox.MinAllowance)]
	path := string(c.Path)
	if terminal.Name(path) != path || strings.ContainsAny(path, " \t'\"$`!*?[](){}<>|&;#~") || strings.HasPrefix(path, "-") {
		return hash
	}
	return path + "@" + hash
}

// describePath names a change's path, what it is, and what became of it.
func describePath(c proofbox.Change) string {
	var text strings.Builder
	text.WriteString(terminal.Name(string(c.Path)))
	if c.After.Kind == proofbox.Folder || c.After.Kind == proofbox.Absent && c.Before.Kind == proofbox.Folder {
		text.WriteString("/")
	}
	if c.After.Kind == proofbox.Symlink {
		text.WriteString(" → " + terminal.Name(string(c.After.Target)))
	}
	if c.Before.Kind != proofbox.Absent && c.After.Kind != proofbox.Absent && c.Before.Mode.Perm() != c.After.Mode.Perm() && c.After.Kind != proofbox.Symlink {
		text.WriteString(fmt.Sprintf(" (mode %o → %o)", c.Before.Mode.Perm(), c.After.Mode.Perm()))
	}
	for _, note := range []struct {
		when bool
		text string
	}{
		{c.Kept, "kept"},
		{c.Choice != proofbox.Open && !c.Kept, "decided: " + string(c.Choice)},
		{c.From != "", origin(c)},
		{c.Rejected != "", "discarded before, in " + c.Rejected},
		{c.Refused != "", "will not be kept: " + c.Refused},
		{c.Drifted, "the original changed meanwhile"},
	} {
		if note.when {
			text.WriteString(" [" + note.text + "]")
		}
	}
	return text.String()
}

// origin says where an added file's bytes are from.
func origin(c proofbox.Change) string {
	verb := "copied from "
	if c.Renamed {
		verb = "renamed from "
	}
	text := verb + terminal.Name(string(c.From))
	if c.Share < 100 {
		text += fmt.Sprintf(", %d%% the same", c.Share)
	}
	return text
}

// amount says how much of a file has changed: lines of text, else its size.
func amount(c proofbox.Change) string {
	switch {
	case c.Large || c.Binary:
		return fmt.Sprintf("%s → %s", bytes(c.Before.Size), bytes(c.After.Size))
	case c.Insertions+c.Deletions > 0:
		return fmt.Sprintf("+%d -%d", c.Insertions, c.Deletions)
	}
	return ""
}

func bytes(n int64) string { return proofbox.Size(n).Rounded() }
