package hazard

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"proofbox"
)

// foldFrom is from how many changes with hazards on a new folder's are summed up: an
// installed package has hundreds, and nobody reads them one by one.
const foldFrom = 10

// Folding says which folders' hazards are summed up, and how.
type Folding map[proofbox.Raw]string

// Fold finds the new folders, not below another, that bring many hazards. The
// changes are sorted by path.
func Fold(changes []proofbox.Change) Folding {
	found := Folding{}
	for i := range changes {
		c := &changes[i]
		if c.After.Kind != proofbox.Folder || c.Before.Kind != proofbox.Absent || found.Over(c.Path) != "" {
			continue
		}
		files, rules := 0, map[string]int{}
		for j := i; j < len(changes); j++ {
			below := &changes[j]
			if !strings.HasPrefix(string(below.Path), string(c.Path)) {
				break
			}
			if len(below.Hazards) == 0 || !strings.HasPrefix(string(below.Path), string(c.Path)+"/") {
				continue
			}
			files++
			for rule := range rulesOf(below) {
				rules[rule]++
			}
		}
		if files >= foldFrom {
			found[c.Path] = fmt.Sprintf("%d changes in it would run here or hide text (%s)", files, count(rules))
		}
	}
	return found
}

func rulesOf(c *proofbox.Change) map[string]bool {
	rules := map[string]bool{}
	for _, h := range c.Hazards {
		rules[h.Rule] = true
	}
	return rules
}

// count lists rules with how many changes break each, most first.
func count(rules map[string]int) string {
	names := slices.SortedFunc(maps.Keys(rules), func(a, b string) int {
		return cmp.Or(cmp.Compare(rules[b], rules[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, rules[name])
	}
	return strings.Join(names, ", ")
}

// Over gives the folder that a path lies in and whose hazards are summed up; empty
// for none.
func (f Folding) Over(path proofbox.Raw) proofbox.Raw {
	for i := range len(path) {
		if path[i] == '/' && f[path[:i]] != "" {
			return path[:i]
		}
	}
	return ""
}
