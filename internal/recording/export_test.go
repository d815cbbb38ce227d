package recording

import (
	"crypto/sha256"
	"os"
)

// To writes to a file that is there.
func To(f *os.File) *Writer { return &Writer{file: f, digest: sha256.New(), left: maxFile} }
