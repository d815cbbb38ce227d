package oci

import (
	"encoding/json"
	"fmt"

	"proofbox/internal/audit"
	"proofbox/internal/box"
)

// Fingerprint names what the wall is made of: the runtime's digest and that of
// how a box is configured and started.
func (r *Runtime) Fingerprint(l box.Layout) (map[string]string, error) {
	binary, err := audit.DigestFile(r.Path)
	if err != nil {
		return nil, fmt.Errorf("taking the fingerprint of %s: %w", r.Flavour, err)
	}
	config, err := json.Marshal(struct {
		Spec      any
		Arguments []string
	}{r.Spec(l), r.Arguments(stateDir, bundleDir, l.ID)})
	if err != nil {
		return nil, fmt.Errorf("taking the fingerprint of a bundle: %w", err)
	}
	return map[string]string{"runtime": binary, "configuration": audit.Digest(config)}, nil
}
