// Package hazard says what a change would run on the machine of whoever keeps it,
// and what it hides from a reader: the reasons for which a change wants a yes of
// its own.
//
// It knows paths and bytes and nothing else. A name is compared as the file
// systems would on which a repository may lie next: without regard to case, to
// characters that HFS+ ignores, and to dots and spaces at the end.
package hazard

import (
	"path"
	"strings"

	"proofbox"
)

// Of lists the hazards of a change, whose sides are given where they are text and
// small enough to be read; else they are empty. What goes, runs nothing, but for
// a repository's own files.
func Of(c proofbox.Change, before, after string) []proofbox.Hazard {
	name := fold(string(c.Path))
	var list []proofbox.Hazard
	if r, ok := inRepository(name, c, after); ok {
		list = append(list, r)
	} else if c.After.Kind == proofbox.File || c.After.Kind == proofbox.Symlink {
		list = append(list, ofPath(name, before, after, c)...)
	}
	if c.After.Kind == proofbox.File {
		list = append(list, ofMode(c, before, after)...)
		list = append(list, ofText(before, after)...)
	}
	if c.After.Kind != proofbox.Absent && c.Before.Kind == proofbox.Absent {
		list = append(list, ofName(string(c.Path))...)
	}
	return list
}

// ofPath tries the rules. One of a kind is enough.
func ofPath(name, before, after string, c proofbox.Change) []proofbox.Hazard {
	for i := range rules {
		r := &rules[i]
		if !r.matches(name) {
			continue
		}
		if r.look == nil || c.Large || c.Binary {
			return []proofbox.Hazard{{Rule: r.id, Words: r.words}}
		}
		if words := r.look(before, after); len(words) > 0 {
			var list []proofbox.Hazard
			for _, w := range words {
				list = append(list, proofbox.Hazard{Rule: r.id, Words: w})
			}
			return list
		}
		return nil
	}
	return nil
}

// rule is one way in which a file comes to run.
type rule struct {
	id    string
	words string // completes "it …"
	// names are patterns of path.Match for the last part of a path, or, where
	// they end in a slash, for a folder that it lies in at any depth. A pattern
	// with a slash inside is for the last parts.
	names []string
	// look says what of the text is a hazard; nil takes the whole file for one.
	look func(before, after string) []string
}

func (r *rule) matches(name string) bool {
	parts := strings.Split(name, "/")
	for _, pattern := range r.names {
		if folder, ok := strings.CutSuffix(pattern, "/"); ok {
			if within(parts, strings.Split(folder, "/")) {
				return true
			}
			continue
		}
		n := strings.Count(pattern, "/") + 1
		if n > len(parts) {
			continue
		}
		if ok, _ := path.Match(pattern, strings.Join(parts[len(parts)-n:], "/")); ok {
			return true
		}
	}
	return false
}

// within says whether a path lies in a folder of the given parts.
func within(parts, folder []string) bool {
	for i := 0; i+len(folder) < len(parts); i++ {
		ok := true
		for j, pattern := range folder {
			match, _ := path.Match(pattern, parts[i+j])
			ok = ok && match
		}
		if ok {
			return true
		}
	}
	return false
}

// fold gives a path as careless file systems compare it.
func fold(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts {
		part = strings.Map(func(r rune) rune {
			if ignorable(r) {
				return -1
			}
			return r
		}, part)
		part, _, _ = strings.Cut(strings.ToLower(part), ":") // NTFS: a stream of the file
		if folded := strings.TrimRight(part, ". "); folded != "" {
			part = folded
		}
		parts[i] = part
	}
	return strings.Join(parts, "/")
}

// ignorable says whether HFS+ leaves a character out of comparisons; see git's
// utf8.c, next_hfs_char.
func ignorable(r rune) bool {
	return r >= 0x200c && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x206a && r <= 0x206f || r == 0xfeff
}

// InRepository says whether a path belongs to a git repository's own files.
func InRepository(p string) bool {
	_, ok := repositoryPart(fold(p))
	return ok
}

// repositoryPart gives what follows ".git" in a folded path.
func repositoryPart(name string) (inside string, ok bool) {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if part == ".git" || part == "git~1" {
			return strings.Join(parts[i+1:], "/"), true
		}
	}
	return "", false
}

// hookCommands say which command runs a hook; see githooks(5).
var hookCommands = map[string]string{
	"applypatch-msg": "git am", "pre-applypatch": "git am", "post-applypatch": "git am",
	"pre-commit": "git commit", "prepare-commit-msg": "git commit", "commit-msg": "git commit", "post-commit": "git commit",
	"pre-merge-commit": "git merge", "post-merge": "git merge", "pre-rebase": "git rebase", "post-rewrite": "git rebase",
	"post-checkout": "git checkout", "pre-push": "git push", "pre-auto-gc": "git gc", "reference-transaction": "git commit",
	"post-index-change": "git status", "fsmonitor-watchman": "git status", "sendemail-validate": "git send-email",
	"pre-receive": "push to this repository", "update": "push to this repository", "post-receive": "push to this repository",
	"post-update": "push to this repository", "push-to-checkout": "push to this repository", "proc-receive": "push to this repository",
}

// inRepository judges a repository's own files, and what makes one.
func inRepository(name string, c proofbox.Change, after string) (proofbox.Hazard, bool) {
	inside, ok := repositoryPart(name)
	base := path.Base(name)
	switch {
	case !ok && base == "head" && c.After.Kind == proofbox.File && strings.HasPrefix(after, "ref: "):
		return proofbox.Hazard{Rule: "bare-repository", Words: "makes its folder a git repository of its own, whose configuration is used by the next git command in there"}, true
	case !ok:
		return proofbox.Hazard{}, false
	case c.After.Kind == proofbox.Absent:
		return proofbox.Hazard{Rule: "git-files", Words: "is missed by the next git command: it belongs to a repository"}, true
	case inside == "" && c.After.Kind == proofbox.File:
		return proofbox.Hazard{Rule: "git-file", Words: "leads git to another repository, whose configuration is used by the next `git status`"}, true
	case strings.HasPrefix(inside, "hooks/"):
		return hookRisk(base), true
	case base == "config" || base == "config.worktree":
		return proofbox.Hazard{Rule: "git-config", Words: "is read by the next `git status`, and can name programs that it runs"}, true
	case strings.HasSuffix(inside, "info/attributes"):
		return proofbox.Hazard{Rule: "git-attributes", Words: "chooses which filters run on the next `git status`, and hides files from `git diff`"}, true
	case strings.HasSuffix(inside, "info/exclude"):
		return proofbox.Hazard{Rule: "git-exclude", Words: "hides files from the next `git status`"}, true
	}
	return proofbox.Hazard{Rule: "git-files", Words: "is used by the next git command: it belongs to a repository"}, true
}

func hookRisk(hook string) proofbox.Hazard {
	if command, ok := hookCommands[hook]; ok {
		return proofbox.Hazard{Rule: "git-hook", Words: "runs on the next `" + command + "`"}
	}
	return proofbox.Hazard{Rule: "git-hook", Words: "lies where git looks for programs to run"}
}

// ofMode judges what makes a file a program.
func ofMode(c proofbox.Change, before, after string) []proofbox.Hazard {
	const any = 0o111
	var list []proofbox.Hazard
	was := c.Before.Kind == proofbox.File && c.Before.Mode&any != 0
	switch {
	case c.After.Mode&any == 0:
		return nil
	case !was && c.Before.Kind == proofbox.File:
		list = append(list, proofbox.Hazard{Rule: "executable", Words: "has become executable: it runs when its name is called"})
	case !was:
		list = append(list, proofbox.Hazard{Rule: "executable", Words: "is executable: it runs when its name is called"})
	case shebang(before) != shebang(after):
		list = append(list, proofbox.Hazard{Rule: "shebang", Words: "is run by another interpreter than before"})
	}
	if c.Binary && was {
		list = append(list, proofbox.Hazard{Rule: "program", Words: "is a program that cannot be read here, and has changed"})
	}
	return list
}

// shebang gives the line that names an interpreter.
func shebang(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(line, "#!") {
		return ""
	}
	return strings.TrimSpace(line)
}
