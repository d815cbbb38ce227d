package main

import (
	"context"

	"proofbox"
	"proofbox/internal/contents/plant"
	"proofbox/internal/contents/scan"
	"proofbox/internal/contents/tag"
)

// plantedValues is how many are planted: where none is missed, the bound is .1 %.
const plantedValues = 3000

// examined scans a set, and tries the scan.
func examined(ctx context.Context, key *tag.Key, path string) (any, error) {
	found, err := scanned(scan.Path(ctx, path, key))
	if err != nil {
		return nil, err
	}
	found.Planted, err = planted(ctx, key, path)
	return found, err
}

// planted counts the values planted in a shadow of a set that the scan misses.
func planted(ctx context.Context, key *tag.Key, path string) (*proofbox.Planted, error) {
	shadows, err := plant.Shadows(ctx, path, plantedValues)
	if err != nil {
		return nil, err
	}
	p := &proofbox.Planted{Values: plantedValues, Recipes: plant.Recipes, Kinds: map[string]int{}}
	for _, s := range shadows {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		found, err := scan.Text(s.Name, s.Text, key)
		if err != nil {
			return nil, err
		}
		for _, v := range s.Plants {
			if !noticed(v, found.Findings) {
				p.Missed++
				p.Kinds[v.Kind]++
			}
		}
	}
	p.Bound = plant.Bound(p.Missed, p.Values)
	return p, nil
}

// noticed says whether a finding that may be somebody's lies in a value.
func noticed(v plant.Planted, findings []proofbox.Finding) bool {
	for _, f := range findings {
		if f.Identifier && f.Synthetic == "" && f.Offset < v.End && f.Offset+int64(len(f.Shape)) > v.Start {
			return true
		}
	}
	return false
}
