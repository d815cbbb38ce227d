package cli

import (
	"slices"
	"strings"

	"proofbox"
	"proofbox/internal/terminal"
)

// showWriters says who has written each change.
func (a *app) showWriters(d proofbox.Diff) error {
	if d.WritersUnknown != "" {
		a.printf("nobody knows who has written the changes of run %s: %s\n", d.Run, terminal.Escape(d.WritersUnknown))
		return nil
	}
	for _, c := range d.Changes {
		a.printf("  %s  %s\n", terminal.Name(string(c.Path)), describeWriters(c.Writers))
	}
	return nil
}

// describeWriters names who has written last, then everybody else who had a part.
func describeWriters(w *proofbox.Writers) string {
	if w == nil {
		return "unknown"
	}
	var text string
	if w.Last != "" {
		text = "by " + terminal.Name(string(w.Last))
	}
	if others := slices.DeleteFunc(rawNames(w.Names), func(n string) bool { return n == string(w.Last) }); len(others) > 0 {
		text += " (" + terminal.Name(strings.Join(others, ", ")) + ")"
	}
	if w.Unknown != "" {
		text += " unknown: " + terminal.Escape(w.Unknown)
	}
	return strings.TrimSpace(text)
}

func rawNames(list []proofbox.Raw) []string {
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = string(n)
	}
	return names
}
