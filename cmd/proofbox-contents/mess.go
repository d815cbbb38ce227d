package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"proofbox"
	"proofbox/internal/contents/mess"
	"proofbox/internal/contents/scan"
)

// measured says how dirty a set is, beside what the input says that it should be like.
func measured(ctx context.Context, path string) (any, error) {
	var like *proofbox.Mess
	if err := json.NewDecoder(os.Stdin).Decode(&like); err != nil {
		return nil, fmt.Errorf("reading what it should be like: %w", err)
	}
	m := mess.New()
	if err := scan.Values(ctx, path, m.Add); err != nil {
		return nil, err
	}
	return mess.Judge(m.Give(), like)
}
