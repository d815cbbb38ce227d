package workspace

import (
	"fmt"
	"io/fs"
	"strings"

	"proofbox"
	"proofbox/internal/hazard"
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

// linkRefusal says why a link must not be made: its target could leave the
// workspace. What a link goes down through may be a link itself, so only those
// steps up are sure that come first: they go up from the link's own folder,
// which keep reaches without a link.
func linkRefusal(at, target string) string {
	if target == "" || strings.HasPrefix(target, "/") {
		return "it is a link to an absolute path"
	}
	up, down := 0, false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "..":
			if up++; down {
				return "it is a link that goes up again after it went down, and could leave the workspace"
			}
		case "", ".":
		default:
			down = true
		}
	}
	if up > strings.Count(at, "/") {
		return "it is a link that leaves the workspace"
	}
	if hazard.InRepository(target) && !hazard.InRepository(at) {
		return "it is a link into a repository's own files"
	}
	return ""
}

// granted is the mode that a path gets: set-user-ID, set-group-ID and sticky
// bits only where the original has them too.
func granted(c proofbox.Change) fs.FileMode {
	const special = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	mode := c.After.Mode.Perm()
	if c.Before.Kind == c.After.Kind {
		mode |= c.After.Mode & c.Before.Mode & special
	}
	return mode
}

// result is what a path is once a change to it was kept.
func result(c proofbox.Change) proofbox.Entry {
	e := c.After
	if e.Kind == proofbox.File || e.Kind == proofbox.Folder {
		e.Mode = granted(c)
	}
	return e
}

// goes says whether a change takes a folder away.
func goes(c proofbox.Change) bool {
	return c.Before.Kind == proofbox.Folder && c.After.Kind != proofbox.Folder
}

// comes says whether a change puts a folder where something else was.
func comes(c proofbox.Change) bool {
	return c.After.Kind == proofbox.Folder && c.Before.Kind != proofbox.Folder && c.Before.Kind != proofbox.Absent
}

// spread refuses what cannot be kept without something that is refused: a folder
// does not go while something in it stays, and nothing comes into a folder that
// does not. The changes are sorted by path.
func spread(changes []proofbox.Change) {
	at := make(map[string]int, len(changes))
	for i, c := range changes {
		if goes(c) || comes(c) {
			at[string(c.Path)] = i
		}
	}
	if len(at) == 0 {
		return
	}
	for i := range changes {
		if changes[i].Refused != "" {
			continue
		}
		for dir := range folders(string(changes[i].Path)) {
			if j, ok := at[dir]; ok && comes(changes[j]) && changes[j].Refused != "" {
				changes[i].Refused = fmt.Sprintf("its folder %q is not kept", dir)
			}
		}
	}
	for i := range changes {
		if changes[i].Refused == "" {
			continue
		}
		for dir := range folders(string(changes[i].Path)) {
			if j, ok := at[dir]; ok && goes(changes[j]) && changes[j].Refused == "" {
				changes[j].Refused = fmt.Sprintf("%q in it is not kept", changes[i].Path)
			}
		}
	}
}

// folders gives the folders that a path lies in, the nearest first, without the
// workspace itself.
func folders(p string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for dir, _ := splitPath(p); dir != "."; dir, _ = splitPath(dir) {
			if !yield(dir) {
				return
			}
		}
	}
}
