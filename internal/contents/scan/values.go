package scan

import (
	"context"
	"errors"
	"fmt"

	"proofbox"
	"proofbox/internal/contents/tree"
)

// Values gives every value of a set, with its field's path without the numbers of elements, and looks for nothing in
// it. A document in a string is one value. What cannot be read is an error.
func Values(ctx context.Context, path string, give func(file string, record int64, field, text string)) error {
	c := &collector{secrets: &secrets{}, kinds: map[string]*proofbox.KindCount{}}
	c.each = func(v *value) {
		if !v.heading && v.seen == 0 {
			give(string(c.place.File), v.record, withoutNumbers(v.field), v.text)
		}
	}
	if err := tree.Walk(ctx, path, c.file); err != nil {
		return err
	}
	if len(c.result.Problems) > 0 {
		p := c.result.Problems[0]
		return fmt.Errorf("%q, record %d, byte %d: %w", string(p.File), p.Record, p.Offset, errors.New(p.Reason))
	}
	return nil
}
