package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"proofbox"
	"proofbox/internal/recording"
)

// Exchanges gives the recorded calls of a run to models.
func (d *Daemon) Exchanges(_ context.Context, name string) iter.Seq2[proofbox.Exchange, error] {
	return func(yield func(proofbox.Exchange, error) bool) {
		f, err := d.openRecording(name)
		if err != nil {
			yield(proofbox.Exchange{}, err)
			return
		}
		defer f.Close()
		for e, err := range recording.Read(f) {
			if !yield(e, err) {
				return
			}
		}
	}
}

func (d *Daemon) openRecording(name string) (*os.File, error) {
	id, err := d.store.resolve(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(d.store.dir(id), recordingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the run %s was not recorded; `record: true` in its box file has the next one recorded", id)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the recording: %w", err)
	}
	return f, nil
}
