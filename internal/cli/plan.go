package cli

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) planCommand() *cobra.Command {
	var f specFlags
	cmd := &cobra.Command{
		Use: "plan [flags] [-- COMMAND [ARG…]]", Short: "Say what run would do, and why, without doing it",
		Long: `Say what run would do with the same flags, and why: the wall, every limit and
how it is enforced, everything of the host that the box could see. Nothing is
started and nothing is written. Exits with 126 where policy would refuse.`,
		Example: "  proofbox plan --code generated -- python3 job.py",
		RunE: func(cmd *cobra.Command, args []string) error {
			var command []string
			if len(args) > 0 {
				before, after, err := afterDash(cmd, args)
				if err == nil && len(before) > 0 {
					err = usage(cmd, fmt.Errorf("%q stands before --; the command stands after it", before[0]))
				}
				if err != nil {
					return err
				}
				command = after
			}
			spec, err := f.spec(cmd)
			if err != nil {
				return failed(err)
			}
			plan, err := a.client.Plan(cmd.Context(), spec, command)
			if err != nil {
				return failed(err)
			}
			if a.json {
				return a.document(plan)
			}
			a.showPlan(plan)
			return nil
		},
	}
	f.add(cmd)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) showPlan(p proofbox.Plan) {
	wall := string(p.Terms.Wall)
	if p.Terms.Accelerator != "" {
		wall += " (" + p.Terms.Accelerator + ")"
	}
	if len(p.Command) > 0 {
		a.field("command", strings.Join(quoteAll(p.Command), " "))
	}
	a.field("wall", wall)
	a.field("image", p.Image)
	a.field("user", p.User)
	if w := p.Workspace; w != nil {
		a.field("workspace", fmt.Sprintf("%s: %s of %s and %s", w.Original, w.Method, plural(w.Files, "entry"), proofbox.Size(w.Bytes).Rounded()))
		a.field("", w.Why)
		if w.Hidden > 0 {
			a.field("", fmt.Sprintf("%s hidden from the box", plural(w.Hidden, "path")))
		}
	}
	a.printf("\nlimits\n")
	a.showLimits(p.Terms)
	a.printf("\nwhat the box sees of the host, read-only but for the copy\n")
	a.showMounts(p.Mounts)
	a.printf("\nwhy\n")
	for _, r := range p.Terms.Reasons {
		a.printf("  %s\n      %s (rule %s)\n", r.Decision, r.Because, r.Rule)
	}
	for _, w := range p.Warnings {
		a.printf("\nwarning: %s\n", w)
	}
}

// showMounts lists what the box sees, all that is there for the same reason
// together.
func (a *app) showMounts(mounts []proofbox.Mount) {
	for len(mounts) > 0 {
		why := mounts[0].Why
		n := slices.IndexFunc(mounts, func(m proofbox.Mount) bool { return m.Why != why })
		if n < 0 {
			n = len(mounts)
		}
		a.printf("%s", wrap(why, mountWords(mounts[:n])))
		mounts = mounts[n:]
	}
}

// manySiblings is from how many on mounts that lie side by side, on the host as
// in the box, are counted and not named.
const manySiblings = 8

// mountWords names mounts.
func mountWords(mounts []proofbox.Mount) []string {
	var words []string
	for len(mounts) > 0 {
		first := mounts[0]
		source, target, note := first.Source, first.Target, ""
		n := siblings(mounts)
		if n >= manySiblings {
			source, target, note = path.Dir(source), path.Dir(target), fmt.Sprintf(" (%d entries of it)", n)
		} else {
			n = 1
		}
		quoted := quoteAll([]string{source, target})
		word := quoted[1] + note
		if source != target {
			word = quoted[0] + " → " + word
		}
		words, mounts = append(words, word), mounts[n:]
	}
	return words
}

// siblings counts the mounts at the beginning that lie in one folder and appear,
// by their own names, in another.
func siblings(mounts []proofbox.Mount) int {
	from, to := path.Dir(mounts[0].Source), path.Dir(mounts[0].Target)
	n := slices.IndexFunc(mounts, func(m proofbox.Mount) bool {
		return path.Dir(m.Source) != from || path.Dir(m.Target) != to || path.Base(m.Source) != path.Base(m.Target) || m.Source == m.Target
	})
	if n < 0 {
		return len(mounts)
	}
	return n
}

// pageWidth is where lists are wrapped.
const pageWidth = 100

// wrap writes words after a label, on as many lines as they take.
func wrap(label string, words []string) string {
	indent := max(18, len(label)+4)
	var text, line strings.Builder
	fmt.Fprintf(&line, "  %-*s", indent-2, label)
	empty := line.Len()
	for _, w := range words {
		if line.Len() > empty && line.Len()+1+len(w) > pageWidth {
			text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
			line.Reset()
			line.WriteString(strings.Repeat(" ", indent))
			empty = indent
		}
		line.WriteString(w + " ")
	}
	text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	return text.String()
}

func (a *app) showLimits(t proofbox.Terms) {
	values := map[string]any{
		"memory": t.Limits.Memory, "cpus": t.Limits.CPUs, "pids": t.Limits.Pids,
		"disk": t.Limits.Disk, "time": t.Limits.Time, "output": t.Limits.Output,
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		e := t.Enforced[name]
		a.printf("  %-8s %-10v by %s\n", name, values[name], e.By)
		if e.Weaker != "" {
			a.printf("  %19s weaker: %s\n", "", e.Weaker)
		}
	}
}

// field writes one line of a page.
func (a *app) field(name, value string) { a.printf("%-10s %s\n", name, value) }

// quoteAll quotes words as a shell would need them.
func quoteAll(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n\"'\\$&|;<>()*?[]#~`!{}") {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return quoted
}
