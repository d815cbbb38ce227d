package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Event is one entry of the log.
type Event struct {
	Time   time.Time `json:"time"` // set by Append where it is zero
	Kind   string    `json:"kind"`
	Run    string    `json:"run,omitempty"`
	Detail any       `json:"detail,omitempty"`
}

// maxRecord bounds one record, in bytes.
const maxRecord = 8 << 20

// Log is an append-only log in a folder:
//
//	records   one JSON document a line
//	hashes    the Merkle tree over the lines, in tlog's storage order
//	head      the tree's size and root and the length of records, signed
//	pending   the append that is under way, while it is, signed
//	lock      locked by whoever reads or appends
//
// The tree is that of golang.org/x/mod/sumdb/tlog (RFC 6962). An append is done
// when the new head is in place; what a killed process has left of one is
// finished by the next. Nothing is synced to the disk, so that a run does not
// wait for it; after a power failure the end of the log may be gone, and Verify
// says so.
type Log struct {
	dir string
	key *Key
}

// OpenLog opens the log in a folder, which is made where it is missing.
func OpenLog(dir string, key *Key) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the audit log's folder: %w", err)
	}
	return &Log{dir: dir, key: key}, nil
}

func (l *Log) path(name string) string { return filepath.Join(l.dir, name) }

// locked runs f while no other process appends.
func (l *Log) locked(how int, f func() error) error {
	lock, err := os.OpenFile(l.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) {
		lock, err = os.Open(l.path("lock")) // a copy that may only be read can still be verified
	}
	if err != nil {
		return fmt.Errorf("locking the audit log: %w", err)
	}
	defer lock.Close()
	for {
		err := syscall.Flock(int(lock.Fd()), how)
		if err == nil {
			return f()
		}
		if !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("locking the audit log: %w", err)
		}
	}
}

// writeAt makes a file end with data, from an offset on.
func writeAt(path string, at int64, data []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log's %s: %w", filepath.Base(path), err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("looking at the log's %s: %w", filepath.Base(path), err)
	}
	if info.Size() < at {
		return fmt.Errorf("the log's %s have %d bytes, not the %d that were signed: something was cut off; see `proofbox log verify`", filepath.Base(path), info.Size(), at)
	}
	if _, err := f.WriteAt(data, at); err != nil {
		return fmt.Errorf("writing the log's %s: %w", filepath.Base(path), err)
	}
	return f.Truncate(at + int64(len(data)))
}

// replace writes a file so that a reader sees the old one or the new one.
func (l *Log) replace(name string, data []byte) error {
	temp := l.path(name + ".new")
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return fmt.Errorf("writing the log's %s: %w", name, err)
	}
	if err := os.Rename(temp, l.path(name)); err != nil {
		return fmt.Errorf("writing the log's %s: %w", name, err)
	}
	return nil
}

func hashReader(f io.ReaderAt) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if _, err := f.ReadAt(hashes[i][:], index*tlog.HashSize); err != nil {
				return nil, fmt.Errorf("reading hash %d: %w", index, err)
			}
		}
		return hashes, nil
	}
}

// Events gives the events that the head covers, the oldest first, with their
// numbers, without verifying them. It ends with the first error: a log that
// cannot be read is never taken for an empty one.
func (l *Log) Events() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := l.events(func(e Entry) bool { return yield(e, nil) }); err != nil {
			yield(Entry{}, fmt.Errorf("%w; see `proofbox log verify`", err))
		}
	}
}

// Entry is an event with its number in the log.
type Entry struct {
	Index int64
	Event
}

func (l *Log) events(yield func(Entry) bool) error {
	h, err := l.readHead()
	if err != nil || h.Size == 0 {
		return err
	}
	f, err := os.Open(l.path("records"))
	if err != nil {
		return fmt.Errorf("reading the records: %w", err)
	}
	defer f.Close()
	lines := bufio.NewReader(io.LimitReader(f, h.Length))
	for n := range h.Size {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("record %d is cut off: %w", n, err)
		}
		e := Entry{Index: n}
		if err := json.Unmarshal(line, &e.Event); err != nil {
			return fmt.Errorf("record %d does not read as one: %w", n, err)
		}
		if !yield(e) {
			return nil
		}
	}
	return nil
}
