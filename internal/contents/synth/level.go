package synth

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Level is how dirty a set is made. All numbers but Errors are in a thousand.
type Level struct {
	Records    int // in which a clerk of average care makes errors
	Errors     int // in such a record, on average
	Duplicates int // records that are entered once more
	Namesakes  int // that get the name of somebody else
	Conflicts  int // of which two fields contradict each other
	Stale      int // that were not updated for years
}

// levels are those that have names.
var levels = map[string]Level{
	"none":  {},
	"light": {Records: 40, Errors: 2, Duplicates: 4, Namesakes: 2, Conflicts: 4, Stale: 20},
	"usual": {Records: 160, Errors: 3, Duplicates: 20, Namesakes: 8, Conflicts: 15, Stale: 80},
	"heavy": {Records: 420, Errors: 5, Duplicates: 70, Namesakes: 20, Conflicts: 60, Stale: 200},
}

// Levels are the names that [ParseLevel] knows, the cleanest first.
func Levels() []string {
	names := make([]string, 0, len(levels))
	for name := range levels {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(levels[a].Records, levels[b].Records) })
	return names
}

// ParseLevel reads the name of a level; empty is none.
func ParseLevel(name string) (Level, error) {
	l, ok := levels[cmp.Or(name, "none")]
	if !ok {
		return l, fmt.Errorf("the mess %q is none of %s", name, strings.Join(Levels(), ", "))
	}
	return l, nil
}
