package synth

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// Defect is a line of the truth log: what was done to a set on purpose. Undone
// from the last to the first they give the set as it was before.
type Defect struct {
	Table string `json:"table"`
	// Record counts from 1, in the file as it is.
	Record int64 `json:"record"`
	// Field is empty where the record as a whole is the defect.
	Field  string `json:"field"`
	Kind   string `json:"kind"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// TruthFile is where the truth log of a set is: beside it, so that no box that
// gets the set gets it as well.
func TruthFile(path string) string { return filepath.Clean(path) + ".truth.jsonl" }

// truth writes a log.
type truth struct {
	file   *os.File
	buf    *bufio.Writer
	lines  *json.Encoder
	err    error
	counts map[string]int
}

func newTruth(path string) (*truth, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return &truth{}, err
	}
	t := &truth{file: f, buf: bufio.NewWriter(f), counts: map[string]int{}}
	t.lines = json.NewEncoder(t.buf)
	t.lines.SetEscapeHTML(false)
	return t, nil
}

func (t *truth) note(d Defect) {
	t.counts[d.Kind]++
	if t.err == nil {
		t.err = t.lines.Encode(d)
	}
}

func (t *truth) close() error {
	return errors.Join(t.err, t.buf.Flush(), t.file.Sync(), t.file.Close())
}
