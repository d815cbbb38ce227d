package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"proofbox"
)

// Rejections remember what somebody has decided against in an original's runs, by
// path and by what it would have written, so that a later run that makes the same
// shows it as known. They decide nothing. See docs/formats/changes.md.
type Rejections struct {
	dir, name string
}

// Bounds of what is remembered of an original; the oldest goes.
const (
	maxRejections    = 20_000
	maxRejectionFile = 16 << 20 // bytes
	// maxByHunk is up to how many changes that are decided against together are
	// remembered hunk by hunk, too.
	maxByHunk = 100
)

// rejection is one change, or one hunk, that was decided against.
type rejection struct {
	Run  string       `json:"run"`
	Path proofbox.Raw `json:"path"`
	Hash string       `json:"hash"` // of a hunk, or of what the whole change makes
}

// storedRejections is the form of the file, the oldest first.
type storedRejections struct {
	Version    int         `json:"version"`
	Original   string      `json:"original"`
	Rejections []rejection `json:"rejections"`
}

// OpenRejections gives those of an original, in a folder that holds those of all.
func OpenRejections(dir, original string) *Rejections {
	return &Rejections{dir: dir, name: hashOf(original)[len(digestPrefix):] + ".json"}
}

// read gives what is remembered: nothing where there is no file, or one of another
// form, which is as good as forgotten.
func (r *Rejections) read() (storedRejections, error) {
	none := storedRejections{Version: storeVersion}
	f, err := os.Open(filepath.Join(r.dir, r.name))
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("reading what was decided against: %w", err)
	}
	defer f.Close()
	stored := none
	if err := json.NewDecoder(io.LimitReader(f, maxRejectionFile)).Decode(&stored); err != nil || stored.Version != storeVersion {
		return none, nil
	}
	return stored, nil
}

// Note remembers a choice that was made about a run's changes: to discard, or
// anything else, by which what was discarded earlier is forgotten.
func (r *Rejections) Note(run, original string, c *Changes, q proofbox.ChoiceRequest) error {
	about, err := c.rejections(run, q)
	if err != nil || len(about) == 0 {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of what was decided against: %w", err)
	}
	fd, err := openRoot(r.dir)
	if err != nil {
		return fmt.Errorf("locking what was decided against: %w", err)
	}
	defer unix.Close(fd) // and the lock goes with it
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking what was decided against: %w", err)
	}
	stored, err := r.read()
	if err != nil {
		return err
	}
	return r.save(stored.after(original, about, q.Choice == proofbox.Drop))
}

// after gives what is remembered after a choice.
func (s storedRejections) after(original string, about []rejection, drop bool) storedRejections {
	now := map[rejection]bool{}
	for _, x := range about {
		now[x.ofAnyRun()] = true
	}
	s.Original = original
	s.Rejections = slices.DeleteFunc(s.Rejections, func(x rejection) bool { return now[x.ofAnyRun()] })
	if drop {
		s.Rejections = append(s.Rejections, about...)
	}
	s.Rejections = s.Rejections[max(0, len(s.Rejections)-maxRejections):]
	return s
}

func (x rejection) ofAnyRun() rejection {
	x.Run = ""
	return x
}

// save writes the file whole, so that a crash leaves the old or the new.
func (r *Rejections) save(stored storedRejections) error {
	data, err := json.Marshal(stored)
	if err == nil && len(data) > maxRejectionFile {
		stored.Rejections = stored.Rejections[len(stored.Rejections)/2:] // paths are long there
		return r.save(stored)
	}
	path := filepath.Join(r.dir, r.name)
	if err == nil {
		err = writeSynced(path+".new", data)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("remembering what was decided against: %w", explain(err))
	}
	return nil
}

// rejections gives what a choice is about.
func (c *Changes) rejections(run string, q proofbox.ChoiceRequest) (list []rejection, err error) {
	if len(q.Paths) > 0 {
		selected, err := c.Select(q.Paths)
		if err != nil {
			return nil, err
		}
		for _, change := range selected {
			list = append(list, rejection{run, change.Path, outcome(change)})
			if len(selected) > maxByHunk {
				continue
			}
			hunks, err := c.Hunks(change)
			if err != nil {
				return nil, err
			}
			for _, h := range hunks {
				list = append(list, rejection{run, change.Path, h.Hash})
			}
		}
	}
	for _, ref := range q.Hunks {
		if len(ref.Lines) > 0 {
			continue // a part of a hunk is no hunk of a later run
		}
		change, h, err := c.hunkAt(ref)
		if err != nil {
			return nil, err
		}
		list = append(list, rejection{run, change.Path, h.Hash})
	}
	return list, nil
}

// outcome is a hash of what a change makes of its path, and of what goes where that
// is nothing.
func outcome(c proofbox.Change) string {
	e := c.After
	if e.Kind == proofbox.Absent {
		e = c.Before
	}
	return hashOf(fmt.Sprintf("%s %s %o %d %s %q", c.After.Kind, e.Kind, e.Mode, e.Size, e.Digest, e.Target))
}

// Tell marks the changes, and those of their hunks that are given, which were
// decided against in an earlier run. The list is the caller's own.
func (r *Rejections) Tell(run string, changes []proofbox.Change) error {
	stored, err := r.read()
	if err != nil || len(stored.Rejections) == 0 {
		return err
	}
	last := map[rejection]string{} // the run that has decided last
	for _, x := range stored.Rejections {
		if x.Run != run {
			last[x.ofAnyRun()] = x.Run
		}
	}
	paths := map[proofbox.Raw]bool{}
	for x := range last {
		paths[x.Path] = true
	}
	for i := range changes {
		c := &changes[i]
		if !paths[c.Path] {
			continue
		}
		c.Rejected = last[rejection{Path: c.Path, Hash: outcome(*c)}]
		for j := range c.Hunks {
			if c.Hunks[j].Rejected = last[rejection{Path: c.Path, Hash: c.Hunks[j].Hash}]; c.Rejected != "" {
				c.Hunks[j].Rejected = c.Rejected
			}
		}
	}
	return nil
}
