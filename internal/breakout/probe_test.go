package breakout

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"proofbox"
)

// TestTable holds the table against what the rest relies on.
func TestTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	id := regexp.MustCompile(`^[A-R][1-9][0-9]?[a-z]?$`)
	for _, p := range Table() {
		if !id.MatchString(p.ID) || seen[p.ID] {
			t.Errorf("the ID %q is no line of the catalogue, or is there twice", p.ID)
		}
		seen[p.ID] = true
		if p.Title == "" || p.Oracle.Says == "" && !untried(p) {
			t.Errorf("%s lacks a title or an oracle", p.ID)
		}
		if untried(p) {
			if len(p.Attack) > 0 || p.Deed != nil {
				t.Errorf("%s is for no wall at all, and has an attack", p.ID)
			}
			continue
		}
		attack, looks := len(p.Attack) > 0, p.Oracle.look != nil || p.Oracle.after != nil
		if deed := p.Deed != nil; attack == deed || looks == deed {
			t.Errorf("%s is not either an attack that an oracle looks at or a deed", p.ID)
		}
		if strings.Join(p.Twin.words(), "") == strings.Join(p.Box.words(), "") {
			t.Errorf("the twin of %s is as strong as the wall", p.ID)
		}
	}
}

// untried says that a line of the catalogue is attempted behind no wall.
func untried(p Probe) bool {
	return !slices.ContainsFunc(proofbox.Walls, func(w proofbox.Wall) bool { return p.Not[w] == "" })
}

func TestSelect(t *testing.T) {
	t.Parallel()
	some, err := Select("G*")
	if err != nil || len(some) == 0 || some[0].Group() != "G" {
		t.Errorf("%d probes, %v", len(some), err)
	}
	for _, bad := range []string{"Z9", "["} {
		if _, err := Select(bad); err == nil {
			t.Errorf("%q selects something", bad)
		}
	}
}
