package workspace

import (
	"cmp"
	"slices"
	"strings"

	"proofbox"
)

// MaxListed is up to how many changes are listed one by one: nobody reads more, and
// each costs a kilobyte on its way.
const MaxListed = 100_000

// maxSums bounds how many folders are told apart.
const maxSums = 200

// Sum sums changes up by the folders in the paths that somebody has named, or in the
// workspace: those with the most first, and the rest together, without a path.
func Sum(changes []proofbox.Change, named []proofbox.Raw) []proofbox.FolderSum {
	above := map[string]bool{"": true}
	for _, p := range named {
		if clean := cleanPath(p); clean != "." {
			above[clean+"/"] = true
		}
	}
	sums := map[string]*proofbox.FolderSum{}
	for i := range changes {
		c := &changes[i]
		folder := folderBelow(string(c.Path), above)
		if sums[folder] == nil {
			sums[folder] = &proofbox.FolderSum{Path: proofbox.Raw(folder)}
		}
		add(sums[folder], c)
	}
	var list []proofbox.FolderSum
	for _, s := range sums {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b proofbox.FolderSum) int {
		return cmp.Or(cmp.Compare(b.Changes, a.Changes), cmp.Compare(a.Path, b.Path))
	})
	if len(list) <= maxSums {
		return list
	}
	rest := proofbox.FolderSum{}
	for _, s := range list[maxSums:] {
		rest.Changes += s.Changes
		rest.Hazards += s.Hazards
		rest.Insertions += s.Insertions
		rest.Deletions += s.Deletions
	}
	return append(list[:maxSums], rest)
}

func add(s *proofbox.FolderSum, c *proofbox.Change) {
	s.Changes++
	s.Insertions += c.Insertions
	s.Deletions += c.Deletions
	if len(c.Hazards) > 0 {
		s.Hazards++
	}
}

// folderBelow gives the folder in the deepest of some folders that a path lies in, or
// the path itself where there is none between.
func folderBelow(p string, above map[string]bool) string {
	if above[p+"/"] {
		return p
	}
	top := 0
	for i := range len(p) {
		if p[i] == '/' && above[p[:i+1]] {
			top = i + 1
		}
	}
	if end := strings.IndexByte(p[top:], '/'); end >= 0 {
		return p[:top+end]
	}
	return p
}
