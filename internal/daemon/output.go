package daemon

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"proofbox"
)

// output keeps what a run's command writes, one [proofbox.Output] a line. It is
// bounded by the run's output limit.
type output struct {
	mu    sync.Mutex
	file  *os.File
	began time.Time
}

func newOutput(path string) (*output, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the output's file: %w", err)
	}
	return &output{file: f, began: time.Now()}, nil
}

// tee writes to the caller and keeps a copy. A caller who has gone does not end
// the keeping, nor the command.
func (o *output) tee(stream string, caller io.Writer) io.Writer {
	return &teeWriter{output: o, stream: stream, caller: caller}
}

type teeWriter struct {
	output *output
	stream string
	caller io.Writer // nil once it has failed
}

func (t *teeWriter) Write(p []byte) (int, error) {
	if err := t.output.keep(t.stream, p); err != nil {
		return 0, err
	}
	if t.caller != nil {
		if _, err := t.caller.Write(p); err != nil {
			t.caller = nil
		}
	}
	return len(p), nil
}

func (o *output) keep(stream string, p []byte) error {
	line, err := json.Marshal(proofbox.Output{Time: int64(time.Since(o.began)), Stream: stream, Data: p})
	if err != nil {
		return fmt.Errorf("encoding output: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("keeping output: %w", err)
	}
	return nil
}

func (o *output) close() error { return o.file.Close() }

// followEvery is how often a follower looks for more.
const followEvery = 50 * time.Millisecond

// readOutput gives the kept output up to its end as it is now, from an offset
// on, and the offset of what it has not read.
func readOutput(path string, from int64, yield func(proofbox.Output) bool) (next int64, more bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return from, false, fmt.Errorf("reading the output: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return from, false, fmt.Errorf("reading the output: %w", err)
	}
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return from, true, nil // a line that is still being written is read next time
		}
		if err != nil {
			return from, false, fmt.Errorf("reading the output: %w", err)
		}
		var out proofbox.Output
		if err := json.Unmarshal(line, &out); err != nil {
			return from, false, fmt.Errorf("reading the output: %w", err)
		}
		from += int64(len(line))
		if !yield(out) {
			return from, false, nil
		}
	}
}
