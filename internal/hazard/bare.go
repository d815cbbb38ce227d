package hazard

import (
	"slices"
	"strings"
	"unicode/utf8"

	"proofbox"
)

// Repositories finds folders that git takes for a repository because of what lies
// in them: HEAD with objects and refs, or with commondir, which leads to these. It
// is told every path of a tree, in any order.
type Repositories struct {
	parts map[string]int // of a folder, by its folded path
}

// What makes a folder a repository; see git's setup.c, is_git_directory.
const (
	hasHead = 1 << iota
	hasObjects
	hasRefs
	hasCommon
)

var makesRepository = map[string]int{"head": hasHead, "objects": hasObjects, "refs": hasRefs, "commondir": hasCommon}

// Add tells of a path.
func (r *Repositories) Add(p string) {
	dir, name := "", p
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		dir, name = p[:i], p[i+1:]
	}
	if name == "" || name[0] < utf8.RuneSelf && !strings.ContainsRune("hHoOrRcC", rune(name[0])) {
		return // most names, at little cost
	}
	part, ok := makesRepository[fold(name)]
	if !ok {
		return
	}
	if r.parts == nil {
		r.parts = map[string]int{}
	}
	r.parts[fold(dir)] |= part
}

// usedByGit are the names by which git uses what is in a repository.
var usedByGit = map[string]bool{
	"head": true, "config": true, "config.worktree": true, "commondir": true, "gitdir": true, "objects": true, "refs": true, "packed-refs": true, "hooks": true,
	"info": true, "modules": true, "worktrees": true, "index": true, "shallow": true, "logs": true, "branches": true, "remotes": true, "attributes": true,
}

// Hazard says why a change wants a yes because it lies in such a folder.
func (r *Repositories) Hazard(c proofbox.Change) (proofbox.Hazard, bool) {
	name := fold(string(c.Path))
	if len(r.parts) == 0 || c.After.Kind == proofbox.Absent || InRepository(string(c.Path)) || isBare(c.Hazards) {
		return proofbox.Hazard{}, false
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		if r.is(strings.Join(parts[:i], "/")) && usedByGit[parts[i]] {
			return bareHazard, true
		}
	}
	return proofbox.Hazard{}, false
}

func (r *Repositories) is(dir string) bool {
	parts := r.parts[dir]
	return parts&hasHead != 0 && (parts&(hasObjects|hasRefs) == hasObjects|hasRefs || parts&hasCommon != 0)
}

// isBare says whether it is said of a change already.
func isBare(list []proofbox.Hazard) bool {
	return slices.ContainsFunc(list, func(h proofbox.Hazard) bool { return h.Rule == bareHazard.Rule })
}

var bareHazard = proofbox.Hazard{Rule: "bare-repository", Words: "belongs to a folder that git takes for a repository of its own, whose configuration and hooks are used by the next git command in there"}
