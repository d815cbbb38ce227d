package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"proofbox"
	"proofbox/internal/contents"
	"proofbox/internal/contents/mask"
	"proofbox/internal/contents/scan"
	"proofbox/internal/contents/tag"
	"proofbox/internal/contents/tree"
)

var errNoKey = errors.New("masking needs a key of tags")

// masked masks a set by the plan on the input, and by what the scan finds.
func masked(ctx context.Context, key *tag.Key, in, out, list string) (any, error) {
	if key == nil {
		return nil, errNoKey
	}
	held, err := contents.Hold(filepath.Dir(out))
	if err != nil {
		return nil, err
	}
	defer held.Close()
	m := mask.Masker{Key: key, Locate: scan.Locate}
	if err := json.NewDecoder(os.Stdin).Decode(&m.Plan); err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	m.Find = finder(m.Plan)
	r, err := m.Mask(ctx, in, out, list)
	if err != nil {
		return nil, err
	}
	return contents.Masked(*r), nil
}

// unmasked gets the reversible numbers of a set back, of whose masking the input says what its seal does.
func unmasked(ctx context.Context, key *tag.Key, in, out string) (any, error) {
	if key == nil {
		return nil, errNoKey
	}
	held, err := contents.Hold(filepath.Dir(out))
	if err != nil {
		return nil, err
	}
	defer held.Close()
	var by proofbox.Masking
	if err := json.NewDecoder(os.Stdin).Decode(&by); err != nil {
		return nil, fmt.Errorf("reading what was masked: %w", err)
	}
	by.Plan.Names = false
	m := mask.Masker{Key: key, Plan: by.Plan, Find: finder(by.Plan)}
	restored, err := m.Unmask(ctx, in, out, by)
	return restored, err
}

// finder finds by a scan.
func finder(plan proofbox.MaskPlan) mask.Finder {
	f := scan.Finder{Guide: mask.Guide(plan), Names: plan.Names}
	return func(ctx context.Context, e tree.Entry, give func(mask.Found) error) (string, []proofbox.DataProblem, error) {
		r, err := f.Spans(ctx, e, func(s scan.Span) error { return give(mask.Found(s)) })
		if err != nil {
			return "", nil, err
		}
		if len(r.Sealed) != 1 {
			return "", r.Problems, nil
		}
		return r.Sealed[0].SHA256, r.Problems, nil
	}
}

// survivor says which real value of a list is in a set; nil for none.
func survivor(ctx context.Context, key *tag.Key, path, list string) (any, error) {
	if key == nil {
		return nil, errNoKey
	}
	l, err := mask.Load(key, list)
	if err != nil {
		return nil, err
	}
	found, err := l.Survivor(ctx, path, scan.Locate)
	return found, err
}
