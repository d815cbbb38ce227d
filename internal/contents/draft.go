package contents

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox"
)

// draft is a folder beside a path, in which what will be there is made. It is in the journal before it is there.
//
// Nobody but its maker may take it away while the maker, or a program that works for it, lives. Both hold a lock that
// the kernel takes from them when they end, however they do: the maker one on the entry of the journal, whoever
// writes to the folder a shared one on that ([Hold]). Who gets both locks takes the draft away ([Keeper.sweep]).
type draft struct {
	draftEntry
	journal       string
	entry, folder *os.File
	list          string // the blind list that was made for it; empty for none
}

// draftEntry is what the journal says of a draft.
type draftEntry struct {
	Folder     string   `json:"folder"`
	Out        string   `json:"out"`
	Companions []string `json:"companions"` // what is beside the set, by what its name has behind the set's
}

// listEntry is what the journal says, behind that, of a blind list that is made for a draft.
type listEntry struct {
	List string `json:"list"`
}

// draftPrefix begins the names of drafts.
const draftPrefix = ".proofbox-draft-"

// draft makes one for what will be at a path, where nothing is. Drafts that nobody works at any more are taken away
// first.
func (k *Keeper) draft(out string, companions ...string) (*draft, error) {
	if k.Drafts == "" {
		panic("contents: a keeper that makes something has no journal")
	}
	out, err := filepath.Abs(out)
	if err != nil {
		return nil, fmt.Errorf("looking for the output: %w", err)
	}
	journal, err := k.lockDrafts()
	if err != nil {
		return nil, err
	}
	defer journal.Close()
	if err := errors.Join(k.sweep(), vacant(out, companions)); err != nil {
		return nil, err
	}
	name := draftPrefix + rand.Text()
	d := &draft{
		draftEntry: draftEntry{Folder: filepath.Join(filepath.Dir(out), name), Out: out, Companions: companions},
		journal:    filepath.Join(k.Drafts, name),
	}
	if err := d.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("making a folder beside %q: %w", out, err), d.close())
	}
	return d, nil
}

// lockDrafts has nobody else make or sweep drafts until the file is closed.
func (k *Keeper) lockDrafts() (*os.File, error) {
	if err := os.MkdirAll(k.Drafts, 0o700); err != nil {
		return nil, fmt.Errorf("opening the journal of drafts: %w", err)
	}
	f, err := os.Open(k.Drafts)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the journal of drafts: %w", err)
	}
	return f, nil
}

// vacant refuses a path where something is.
func vacant(out string, companions []string) error {
	for _, end := range append([]string{""}, companions...) {
		if _, err := os.Lstat(out + end); err == nil {
			return fmt.Errorf("%q is there already; name a path that is not", out+end)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("looking for the output: %w", err)
		}
	}
	return nil
}

// open writes the entry, and makes the folder.
func (d *draft) open() error {
	data, err := json.Marshal(d.draftEntry)
	if err != nil {
		return err
	}
	if d.entry, err = os.OpenFile(d.journal, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	_, err = d.entry.Write(data)
	err = errors.Join(err, unix.Flock(int(d.entry.Fd()), unix.LOCK_EX|unix.LOCK_NB), d.entry.Sync(), synced(filepath.Dir(d.journal)))
	if err != nil {
		return err
	}
	if err := os.Mkdir(d.Folder, 0o700); err != nil {
		return err
	}
	d.folder, err = Hold(d.Folder)
	return err
}

// Hold says that somebody works in the folder of a draft, until the file is closed or the process ends.
func Hold(folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("holding %q: %w", folder, err), f.Close())
	}
	return f, nil
}

// synced has what was done to the names in a folder kept where the power fails.
func synced(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// set is where the set is made.
func (d *draft) set() string { return filepath.Join(d.Folder, filepath.Base(d.Out)) }

// place moves what was made to where it belongs: first what is beside the set, because that without a set is
// refused, and then the set. Where something is there by now, or the move fails, all is as it was.
func (d *draft) place() error {
	var placed []string
	err := func() error {
		for _, end := range d.Companions {
			if _, err := os.Lstat(d.set() + end); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err := os.Link(d.set()+end, d.Out+end); err != nil {
				return err
			}
			placed = append(placed, d.Out+end)
		}
		return moved(d.set(), d.Out)
	}()
	if err == nil {
		return nil
	}
	for _, path := range placed {
		err = errors.Join(err, os.Remove(path))
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("something has appeared at %q meanwhile, which is left as it is: %w", d.Out, err)
	}
	return fmt.Errorf("putting %q in its place: %w", d.Out, err)
}

// moved renames to a path where nothing is. File systems that cannot promise that have a moment in which something
// may appear there.
func moved(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if err := vacant(to, nil); err != nil {
		return errors.Join(fs.ErrExist, err)
	}
	return os.Rename(from, to)
}

// keep puts a blind list where it belongs, and into the journal before. One that is there is another set's with the same
// bytes: it is left, or replaced where it is not the same list.
func (d *draft) keep(list, to string) error {
	data, err := os.ReadFile(list)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err != nil {
		return fmt.Errorf("keeping the blind list: %w", err)
	}
	if there, err := os.ReadFile(to); err == nil && bytes.Equal(there, data) {
		return nil
	} else if errors.Is(err, fs.ErrNotExist) {
		if err := d.noteList(to); err != nil {
			return fmt.Errorf("keeping the blind list: %w", err)
		}
	}
	temp := d.unkept(to)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keeping the blind list: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(temp, to)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keeping the blind list: %w", err), ignoreMissing(os.Remove(temp)))
	}
	return nil
}

// unkept is the name of a blind list until it is whole.
func (d *draft) unkept(list string) string {
	return filepath.Join(filepath.Dir(list), filepath.Base(d.Folder))
}

func (d *draft) noteList(list string) error {
	list, err := filepath.Abs(list)
	if err != nil {
		return err
	}
	data, err := json.Marshal(listEntry{list})
	if err != nil {
		return err
	}
	d.list = list
	_, err = d.entry.Write(data)
	return errors.Join(err, d.entry.Sync())
}

// forget takes away the blind list of a set that has found no place.
func (d *draft) forget() error {
	if d.list == "" {
		return nil
	}
	err := errors.Join(ignoreMissing(os.Remove(d.unkept(d.list))), ignoreMissing(os.Remove(d.list)))
	if err == nil {
		d.list = ""
	}
	return err
}

// close takes the draft away, and then its entry.
func (d *draft) close() error {
	err := d.clear()
	if d.folder != nil {
		err = errors.Join(err, d.folder.Close())
	}
	if err == nil {
		err = ignoreMissing(os.Remove(d.journal))
	}
	if d.entry != nil {
		err = errors.Join(err, d.entry.Close())
	}
	return err
}

// clear takes away the folder, and what is beside a set that was not moved to its place any more, or kept for it.
func (d *draft) clear() error {
	if _, err := os.Lstat(d.set()); err == nil {
		for _, end := range d.Companions {
			made, err := os.Lstat(d.set() + end)
			if err != nil {
				continue // there is none
			}
			if there, err := os.Lstat(d.Out + end); err == nil && os.SameFile(made, there) {
				if err := os.Remove(d.Out + end); err != nil {
					return err
				}
			}
		}
		if err := d.forget(); err != nil {
			return err
		}
	}
	return os.RemoveAll(d.Folder)
}

// sweep takes away the drafts in the journal that nobody works at any more.
func (k *Keeper) sweep() error {
	entries, err := os.ReadDir(k.Drafts)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range entries {
		if err := abandoned(filepath.Join(k.Drafts, e.Name())); err != nil {
			return fmt.Errorf("taking away what an earlier command has left: %w", err)
		}
	}
	return nil
}

// abandoned takes a draft away, unless somebody holds it.
func abandoned(journal string) error {
	entry, err := os.Open(journal)
	if err != nil {
		return ignoreMissing(err)
	}
	d := &draft{journal: journal, entry: entry}
	if unix.Flock(int(entry.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return entry.Close() // its maker lives
	}
	in := json.NewDecoder(entry)
	if err := in.Decode(&d.draftEntry); err != nil || filepath.Base(d.Folder) != filepath.Base(journal) || filepath.Dir(d.Folder) != filepath.Dir(d.Out) {
		return errors.Join(os.Remove(journal), entry.Close()) // its maker was killed before it made anything
	}
	var list listEntry
	if in.Decode(&list) == nil { // else there is none, or its maker was killed before it made it
		d.list = list.List
	}
	if d.folder, err = os.Open(d.Folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(entry.Close(), err)
	}
	if d.folder != nil && unix.Flock(int(d.folder.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return errors.Join(d.folder.Close(), entry.Close()) // a program still works in it
	}
	return d.close()
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// said gives an error of who works in a draft the names that the user knows.
func (d *draft) said(err error) error {
	tell := strings.NewReplacer(d.set(), d.Out, d.Folder+"/", filepath.Dir(d.Out)+"/", d.Folder, filepath.Dir(d.Out))
	if r, ok := errors.AsType[*proofbox.Refusal](err); ok {
		r.Reason = tell.Replace(r.Reason)
		return err
	}
	if err == nil || !strings.Contains(err.Error(), d.Folder) {
		return err
	}
	return errors.New(tell.Replace(err.Error()))
}
