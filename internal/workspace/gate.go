package workspace

import (
	"fmt"
	"strings"

	"proofbox"
)

// gate says why a change with hazards is left out: nobody has said yes to it and
// to exactly these bytes. Nothing else opens the gate: not a list of paths, not
// a patch, not a decision without a yes.
func (c *Changes) gate(o KeepOptions, change proofbox.Change) string {
	at, ok := c.find(string(change.Path))
	if !ok || len(c.list.Changes[at].Hazards) == 0 {
		return ""
	}
	listed := c.list.Changes[at]
	if d := c.decisions[listed.Path]; d != nil && d.Allowed == listed.Hash && listed.Hash != "" && (o.Decided || o.All) {
		return ""
	}
	for _, a := range o.Allow {
		if allows(a, listed) {
			return ""
		}
	}
	return Gated(listed)
}

// allows says whether a yes is one to a change.
func allows(a proofbox.Allowance, c proofbox.Change) bool {
	hash := strings.TrimPrefix(a.Hash, digestPrefix)
	return cleanPath(a.Path) == string(c.Path) && len(hash) >= proofbox.MinAllowance && strings.HasPrefix(strings.TrimPrefix(c.Hash, digestPrefix), hash)
}

// Gated says in words why a change wants a yes of its own, and how to give it.
func Gated(c proofbox.Change) string {
	r := c.Hazards[0]
	where, more := "", ""
	if r.Line > 0 {
		where = fmt.Sprintf("line %d ", r.Line)
	}
	switch n := len(c.Hazards) - 1; {
	case n == 1:
		more = ", and for one more reason"
	case n > 1:
		more = fmt.Sprintf(", and for %d more reasons", n)
	}
	return fmt.Sprintf("%s%s%s; it wants a yes of its own: --allow %s", where, r.Words, more, c.Hash[len(digestPrefix):][:proofbox.MinAllowance])
}

// openFolders lets new folders come that something lies in which may: by
// themselves they run nothing, whoever has made them. The changes are sorted by
// path.
func openFolders(changes []proofbox.Change) {
	needed := map[string]bool{}
	for i := len(changes) - 1; i >= 0; i-- {
		c := &changes[i]
		if c.After.Kind == proofbox.Folder && c.Before.Kind == proofbox.Absent && c.Refused != "" && needed[string(c.Path)] && !c.Drifted && refusal(*c) == "" {
			c.Refused = ""
		}
		if c.Refused == "" && c.After.Kind != proofbox.Absent {
			for dir := range folders(string(c.Path)) {
				needed[dir] = true
			}
		}
	}
}

// mark fills in the hashes of changes with hazards.
func (l *storedChanges) mark() error {
	for i := range l.Changes {
		if len(l.Changes[i].Hazards) == 0 {
			continue
		}
		hash, err := Shown(l.Changes[i : i+1])
		if err != nil {
			return err
		}
		l.Changes[i].Hash = hash
	}
	return nil
}
