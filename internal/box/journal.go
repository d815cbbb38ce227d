package box

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Object is something that a box makes on the host. It is written to the
// box's journal before it exists.
type Object struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
	// Since tells a process from a later one with the same ID: its start time
	// in clock ticks since boot, the 22nd field of proc_pid_stat(5). For a PID
	// namespace it is that of its first process.
	Since uint64 `json:"since,omitempty"`
}

// Kind is what an [Object] is. Kinds are released in the order given here.
type Kind string

const (
	Process    Kind = "process"       // Name is its ID
	PIDSpace   Kind = "pid namespace" // Name is its inode number
	Cgroup     Kind = "cgroup"        // Name is its folder
	LoopDevice Kind = "loop device"   // Name is its node, backed by a file of the run
	Socket     Kind = "socket"        // Name is its path
	Folder     Kind = "directory"     // Name is its path
	FilePath   Kind = "file"          // Name is its path
)

// journalName is the journal's file in a run's directory.
const journalName = "journal"

// Journal is the list of objects that one box makes. An entry is in the file
// when Note returns, so that it survives this process; it need not survive the
// host, because nothing but directories and files does, and those lie in the
// run's directory.
type Journal struct {
	mu   sync.Mutex // serializes lines
	file *os.File
}

// NewJournal begins the journal of a run in its directory.
func NewJournal(dir string) (*Journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, journalName), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("beginning the journal: %w", err)
	}
	return &Journal{file: f}, nil
}

// Note writes down an object that is about to be made.
func (j *Journal) Note(o Object) error {
	line, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encoding a journal entry: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// Close closes the file; what was noted stays.
func (j *Journal) Close() error { return j.file.Close() }

// readJournal reads the journal of a run whose supervisor may have died in the
// middle of a line; such a line's object was never made.
func readJournal(dir string) ([]Object, error) {
	f, err := os.Open(filepath.Join(dir, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	defer f.Close()
	var objects []Object
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var o Object
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			break
		}
		objects = append(objects, o)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	return objects, nil
}
