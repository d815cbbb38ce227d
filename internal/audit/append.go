package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// pending is an append that was decided on: the record, and the signed head
// that the log has with it. Because the head is signed before anything is
// written, finishing an append needs no signature, and nothing that somebody
// else has put there is ever finished.
type pending struct {
	Head   []byte `json:"head"`
	Record []byte `json:"record"`
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
		if err := l.add(record); err != nil {
			return fmt.Errorf("%w; see `proofbox log verify`", err)
		}
		return nil
	})
}

func (l *Log) add(record []byte) error {
	if err := l.recover(); err != nil {
		return err
	}
	h, err := l.readHead()
	if err != nil {
		return err
	}
	next, hashes, err := l.extend(h, record)
	if err != nil {
		return err
	}
	signed, err := l.sign(next)
	if err != nil {
		return err
	}
	p := pending{Head: signed, Record: record}
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding an append: %w", err)
	}
	if err := l.replace("pending", data); err != nil {
		return err
	}
	return l.settle(h, p, hashes)
}

// extend gives the head that a log has with one more record, and the hashes
// that are added to the tree.
func (l *Log) extend(h head, record []byte) (head, []tlog.Hash, error) {
	stored, err := os.OpenFile(l.path("hashes"), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return head{}, nil, fmt.Errorf("opening the log's hashes: %w", err)
	}
	defer stored.Close()
	reader := hashReader(stored)
	added, err := tlog.StoredHashes(h.Size, record, reader)
	if err != nil {
		return head{}, nil, fmt.Errorf("hashing a record: %w", err)
	}
	root, err := tlog.TreeHash(h.Size+1, behind(reader, tlog.StoredHashCount(h.Size), added))
	if err != nil {
		return head{}, nil, fmt.Errorf("hashing the log: %w", err)
	}
	return head{Size: h.Size + 1, Root: root, Length: h.Length + int64(len(record)) + 1}, added, nil
}

// behind reads the stored hashes and, from the given index on, those that are
// not stored yet.
func behind(stored tlog.HashReader, from int64, added []tlog.Hash) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= from {
				hashes[i] = added[index-from]
				continue
			}
			one, err := stored.ReadHashes([]int64{index})
			if err != nil {
				return nil, err
			}
			hashes[i] = one[0]
		}
		return hashes, nil
	}
}

// settle puts an append behind what the head h covers, whatever a killed
// process has put there before, and moves the head over it.
func (l *Log) settle(h head, p pending, hashes []tlog.Hash) error {
	if err := writeAt(l.path("records"), h.Length, append(p.Record, '\n')); err != nil {
		return err
	}
	var flat []byte
	for _, hash := range hashes {
		flat = append(flat, hash[:]...)
	}
	if err := writeAt(l.path("hashes"), tlog.StoredHashCount(h.Size)*tlog.HashSize, flat); err != nil {
		return err
	}
	if err := l.replace("head", p.Head); err != nil {
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

// recover finishes the append that a killed process has begun.
func (l *Log) recover() error {
	data, err := os.ReadFile(l.path("pending"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading an unfinished append: %w", err)
	}
	var p pending
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("the unfinished append does not read as one: %w", err)
	}
	next, err := l.verifyHead(p.Head)
	if err != nil {
		return fmt.Errorf("verifying an unfinished append: %w", err)
	}
	h, err := l.headBefore(next)
	if err != nil {
		return err
	}
	if h == next {
		return l.done()
	}
	extended, hashes, err := l.extend(h, p.Record)
	if err != nil {
		return err
	}
	if extended != next {
		return errors.New("the unfinished append does not continue the log")
	}
	return l.settle(h, p, hashes)
}

// headBefore gives the head that is in place while an append is unfinished.
// Before the first, there is none.
func (l *Log) headBefore(next head) (head, error) {
	if _, err := os.Lstat(l.path("head")); next.Size == 1 && errors.Is(err, fs.ErrNotExist) {
		return emptyHead()
	}
	return l.readHead()
}
