package contents

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
)

// Mount watches the verified copy of a data set while a box has it: what is
// opened of it, and whether anything in it changes.
type Mount struct {
	keeper *Keeper
	path   string
	seal   proofbox.Seal
	alarm  func(*proofbox.Refusal)
	events *os.File
	done   chan struct{}

	// What follows belongs to follow, and then to Close.
	altered   bool
	blurred   bool             // what is opened is not noted any more
	folders   map[int32]string // by their watch, relative to the set
	opened    map[string]*proofbox.Opened
	unwatched string
}

// What is watched for: that somebody opens or reads, and that something is
// another than before.
const (
	looks   = unix.IN_OPEN | unix.IN_ACCESS
	changes = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
)

// Mount begins to watch the copy at a path that [Keeper.Freeze] has made.
// alarm is called where a change makes it another than the seal says: at once, and
// again with the record that shows it, before [Mount.Close] returns.
func (k *Keeper) Mount(path string, seal proofbox.Seal, alarm func(*proofbox.Refusal)) (*Mount, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching the data: %w", err)
	}
	m := &Mount{
		keeper: k, path: path, seal: seal, alarm: alarm, done: make(chan struct{}),
		events: os.NewFile(uintptr(fd), "inotify"), folders: map[int32]string{}, opened: map[string]*proofbox.Opened{},
	}
	err = filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && at != path {
			return err
		}
		id, err := unix.InotifyAddWatch(fd, at, looks|changes|unix.IN_DONT_FOLLOW)
		if err != nil {
			return fmt.Errorf("%q: %w", at, err)
		}
		name, err := filepath.Rel(path, at)
		m.folders[int32(id)] = name
		return err
	})
	if err != nil {
		_ = m.events.Close()
		return nil, fmt.Errorf("watching the data: %w", err)
	}
	go m.follow()
	return m, nil
}

// eventBuffer is in bytes.
const eventBuffer = 64 << 10

// follow takes events until [Mount.Close].
func (m *Mount) follow() {
	defer close(m.done)
	buf := make([]byte, eventBuffer)
	for {
		n, err := m.events.Read(buf)
		if err != nil {
			return
		}
		if m.take(buf[:n]) && !m.altered {
			m.altered = !m.compare()
		}
	}
}

// take takes events, and says whether one is of a change. From the first one on
// nothing is noted as opened, because the comparison opens everything.
func (m *Mount) take(events []byte) (changed bool) {
	for len(events) >= unix.SizeofInotifyEvent {
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		changed = m.event(events[:size], time.Now().UTC()) || changed
		events = events[size:]
	}
	return changed
}

// event takes one event, and says whether it is of a change.
func (m *Mount) event(e []byte, now time.Time) bool {
	mask := binary.NativeEndian.Uint32(e[4:])
	if mask&unix.IN_Q_OVERFLOW != 0 {
		m.unwatched = "more was opened at once than could be noted"
		return true
	}
	if mask&changes != 0 && !m.blurred {
		m.blurred, m.unwatched = true, "what was opened after "+now.Format(time.RFC3339)+" is not known, because the data was touched"
	}
	if mask&looks != 0 && mask&unix.IN_ISDIR == 0 && !m.blurred {
		folder := m.folders[int32(binary.NativeEndian.Uint32(e))]
		name := filepath.Join(folder, string(bytes.TrimRight(e[unix.SizeofInotifyEvent:], "\x00")))
		if name == "." {
			name = ""
		}
		m.look(name, mask&unix.IN_ACCESS != 0, now)
	}
	return mask&changes != 0
}

func (m *Mount) look(name string, read bool, now time.Time) {
	o := m.opened[name]
	if o == nil {
		if len(m.opened) >= proofbox.MaxFindings {
			m.unwatched = fmt.Sprintf("more than %d files were opened", proofbox.MaxFindings)
			return
		}
		o = &proofbox.Opened{Name: proofbox.Raw(name), First: now}
		m.opened[name] = o
	}
	o.Last, o.Read = now, o.Read || read
}

// drain takes the events that are there already.
func (m *Mount) drain() {
	_ = m.events.SetReadDeadline(time.Time{})
	conn, err := m.events.SyscallConn()
	if err != nil {
		m.unwatched = "the last files that were opened could not be noted: " + err.Error()
		return
	}
	buf := make([]byte, eventBuffer)
	_ = conn.Control(func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), buf)
			if n <= 0 || err != nil {
				return // EAGAIN: there is none
			}
			m.take(buf[:n])
		}
	})
}

// compare holds the copy against its seal and raises the alarm where it is
// another.
func (m *Mount) compare() bool {
	ctx := context.Background()
	disagrees, err := compare(ctx, m.path, m.seal.Files, func(proofbox.SealedFile) (io.WriteCloser, error) { return nothing{io.Discard}, nil })
	if err != nil {
		disagrees = refuse("contents-as-sealed", "find out who changed it", "%v", err)
	}
	if disagrees == nil {
		return true
	}
	explained := *disagrees // the box must not wait for a scan to be ended
	m.alarm(disagrees)
	if refusal, ok := errors.AsType[*proofbox.Refusal](m.keeper.explain(ctx, m.path, m.seal, &explained, time.Now())); ok {
		m.alarm(refusal)
	}
	return false
}

// Close ends watching, once no process can open the data any more. It gives what was
// opened, why there may be more, and whether the data is "unchanged" or
// "changed".
func (m *Mount) Close() (opened []proofbox.Opened, unwatched, after string) {
	_ = m.events.SetReadDeadline(time.Unix(1, 0))
	<-m.done
	m.drain()
	_ = m.events.Close()
	opened = []proofbox.Opened{}
	for _, o := range m.opened {
		opened = append(opened, *o)
	}
	slices.SortFunc(opened, func(a, b proofbox.Opened) int { return cmp.Compare(a.Name, b.Name) })
	if m.altered || !m.compare() {
		return opened, m.unwatched, "changed"
	}
	return opened, m.unwatched, "unchanged"
}
