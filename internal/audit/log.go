package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
//	pending   the record that is being appended, while it is
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

// Append adds an event. It is in the log, whole, or not at all.
func (l *Log) Append(ctx context.Context, e Event) error {
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	record, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	if len(record) > maxRecord {
		return fmt.Errorf("an event of %d bytes is over the limit of %d", len(record), maxRecord)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.locked(syscall.LOCK_EX, func() error {
		if err := l.recover(); err != nil {
			return err
		}
		if err := l.replace("pending", append(record, '\n')); err != nil {
			return err
		}
		return l.settle(record)
	})
}

// recover finishes the append that a killed process has begun.
func (l *Log) recover() error {
	pending, err := os.ReadFile(l.path("pending"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading an unfinished append: %w", err)
	}
	record := bytes.TrimSuffix(pending, []byte("\n"))
	head, err := l.readHead()
	if err != nil {
		return err
	}
	done, err := l.lastIs(record, head)
	if err != nil {
		return err
	}
	if done {
		return l.done()
	}
	return l.settle(record)
}

// lastIs says whether the record is the last one that the head covers.
func (l *Log) lastIs(record []byte, h head) (bool, error) {
	from := h.Length - int64(len(record)) - 1
	if h.Size == 0 || from < 0 {
		return false, nil
	}
	f, err := os.Open(l.path("records"))
	if err != nil {
		return false, fmt.Errorf("reading the records: %w", err)
	}
	defer f.Close()
	last := make([]byte, len(record))
	if _, err := f.ReadAt(last, from); err != nil {
		return false, fmt.Errorf("reading the records: %w", err)
	}
	return bytes.Equal(last, record), nil
}

// settle appends the pending record behind what the head covers, whatever a
// killed process has put there before, and moves the head over it.
func (l *Log) settle(record []byte) error {
	h, err := l.readHead()
	if err != nil {
		return err
	}
	hashes, err := os.OpenFile(l.path("hashes"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log's hashes: %w", err)
	}
	defer hashes.Close()
	reader := hashReader(hashes)
	added, err := tlog.StoredHashes(h.Size, record, reader)
	if err != nil {
		return fmt.Errorf("hashing a record: %w", err)
	}
	if err := writeAt(l.path("records"), h.Length, append(bytes.Clone(record), '\n')); err != nil {
		return err
	}
	var flat []byte
	for _, hash := range added {
		flat = append(flat, hash[:]...)
	}
	if err := writeAt(l.path("hashes"), tlog.StoredHashCount(h.Size)*tlog.HashSize, flat); err != nil {
		return err
	}
	root, err := tlog.TreeHash(h.Size+1, reader)
	if err != nil {
		return fmt.Errorf("hashing the log: %w", err)
	}
	next := head{Size: h.Size + 1, Root: root, Length: h.Length + int64(len(record)) + 1}
	if err := l.writeHead(next); err != nil {
		return err
	}
	return l.done()
}

func (l *Log) done() error {
	if err := os.Remove(l.path("pending")); err != nil {
		return fmt.Errorf("finishing an append: %w", err)
	}
	return nil
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
// numbers, without verifying them.
func (l *Log) Events() iter.Seq2[int64, Event] {
	return func(yield func(int64, Event) bool) {
		h, err := l.readHead()
		if err != nil {
			return // Verify says what is wrong
		}
		f, err := os.Open(l.path("records"))
		if err != nil {
			return
		}
		defer f.Close()
		lines := bufio.NewReader(io.LimitReader(f, h.Length))
		for n := range h.Size {
			line, err := lines.ReadBytes('\n')
			var e Event
			if err != nil || json.Unmarshal(line, &e) != nil || !yield(n, e) {
				return
			}
		}
	}
}
