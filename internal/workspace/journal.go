package workspace

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// keepsDir holds one record for each keep and each undo, which is its journal
// while it goes on and the memory for an undo afterwards.
const keepsDir = "keeps"

// Stages of a record. The stage is on the disk before anything of it is done.
const (
	staging   = "staging"   // temporary files are made; the original is all old
	committed = "committed" // names are replaced; what is missing is to be done
	reverting = "reverting" // a failure is taken back; what is there is to be undone
	finished  = "finished"  // the original is all new
	reverted  = "reverted"  // the original is all old
	undone    = "undone"    // it was finished, and another record has taken it back
)

// record is one keep or undo.
type record struct {
	Version  int            `json:"version"`
	N        int            `json:"n"`
	Stage    string         `json:"stage"`
	Original string         `json:"original"`
	Nonce    string         `json:"nonce"` // ends the prefix of every temporary name
	Undoes   int            `json:"undoes,omitempty"`
	Steps    []recordStep   `json:"steps"`
	Merged   []proofbox.Raw `json:"merged,omitempty"`
}

// recordStep is one path, from what it was to what it becomes.
type recordStep struct {
	Path   proofbox.Raw   `json:"path"`
	Before proofbox.Entry `json:"before"`
	After  proofbox.Entry `json:"after"`
	// Temp is the temporary name that holds the new file or link.
	Temp proofbox.Raw `json:"temp,omitempty"`
	// Hunks are those that were kept, of a change that was not kept whole.
	Hunks selection `json:"hunks,omitempty"`
}

func (s recordStep) change() proofbox.Change {
	return proofbox.Change{Path: s.Path, Before: s.Before, After: s.After}
}

func (c *Changes) recordPath(n int) string {
	return filepath.Join(c.dir, keepsDir, fmt.Sprintf("%06d.json", n))
}

// enter puts a record at a stage, on the disk.
func (c *Changes) enter(r *record, stage string) error {
	r.Stage = stage
	if err := c.saveFile(filepath.Join(keepsDir, filepath.Base(c.recordPath(r.N))), r); err != nil {
		return fmt.Errorf("writing the journal of the keep: %w", err)
	}
	return nil
}

// numbers lists the records that there are, the newest first.
func (c *Changes) numbers() ([]int, error) {
	names, err := os.ReadDir(filepath.Join(c.dir, keepsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the journals: %w", err)
	}
	var list []int
	for _, name := range names {
		digits, ok := strings.CutSuffix(name.Name(), ".json")
		if !ok {
			continue // the beginning of one that was never put in place
		}
		n, err := strconv.Atoi(digits)
		if err != nil || filepath.Base(c.recordPath(n)) != name.Name() {
			return nil, fmt.Errorf("the journal %q has a name that none is given", name.Name())
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b int) int { return b - a })
	return list, nil
}

// records reads the records, the newest first, as far as somebody asks for them:
// each may be as long as a run has changes.
func (c *Changes) records() iter.Seq2[*record, error] {
	return func(yield func(*record, error) bool) {
		list, err := c.numbers()
		if err != nil {
			yield(nil, err)
			return
		}
		for _, n := range list {
			r, err := c.readRecord(n)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (c *Changes) readRecord(n int) (*record, error) {
	r, err := decodeRecord(c.recordPath(n))
	if err == nil && r.N != n {
		err = errors.New("it has another's number")
	}
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal %06d.json: %w", n, err)
	}
	return r, nil
}

func decodeRecord(path string) (*record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r record
	return &r, json.NewDecoder(io.LimitReader(f, maxIndex)).Decode(&r)
}

// check holds what was read against what is ever written: a journal that names
// anything else is not replayed.
func (r *record) check() error {
	stages := []string{staging, committed, reverting, finished, reverted, undone}
	switch {
	case r.Version != storeVersion:
		return fmt.Errorf("version %d is not known", r.Version)
	case !slices.Contains(stages, r.Stage):
		return fmt.Errorf("the stage %q is not known", r.Stage)
	case !filepath.IsAbs(r.Original) || len(r.Nonce) < 16 || strings.Trim(r.Nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "":
		return errors.New("it is damaged")
	}
	for i, s := range r.Steps {
		if !validPath(string(s.Path)) || i > 0 && r.Steps[i-1].Path >= s.Path {
			return fmt.Errorf("the path %q does not belong there", s.Path)
		}
		if err := errors.Join(checkEntry(s.Before), checkEntry(s.After)); err != nil {
			return err
		}
		_, base := splitPath(string(s.Temp))
		if s.Temp != "" && (!validPath(string(s.Temp)) || base != r.tempName(i)) {
			return fmt.Errorf("the temporary name %q is not its own", s.Temp)
		}
	}
	return nil
}

// tempName is the temporary name of a step.
func (r *record) tempName(i int) string { return fmt.Sprintf("%s%s-%d", tempPrefix, r.Nonce, i) }

// tempPrefix begins every temporary name in an original.
const tempPrefix = ".proofbox-"

// newRecord begins the record of a keep or an undo.
func (c *Changes) newRecord(original string, steps []step) (*record, error) {
	if err := c.makeKeeps(); err != nil {
		return nil, fmt.Errorf("making the folder of the journals: %w", err)
	}
	before, err := c.numbers()
	if err != nil {
		return nil, err
	}
	r := &record{Version: storeVersion, N: 1, Original: original, Nonce: rand.Text()}
	if len(before) > 0 {
		r.N = before[0] + 1
	}
	for _, s := range steps {
		r.Steps = append(r.Steps, recordStep{Path: s.change.Path, Before: s.change.Before, After: s.change.After, Hunks: s.hunks})
	}
	return r, nil
}

// makeKeeps makes the folder of the journals, whose name is on the disk before a
// journal in it counts.
func (c *Changes) makeKeeps() error {
	if err := os.MkdirAll(filepath.Join(c.dir, keepsDir), 0o700); err != nil {
		return err
	}
	return syncFolder(c.dir)
}

// carryOut takes an original from all old to all new:
//
//  1. the journal says what will be written, and under which temporary names;
//  2. new files and links are made under these, and are on the disk;
//  3. the journal says committed: from here on a crash goes forward;
//  4. names are replaced, one by one, and are on the disk;
//  5. the journal says finished.
//
// A failure in 2 leaves nothing, one in 4 is taken back. The steps are sorted by
// path, and what they will write is in the store.
func (c *Changes) carryOut(ctx context.Context, t *target, r *record, steps []step) error {
	if len(steps) == 0 && r.Undoes == 0 {
		return nil
	}
	if err := t.writable(steps); err != nil {
		return err
	}
	if err := c.fits(t, steps); err != nil {
		return err
	}
	if err := t.place(r, steps); err != nil {
		return err
	}
	if err := c.enter(r, staging); err != nil {
		return err
	}
	err := c.stage(ctx, t, steps)
	if err == nil {
		err = c.enter(r, committed)
	}
	if err != nil {
		return errors.Join(err, c.abandon(t, r))
	}
	if err := apply(t, steps); err != nil {
		return errors.Join(err, c.revert(t, r))
	}
	return c.conclude(r)
}

// stage makes the temporary files and waits until they and the store are on the
// disk.
func (c *Changes) stage(ctx context.Context, t *target, steps []step) error {
	for _, s := range steps {
		if ctx.Err() != nil {
			return fmt.Errorf("nothing was kept: %w", context.Cause(ctx))
		}
		if s.temp == "" {
			continue
		}
		if err := c.stageOne(t, s); err != nil {
			return fmt.Errorf("nothing was kept: keeping %q: %w", s.change.Path, explainWrite(err))
		}
	}
	store, err := openRoot(c.dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(t.root), unix.Syncfs(store), unix.Close(store))
}

// abandon removes the temporary names of a record.
func (c *Changes) abandon(t *target, r *record) error {
	if err := t.sweep(r); err != nil {
		return err
	}
	return c.enter(r, reverted)
}

// sweep removes what is left under the temporary names of a record.
func (t *target) sweep(r *record) error {
	var errs []error
	for _, s := range r.Steps {
		if s.Temp == "" {
			continue
		}
		dir, base, err := t.parent(string(s.Temp))
		if err == nil {
			err = errors.Join(tidy(dir, base), dir.Close())
		}
		if err != nil && !vanished(err) {
			errs = append(errs, fmt.Errorf("removing the temporary file %q: %w", s.Temp, err))
		}
	}
	return errors.Join(errs...)
}

// revert takes back what a failed keep has written.
func (c *Changes) revert(t *target, r *record) error {
	if err := c.enter(r, reverting); err != nil {
		return err
	}
	odd, err := c.settle(t, r, true)
	if err != nil {
		return fmt.Errorf("taking back what was written: %w; the next command tries again", err)
	}
	if len(odd) > 0 {
		err = fmt.Errorf("left as they are, since somebody else has changed them just now: %q", odd)
	}
	return errors.Join(err, c.enter(r, reverted))
}

// settle brings every path of a record to one side: what it was to become or,
// backwards, what it was. A path that is neither, and no step between them, was
// changed by somebody else; it stays and is named.
func (c *Changes) settle(t *target, r *record, back bool) (odd []proofbox.Raw, err error) {
	if err := t.sweep(r); err != nil {
		return nil, err
	}
	var steps []step
	for i, s := range r.Steps {
		change := s.change()
		if back {
			change.Before, change.After = change.After, change.Before
		}
		now, seen, err := t.look(string(s.Path))
		switch {
		case vanished(err):
			now, seen = proofbox.Entry{Kind: proofbox.Absent}, nil
		case err != nil:
			return nil, err
		}
		switch {
		case now == change.After:
		case now == change.Before || between(change, now):
			change.Before = now
			own := step{change: change, seen: seen}
			if patchable(change.After) {
				own.temp = string(s.Temp)
				if own.temp == "" {
					own.temp = r.tempName(i)
				}
			}
			steps = append(steps, own)
		default:
			odd = append(odd, s.Path)
		}
	}
	for _, s := range steps {
		if s.temp == "" {
			continue
		}
		if err := c.stageOne(t, s); err != nil {
			return nil, fmt.Errorf("%q: %w", s.change.Path, explainWrite(err))
		}
	}
	return odd, apply(t, steps)
}

// between says whether a path is on the way of a change: a folder that was
// opened up or has no mode yet, a name that has been cleared for another kind.
func between(c proofbox.Change, now proofbox.Entry) bool {
	switch now.Kind {
	case proofbox.Folder:
		return c.After.Kind == proofbox.Folder || c.Before.Kind == proofbox.Folder && now.Mode == c.Before.Mode|0o700
	case proofbox.Absent:
		return c.Before.Kind != c.After.Kind
	}
	return false
}

// interrupted gives the record that was begun and not ended, nil where there is
// none. It can only be the newest: whoever begins one has ended that first.
func (c *Changes) interrupted() (*record, error) {
	list, err := c.numbers()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	r, err := c.readRecord(list[0])
	if err != nil || !r.open() {
		return nil, err
	}
	return r, nil
}

// open says whether a record was begun and not ended.
func (r *record) open() bool {
	return r.Stage == staging || r.Stage == committed || r.Stage == reverting
}

// Interrupted says whether a keep was begun and not ended.
func (c *Changes) Interrupted() (bool, error) {
	open, err := c.interrupted()
	return open != nil, err
}

// Recover ends keeps that were interrupted by the death of their process: those
// that had committed are finished, the others leave nothing. It returns false
// where there was none, or where its process still lives.
func (c *Changes) Recover() (bool, error) {
	open, err := c.interrupted()
	if err != nil || open == nil {
		return false, err
	}
	t, err := openTarget(open.Original)
	if _, ok := errors.AsType[*BusyError](err); ok {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer t.close()
	return true, c.recoverIn(t)
}

// recoverIn does so with the original's lock held. Only now is what the journals
// say settled.
func (c *Changes) recoverIn(t *target) error {
	open, err := c.interrupted()
	if err != nil || open == nil {
		return err
	}
	if err := c.resume(t, open); err != nil {
		return fmt.Errorf("ending an interrupted keep in %q: %w", open.Original, err)
	}
	return nil
}

func (c *Changes) resume(t *target, r *record) error {
	switch r.Stage {
	case staging:
		return c.abandon(t, r)
	case reverting:
		return c.revert(t, r)
	}
	odd, err := c.settle(t, r, false)
	if err != nil {
		return err
	}
	if len(odd) > 0 {
		c.list.Warnings = append(c.list.Warnings, fmt.Sprintf("a keep was interrupted, and %q changed before it went on; these were left as they are", odd))
	}
	return c.conclude(r)
}

// conclude notes in the store what a record has written.
func (c *Changes) conclude(r *record) error {
	if err := c.keptSteps(r.Steps, r.Undoes == 0); err != nil {
		return err
	}
	if r.Undoes > 0 {
		old, err := c.readRecord(r.Undoes)
		if err == nil {
			err = c.enter(old, undone)
		}
		if err != nil {
			return err
		}
	}
	return c.enter(r, finished)
}

// keptSteps notes, on the disk, that steps are in the original, or not any more.
func (c *Changes) keptSteps(steps []recordStep, kept bool) error {
	hunks := false
	for _, s := range steps {
		at, ok := c.find(string(s.Path))
		if !ok {
			continue
		}
		change := &c.list.Changes[at]
		if len(s.Hunks) == 0 || !kept {
			change.Kept = kept
		}
		if len(s.Hunks) == 0 && kept {
			continue
		}
		hunks = true
		if err := c.keptHunks(*change, s, kept); err != nil {
			return err
		}
	}
	if hunks {
		if err := c.saveDecisions(); err != nil {
			return err
		}
	}
	return c.save()
}

// keptHunks notes that hunks of a change are in the original, or not any more.
func (c *Changes) keptHunks(change proofbox.Change, s recordStep, kept bool) error {
	d, err := c.about(change)
	if err != nil {
		return err
	}
	if !kept {
		for hash, h := range d.Hunks {
			if _, own := s.Hunks[hash]; own || len(s.Hunks) == 0 {
				h.Kept, h.KeptLines = false, nil
			}
		}
		return nil
	}
	for hash, lines := range s.Hunks {
		if d.Hunks[hash] == nil {
			d.Hunks[hash] = &hunkSelection{}
		}
		d.Hunks[hash].Kept, d.Hunks[hash].KeptLines = true, lines
	}
	return nil
}
