package workspace

import (
	"context"
	"fmt"

	"proofbox"
)

// maxNamed bounds how many drifted paths are named.
const maxNamed = 10

// drift compares a live original with the manifest: a change that the box made
// to a path which meanwhile changed outside has no certain base. Where the
// original cannot be looked at any more, no base is certain.
func (b *Base) drift(ctx context.Context, list *storedChanges) error {
	if !b.live {
		return nil
	}
	now, err := takeManifest(ctx, b.Lower, b.hide, true)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		for i := range list.Changes {
			list.Changes[i].Drifted = true
		}
		list.Warnings = append(list.Warnings, fmt.Sprintf("whether the original changed while the box ran is not known: %v", err))
		return nil
	}
	list.drifted(b.manifest.moved(now))
	return nil
}

// drifted marks the changes at paths that have moved, and names the others.
func (l *storedChanges) drifted(moved []string) {
	changed := make(map[proofbox.Raw]int, len(l.Changes))
	for i, c := range l.Changes {
		changed[c.Path] = i
	}
	others := 0
	for _, path := range moved {
		if i, ok := changed[proofbox.Raw(path)]; ok {
			l.Changes[i].Drifted = true
			continue
		}
		if others++; others <= maxNamed {
			l.Warnings = append(l.Warnings, fmt.Sprintf("%q changed in the original while the box ran, and the box may have seen it", path))
		}
	}
	if others > maxNamed {
		l.Warnings = append(l.Warnings, fmt.Sprintf("%d more paths changed in the original while the box ran", others-maxNamed))
	}
}

// moved lists the paths in which a tree differs from the manifest, by their
// entries. Both are sorted.
func (m *manifest) moved(now *manifest) []string {
	var moved []string
	i, j := 0, 0
	for i < len(m.entries) || j < len(now.entries) {
		switch {
		case j == len(now.entries) || i < len(m.entries) && m.entries[i].path < now.entries[j].path:
			moved = append(moved, m.entries[i].path)
			i++
		case i == len(m.entries) || now.entries[j].path < m.entries[i].path:
			if !m.hides(now.entries[j].path) {
				moved = append(moved, now.entries[j].path)
			}
			j++
		default:
			if !m.entries[i].same(&now.entries[j]) {
				moved = append(moved, m.entries[i].path)
			}
			i, j = i+1, j+1
		}
	}
	return moved
}
