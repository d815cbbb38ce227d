package daemon

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"proofbox"
)

// store keeps runs below a state folder:
//
//	runs/ID/          one run's directory, see docs/formats/run.md
//	live/ID           is there while the run may have left something on the
//	                  host; locked by its supervisor as long as that is alive
//	keeping/ID        is there while a keep or undo of the run goes on, or was
//	                  interrupted
//	rejected/HASH.json what was decided against in the runs of an original, see
//	                  docs/formats/changes.md
//
// Several proofbox processes may use it at once.
type store struct{ home string }

// Names of files in a run's directory.
const (
	recordFile = "run.json"
	outputFile = "output.jsonl"
	// recordingFile has a run's calls to models; see the package recording.
	recordingFile = "exchanges.jsonl"
	teardownFile  = "teardown.dsse.json"
	keepFile      = "keep-%s.dsse.json" // by the beginning of its digest
	controlFile   = "control.sock"
	changesDir    = "changes"
	baseDir       = "base"
	dataDir       = "data"              // copies of the contents, while the run lives
	sealFile      = "data-%d.dsse.json" // the seals by which they were verified
)

func (s store) dir(id string) string  { return filepath.Join(s.home, "runs", id) }
func (s store) live(id string) string { return filepath.Join(s.home, "live", id) }

// idLetters spell run IDs: no vowels, so that no words appear, and nothing
// that looks like something else.
const idLetters = "23456789bcdfghjkmnpqrstvwxyz"

func newID() string {
	var b [9]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = idLetters[int(b[i])%len(idLetters)]
	}
	return string(b[:])
}

// create makes a new run's directory and marks the run as live. The returned
// lock is held until it is closed; the kernel drops it with this process.
func (s store) create() (id string, lock *os.File, err error) {
	for _, dir := range []string{"runs", "live"} {
		if err := os.MkdirAll(filepath.Join(s.home, dir), 0o700); err != nil {
			return "", nil, fmt.Errorf("making the state folder: %w", err)
		}
	}
	for {
		id = newID()
		err := os.Mkdir(s.dir(id), 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("making the run's directory: %w", err)
		}
		lock, err := s.mark(id)
		return id, lock, err
	}
}

// mark makes a run's live mark. It is locked before it has its name, so that
// nobody finds it without a supervisor.
func (s store) mark(id string) (*os.File, error) {
	f, err := os.CreateTemp(s.home, ".live-*")
	if err != nil {
		return nil, fmt.Errorf("marking the run %q as live: %w", id, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	if err == nil {
		err = os.Rename(f.Name(), s.live(id))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("marking the run %q as live: %w", id, err), f.Close())
	}
	return f, nil
}

// orphan takes the live mark of a run whose supervisor is dead. It gives nil
// where the supervisor lives, or where somebody else has settled the run.
func (s store) orphan(id string) (*os.File, error) {
	f, err := os.OpenFile(s.live(id), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking at the live run %q: %w", id, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, f.Close()
	}
	ours, err1 := f.Stat()
	named, err2 := os.Stat(s.live(id))
	if err1 != nil || err2 != nil || !os.SameFile(ours, named) {
		return nil, f.Close()
	}
	return f, nil
}

// settle removes the live mark: nothing of the run is left on the host.
func (s store) settle(id string) error {
	if err := os.Remove(s.live(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("settling the run %q: %w", id, err)
	}
	return nil
}

func (s store) keeping(id string) string { return filepath.Join(s.home, "keeping", id) }

// markKeeping marks a run whose original is about to be written. The mark is on the
// disk when it returns: without it, nobody would look for what a loss of power has
// interrupted.
func (s store) markKeeping(id string) error {
	folder := filepath.Join(s.home, "keeping")
	err := os.MkdirAll(folder, 0o700)
	if err == nil {
		err = os.WriteFile(s.keeping(id), nil, 0o600)
	}
	for _, dir := range []string{folder, s.home} {
		if err == nil {
			err = flush(dir)
		}
	}
	if err != nil {
		return fmt.Errorf("marking the keep of the run %q: %w", id, err)
	}
	return nil
}

// flush waits until a file, or the names in a folder, are on the disk.
func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (s store) unmarkKeeping(id string) error {
	if err := os.Remove(s.keeping(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ending the keep of the run %q: %w", id, err)
	}
	return nil
}

func (s store) isKeeping(id string) bool {
	_, err := os.Stat(s.keeping(id))
	return err == nil
}

// keepingIDs lists the runs that are marked so.
func (s store) keepingIDs() ([]string, error) { return names(filepath.Join(s.home, "keeping")) }

// forget removes the record of a run that has been torn down.
func (s store) forget(id string) error {
	if err := os.RemoveAll(s.dir(id)); err != nil {
		return fmt.Errorf("forgetting the run %q: %w", id, err)
	}
	return nil
}

// liveIDs lists the runs that are marked as live.
func (s store) liveIDs() ([]string, error) { return names(filepath.Join(s.home, "live")) }

func (s store) ids() ([]string, error) { return names(filepath.Join(s.home, "runs")) }

func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name()
	}
	return list, nil
}

// save writes a run's record so that a reader sees the old one or the new one.
func (s store) save(run *proofbox.Run) error {
	return writeJSON(filepath.Join(s.dir(run.ID), recordFile), run)
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %q: %w", filepath.Base(path), err)
	}
	return writeFile(path, append(data, '\n'))
}

func writeFile(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("writing %q: %w", filepath.Base(path), err)
	}
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", filepath.Base(path), err), os.Remove(temp.Name()))
	}
	return nil
}

// load reads a run's record.
func (s store) load(id string) (*proofbox.Run, error) {
	data, err := os.ReadFile(filepath.Join(s.dir(id), recordFile))
	if err != nil {
		return nil, fmt.Errorf("reading the run %q: %w", id, err)
	}
	var run proofbox.Run
	if err := json.Unmarshal(data, &run); err != nil {
		return nil, fmt.Errorf("reading the run %q: %w", id, err)
	}
	return &run, nil
}

// all reads every run, the newest first. A run whose record is not written yet
// is left out.
func (s store) all() ([]proofbox.Run, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	var runs []proofbox.Run
	for _, id := range ids {
		run, err := s.load(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		runs = append(runs, *run)
	}
	slices.SortFunc(runs, func(a, b proofbox.Run) int { return b.Created.Compare(a.Created) })
	return runs, nil
}

// last is how a person means the newest run.
const last = "last"

// maxName bounds a run's name, in bytes.
const maxName = 64

// checkName refuses a run's name that could be taken for something else.
func checkName(name string) error {
	strange := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
	}
	if len(name) > maxName || strings.ContainsFunc(name, strange) || name == last {
		return fmt.Errorf("the run cannot be named %q: a name has at most %d letters, digits, dots, dashes and underscores, and is not %q", name, maxName, last)
	}
	return nil
}

// resolve finds the run that a person means: an ID, the beginning of one,
// "last", or a name, which is that of the newest run that has it.
func (s store) resolve(name string) (string, error) {
	if name == last {
		return s.newest(func(r *proofbox.Run) bool { return r.Proves == "" && !r.Passing }, name)
	}
	ids, err := s.ids()
	if err != nil {
		return "", err
	}
	var found []string
	for _, id := range ids {
		if id == name {
			return id, nil
		}
		if name != "" && strings.HasPrefix(id, name) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return s.newest(func(r *proofbox.Run) bool { return name != "" && r.Name == name }, name)
	default:
		return "", &UnknownRunError{Name: name, Several: found}
	}
}

// newest finds the newest of the runs that a person means by a name.
func (s store) newest(means func(*proofbox.Run) bool, name string) (string, error) {
	runs, err := s.all()
	if err != nil {
		return "", err
	}
	for i := range runs {
		if means(&runs[i]) {
			return runs[i].ID, nil
		}
	}
	return "", &UnknownRunError{Name: name}
}

// UnknownRunError says that a name does not mean one run.
type UnknownRunError struct {
	Name    string
	Several []string // what it could mean
}

func (e *UnknownRunError) Error() string {
	if len(e.Several) > 0 {
		return fmt.Sprintf("run %q could be any of %s; give more of the ID", e.Name, strings.Join(e.Several, ", "))
	}
	return fmt.Sprintf("there is no run %q; `proofbox runs` lists them", e.Name)
}

// NotFound marks the error for the API.
func (e *UnknownRunError) NotFound() bool { return true }
