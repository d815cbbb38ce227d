package daemon

import (
	"context"
	"time"

	"proofbox"
	"proofbox/internal/contents"
	"proofbox/internal/contents/scan"
)

// Scan looks for identifiers and secrets in a data set.
func (d *Daemon) Scan(ctx context.Context, path string) (proofbox.Scan, error) {
	found, err := scan.Path(ctx, path)
	if err != nil {
		return proofbox.Scan{}, err
	}
	return found.Scan, nil
}

// sealed is what the audit log says of a seal.
type sealed struct {
	Path  string          `json:"path"`
	Class proofbox.Class  `json:"class"`
	Root  string          `json:"root"`
	Seal  string          `json:"seal"` // its SHA-256
	Grant *proofbox.Grant `json:"grant,omitempty"`
}

// Seal scans a data set and, if it is what its class claims, seals it.
func (d *Daemon) Seal(ctx context.Context, r proofbox.SealRequest) (proofbox.Verified, error) {
	v, err := contents.Seal(ctx, d.key, r, time.Now())
	if err != nil {
		return v, err
	}
	return v, d.note(ctx, "seal", "", sealed{Path: r.Path, Class: r.Class, Root: v.Seal.Root, Seal: v.Digest, Grant: r.Grant})
}

// Verify holds a data set against its seal.
func (d *Daemon) Verify(ctx context.Context, path string) (proofbox.Verified, error) {
	return contents.Verify(ctx, d.key, path, "", time.Now())
}
