package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/mod/sumdb/tlog"
)

// Report is what a verified log holds.
type Report struct {
	Entries int64
	Root    string // base64
}

// AlteredError says that the log is not what was signed.
type AlteredError struct{ err error }

func (e *AlteredError) Error() string { return e.err.Error() }
func (e *AlteredError) Unwrap() error { return e.err }

// Verify checks every byte of the log's records, hashes and head. An append
// that a killed process has begun is finished first, unless the log may only be
// read. Where something is not as it was signed, the error is an [AlteredError].
// What it cannot see is a log that was replaced by an earlier state of itself:
// keep the root elsewhere to see that too.
func (l *Log) Verify() (Report, error) {
	var report Report
	err := l.locked(syscall.LOCK_EX, func() error {
		if err := l.recover(); err != nil {
			return err
		}
		h, err := l.readHead()
		if err != nil {
			return err
		}
		report = Report{Entries: h.Size, Root: h.Root.String()}
		return l.check(h)
	})
	if err == nil || inTheWay(err) {
		return report, err
	}
	return report, &AlteredError{err}
}

// inTheWay says whether the log could not be looked at, which says nothing
// about its bytes.
func inTheWay(err error) bool {
	for _, e := range []error{syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// check recomputes the tree from the records.
func (l *Log) check(h head) error {
	for name, want := range map[string]int64{
		"records": h.Length, "hashes": tlog.StoredHashCount(h.Size) * tlog.HashSize,
	} {
		if got := l.size(name); got != want {
			return fmt.Errorf("the log's %s have %d bytes, not the %d that were signed", name, got, want)
		}
	}
	if h.Size == 0 {
		return nil
	}
	records, err := os.Open(l.path("records"))
	if err != nil {
		return fmt.Errorf("reading the records: %w", err)
	}
	defer records.Close()
	stored, err := os.ReadFile(l.path("hashes"))
	if err != nil {
		return fmt.Errorf("reading the log's hashes: %w", err)
	}
	return recompute(h, bufio.NewReader(records), stored)
}

func (l *Log) size(name string) int64 {
	info, err := os.Stat(l.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		return -1
	}
	return info.Size()
}

// recompute hashes every record again and compares with what is stored and
// with the signed root.
func recompute(h head, records *bufio.Reader, stored []byte) error {
	at := 0
	reader := hashReader(bytes.NewReader(stored))
	for n := range h.Size {
		line, err := records.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("record %d is cut off: %w", n, err)
		}
		hashes, err := tlog.StoredHashes(n, line[:len(line)-1], reader)
		if err != nil {
			return fmt.Errorf("hashing record %d: %w", n, err)
		}
		for _, hash := range hashes {
			if !bytes.Equal(stored[at:at+tlog.HashSize], hash[:]) {
				return fmt.Errorf("record %d, or its hash, was altered", n)
			}
			at += tlog.HashSize
		}
	}
	if _, err := records.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("there are records behind the last one that was signed")
	}
	root, err := tlog.TreeHash(h.Size, reader)
	if err != nil {
		return fmt.Errorf("hashing the log: %w", err)
	}
	if root != h.Root {
		return errors.New("the records are not those that were signed")
	}
	return nil
}
