package workspace

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxNamed bounds how many drifted paths are named.
const maxNamed = 10

// drift compares a live original with the manifest: a change that the box made
// to a path which meanwhile changed outside has no certain base.
func (b *Base) drift(ctx context.Context, k *collector) error {
	if !b.live {
		return nil
	}
	now, err := takeManifest(ctx, b.Lower, &hider{})
	if err != nil {
		return fmt.Errorf("looking at the original again: %w", err)
	}
	moved := b.moved(now)
	changes := k.changes.list.Changes
	others := 0
	changed := map[string]int{}
	for i, c := range changes {
		changed[string(c.Path)] = i
	}
	for _, path := range moved {
		if i, ok := changed[path]; ok {
			changes[i].Drifted = true
			continue
		}
		if others++; others <= maxNamed {
			k.changes.list.Warnings = append(k.changes.list.Warnings, fmt.Sprintf("%q changed in the original while the box ran, and the box may have seen it", path))
		}
	}
	if others > maxNamed {
		k.changes.list.Warnings = append(k.changes.list.Warnings, fmt.Sprintf("%d more paths changed in the original while the box ran", others-maxNamed))
	}
	return nil
}

// moved lists the paths in which a tree differs from the manifest. Both are
// sorted.
func (b *Base) moved(now *manifest) []string {
	var moved []string
	old, i, j := b.manifest.entries, 0, 0
	hidden := map[string]bool{}
	for _, h := range b.manifest.hidden {
		hidden[h] = true
	}
	for i < len(old) || j < len(now.entries) {
		switch {
		case j == len(now.entries) || i < len(old) && old[i].path < now.entries[j].path:
			moved = append(moved, old[i].path)
			i++
		case i == len(old) || now.entries[j].path < old[i].path:
			if !underHidden(hidden, now.entries[j].path) {
				moved = append(moved, now.entries[j].path)
			}
			j++
		default:
			if !old[i].same(&now.entries[j]) && old[i].kind() != unix.S_IFDIR {
				moved = append(moved, old[i].path)
			}
			i, j = i+1, j+1
		}
	}
	return moved
}

func underHidden(hidden map[string]bool, p string) bool {
	for ; p != "."; p = parentOf(p) {
		if hidden[p] {
			return true
		}
	}
	return false
}
