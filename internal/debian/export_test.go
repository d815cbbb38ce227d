package debian

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
)

// Small is a recipe with the real kernel and a root of one program. Its root is
// unpacked and not configured, so that it is quick to make.
var Small = Recipe{
	Suite: recipe.Suite, Kernel: recipe.Kernel, Variant: "extract", Packages: []string{"busybox-static"}, Drop: recipe.Drop,
}

// Make makes a base of the recipe.
func (r Recipe) Make(ctx context.Context, dir string, say func(string)) (*Base, error) {
	return r.make(ctx, dir, say)
}

// Seal gives what lies in a folder a manifest.
func Seal(ctx context.Context, dir string) error {
	manifest, err := (&maker{work: dir}).manifest(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestFile), text, 0o644)
}

// Digest names the recipe.
func (r Recipe) Digest() string { return r.digest() }
