package image

import (
	"fmt"

	"proofbox/internal/debian"
)

// base is the Debian root that `proofbox setup` has made.
func base() (*Image, error) {
	dir, err := debian.Dir()
	if err != nil {
		return nil, err
	}
	b, err := debian.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the image base: %w", err)
	}
	img, err := fromFolder(b.Root, fmt.Sprintf("the base in %s (Debian %s, %.19s)", b.Dir, b.Manifest.Suite, b.Manifest.Root))
	if err != nil {
		return nil, err
	}
	img.digest = b.Manifest.Root
	return img, nil
}
