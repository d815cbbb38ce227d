package workspace

import (
	"io/fs"
	"path"
	"strings"

	"proofbox"
)

// refusal says why a change is never kept; empty where it may be.
func refusal(c proofbox.Change) string {
	switch {
	case c.After.Kind == proofbox.Special:
		return "it is a device, FIFO or socket"
	case c.Before.Kind == proofbox.Special:
		return "the original is a device, FIFO or socket"
	case c.After.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && c.After.Kind == proofbox.File:
		return "it would run as somebody else (set-user-ID or set-group-ID)"
	case c.After.Kind == proofbox.Symlink:
		return linkRefusal(string(c.Path), string(c.After.Target))
	}
	return ""
}

// linkRefusal says why a link must not be made: its target, read as the kernel
// would, leaves the workspace.
func linkRefusal(at, target string) string {
	if target == "" || strings.HasPrefix(target, "/") {
		return "it is a link to an absolute path"
	}
	depth := strings.Count(path.Clean(at), "/")
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "..":
			depth--
		case "", ".":
		default:
			depth++
		}
		if depth < 0 {
			return "it is a link that leaves the workspace"
		}
	}
	return ""
}

// inGit says whether a path belongs to a git repository's own files, which run
// programs on the next git command. The names are compared as other file
// systems would, where the repository may go next.
func inGit(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		part = strings.ToLower(strings.TrimRight(part, ". "))
		if part == ".git" || part == "git~1" || strings.HasPrefix(part, ".git::") {
			return true
		}
	}
	return false
}
