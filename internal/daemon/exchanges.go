package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// openRecording opens a run's recording. One that is complete must be what the run's
// record says.
func (d *Daemon) openRecording(name string) (*os.File, error) {
	run, err := d.Show(context.Background(), name)
	if err != nil {
		return nil, err
	}
	id := run.ID
	f, err := os.Open(filepath.Join(d.store.dir(id), recordingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the run %s was not recorded; `record: true` in its box file has the next one recorded", id)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the recording: %w", err)
	}
	if run.Recording == nil {
		return f, nil // it goes on, or its supervisor was killed
	}
	digest, err := recording.Digest(f)
	if err == nil && digest != run.Recording.Digest {
		err = fmt.Errorf("the recording of %s was altered: it is %s, and the record says %s", id, digest, run.Recording.Digest)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
