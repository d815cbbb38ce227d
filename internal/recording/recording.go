// Package recording keeps what a box and its models have said to each other: a
// file with one exchange in each line, from which calls can be made again and
// answers given again. It reads and writes what other tools make of the same: the
// samples of OpenAI's evals, and the spans of OpenTelemetry's conventions for
// generative AI.
package recording

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"sync"

	"proofbox"
)

// Bounds of a recording: of its file, and of one line that is read.
const (
	maxFile = 4 << 30
	maxLine = 128 << 20
)

// Writer writes a recording. It may be used from many goroutines.
type Writer struct {
	mu     sync.Mutex
	file   *os.File
	digest hash.Hash
	state  proofbox.Recording
	left   int64
	broken error // what has stopped it; nothing is recorded after that
}

// Create makes a recording, which only its owner can read.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the recording: %w", err)
	}
	return &Writer{file: f, digest: sha256.New(), left: maxFile}, nil
}

// Usable says whether the next exchange can be kept, as far as is known.
func (w *Writer) Usable() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

// Add keeps an exchange. After an error nothing more is kept: a recording has all
// exchanges up to some moment.
func (w *Writer) Add(e proofbox.Exchange) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("recording an exchange: %w", err)
	}
	line = append(line, '\n')
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.broken != nil:
		return w.broken
	case int64(len(line)) > w.left:
		w.broken = fmt.Errorf("the recording has reached %d bytes", int64(maxFile))
		return w.broken
	}
	if _, err := w.file.Write(line); err != nil {
		w.broken = fmt.Errorf("writing the recording: %w", err)
		return w.broken
	}
	w.digest.Write(line)
	w.left -= int64(len(line))
	w.state.Exchanges++
	return nil
}

// Close ends the recording and says what is in it.
func (w *Writer) Close() (proofbox.Recording, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Digest = digestOf(w.digest)
	broken := w.broken
	w.broken = errors.New("the recording is closed")
	return w.state, errors.Join(broken, w.file.Sync(), w.file.Close())
}

// Digest gives the digest of a recording, as [Writer.Close] does.
func Digest(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", fmt.Errorf("reading the recording: %w", err)
	}
	return digestOf(h), nil
}

func digestOf(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

// Read gives the exchanges of a recording.
func Read(r io.Reader) iter.Seq2[proofbox.Exchange, error] {
	return func(yield func(proofbox.Exchange, error) bool) {
		for line, err := range lines(r) {
			var e proofbox.Exchange
			if err == nil {
				err = json.Unmarshal(line.text, &e)
			}
			if err != nil {
				yield(e, fmt.Errorf("line %d of the recording: %w", line.number, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// line is one line of a file, with its number from 1 on.
type line struct {
	number int
	text   []byte
}

// lines gives the lines that have something in them.
func lines(r io.Reader) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(nil, maxLine)
		n := 0
		for s.Scan() {
			n++
			if len(bytes.TrimSpace(s.Bytes())) > 0 && !yield(line{n, s.Bytes()}, nil) {
				return
			}
		}
		if s.Err() != nil {
			yield(line{number: n + 1}, s.Err())
		}
	}
}
