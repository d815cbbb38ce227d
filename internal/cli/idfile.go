package cli

import (
	"fmt"
	"os"
)

// idFile is where --id-file wants the run's ID. It is opened before there is a
// run, so that one that cannot be written starts none.
type idFile struct{ f *os.File } // f is nil where nobody wants it

func openIDFile(path string) (*idFile, error) {
	if path == "" {
		return &idFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the file for the run's ID: %w", err)
	}
	return &idFile{f}, nil
}

func (i *idFile) write(id string) error {
	if i.f == nil {
		return nil
	}
	if _, err := i.f.WriteString(id + "\n"); err != nil {
		return fmt.Errorf("writing the run's ID: %w", err)
	}
	return nil
}

// close ends the file. What could not be written was said by write.
func (i *idFile) close() {
	if i.f != nil {
		_ = i.f.Close()
	}
}
