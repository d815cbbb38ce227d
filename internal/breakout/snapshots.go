package breakout

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"proofbox"
	"proofbox/internal/box"
)

// snapshots is group M: what boxes are continued from, and what those that are
// continued from the same have in common.
func snapshots() []Probe {
	unwoken := Setting{Weakness: box.Weakness{Unwoken: true}}
	unguarded := Setting{Weakness: box.Weakness{Unguarded: true}}
	list := []Probe{
		{ID: "M2", Title: "have a clock that has stood still", Attack: []string{"clock"}, Oracle: staleClock(), Twin: unwoken},
		{ID: "M6a", Title: "alter the memory of a saved guest", Deed: altered("memory"), Twin: unguarded},
		{ID: "M6b", Title: "alter the state of a saved guest's devices", Deed: altered("device"), Twin: unguarded},
		{ID: "M6c", Title: "alter the disk of a saved guest", Deed: altered("scratch"), Twin: unguarded},
		{ID: "M6d", Title: "alter what a saved guest is said to be made of", Deed: altered("manifest"), Twin: unguarded},
		{ID: "M6e", Title: "put a saved guest of one's own in the place of the host's", Deed: foreign, Twin: unguarded},
		{ID: "M7", Title: "put an older disk beside the memory of a saved guest", Deed: outOfStep, Twin: unguarded},
		{ID: "M9", Title: "have a box with another limit continue from a saved guest", Deed: posed, Twin: unguarded},
		{ID: "M10", Title: "read the memory of a saved guest as another user of the host", Deed: readByAnother, Twin: unguarded},
	}
	for i := range list {
		list[i].Itself, list[i].UserOnly = true, true
		list[i].Not = map[proofbox.Wall]string{
			proofbox.Container: "no box behind this wall is continued from anything that was saved",
			proofbox.Gvisor:    "no box behind this wall is continued from anything that was saved",
		}
		if list[i].Deed != nil {
			list[i].Oracle = Oracle{Says: "whether a box would continue from it"}
		}
	}
	list[len(list)-1].Oracle.Says = "whether that user is given what is in the file"
	return append(list, alike()...)
}

// alike are the lines of the group that are about all walls, or about none.
func alike() []Probe {
	return []Probe{
		{ID: "M1", Title: "know another guest's random numbers", Not: nowhereFor("guests that nobody gives fresh randomness differ here all the same: their kernel seeds its generator again within a second. A test compares the numbers of continued guests")},
		{ID: "M3", Title: "find a secret in a saved guest", Not: nowhereFor("a guest is saved before any run has given it anything, and no setting of a trial saves a later one")},
		{ID: "M4", Title: "have the address of another guest", Not: nowhereFor("no machine has a network device: what leaves goes over the door, which is each guest's own")},
		{ID: "M5", Title: "go on with a connection that another guest has begun", Not: nowhereFor("a guest is saved before its door is opened, and has no connection else")},
		{ID: "M8", Title: "learn by its timing what others have in memory (KSM)", Attack: []string{"merge"}, Oracle: mergeable(), Twin: unfiltered(), Not: onlyKernel(), Monitor: true},
	}
}

// mergeable looks for memory of the box that the kernel may merge with that of
// others; see VmFlags in proc_pid_smaps(5).
func mergeable() Oracle {
	return during("whether memory of the box may be merged with that of others", func(a *attempt) (string, error) {
		return a.eachProcess(func(pid int) (string, error) {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
			if errors.Is(err, fs.ErrPermission) {
				return "", unseen(pid)
			}
			if err != nil {
				return "", nil // it has ended
			}
			for line := range strings.Lines(string(text)) {
				if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && slices.Contains(strings.Fields(flags), "mg") {
					return fmt.Sprintf("memory of process %d may be merged", pid), nil
				}
			}
			return "", nil
		})
	})
}

// posed gives a saved guest the name by which a box looks for one that has a
// larger disk.
func posed(a *attempt) (string, error) {
	return deed(a, func(saved *box.SavedCopy) error { return saved.Pose() })
}

// clockTime is how far a box's clock may be from the host's: an answer takes its
// time on an emulated processor.
const clockTime = 2 * time.Second

// staleClock compares a box's clock with the host's.
func staleClock() Oracle {
	return during(fmt.Sprintf("whether the box's clock is off by more than %v", clockTime), func(a *attempt) (string, error) {
		now := time.Now()
		if len(a.report.Got) != 1 {
			return "", errors.New("the box says no time")
		}
		nanos, err := strconv.ParseInt(a.report.Got[0], 10, 64)
		if err != nil {
			return "", fmt.Errorf("the box's time: %w", err)
		}
		if off := now.Sub(time.Unix(0, nanos)); off.Abs() > clockTime {
			return fmt.Sprintf("its clock is off by %v", off.Round(time.Millisecond)), nil
		}
		return "", nil
	})
}

// deed does something to a copy of what boxes are continued from, and says
// whether a box would still continue from it. A copy that nobody has touched
// must be one, or the deed proves nothing.
func deed(a *attempt, do func(saved *box.SavedCopy) error) (evidence string, err error) {
	saved, err := a.session.trial.Boxes.Saved(a.context, a.session.sitting.setting.Weakness)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(filepath.Dir(saved.Dir))) }()
	if whole, err := saved.Chosen(a.context); err != nil || !whole {
		return "", errors.Join(errors.New("a box would not continue from a copy that nobody has touched"), err)
	}
	if err := do(saved); err != nil {
		return "", fmt.Errorf("altering a saved guest: %w", err)
	}
	used, err := saved.Chosen(a.context)
	if used {
		evidence = "a box would continue from it"
	}
	return evidence, err
}

// altered turns over one bit in the middle of a file, and gives the file its old
// time.
func altered(name string) func(*attempt) (string, error) {
	return func(a *attempt) (string, error) {
		return deed(a, func(saved *box.SavedCopy) error { return flip(filepath.Join(saved.Dir, name)) })
	}
}

func flip(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b, at := []byte{0}, info.Size()/2
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

// foreign signs the manifest anew, by a key that is not the host's.
func foreign(a *attempt) (string, error) {
	return deed(a, func(saved *box.SavedCopy) error {
		path := filepath.Join(saved.Dir, "manifest")
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return err
		}
		signature := base64.StdEncoding.EncodeToString(ed25519.Sign(key, line))
		return os.WriteFile(path, fmt.Appendf(nil, "%s\n%s\n", line, signature), 0o600)
	})
}

// outOfStep puts another file, of the same bytes and time, in the place of the
// disk: what an older copy of it would be.
func outOfStep(a *attempt) (string, error) {
	return deed(a, func(saved *box.SavedCopy) error {
		path := filepath.Join(saved.Dir, "scratch")
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := os.Rename(path, path+".older"); err != nil {
			return err
		}
		if err := copyHoles(path+".older", path); err != nil {
			return err
		}
		return os.Chtimes(path, info.ModTime(), info.ModTime())
	})
}

func copyHoles(from, to string) error {
	// cp knows of holes; a disk is nearly nothing but holes.
	if out, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying a disk: %w: %s", err, out)
	}
	return nil
}

// nobody is the user of the host who owns nothing.
const nobody = 65534

// readByAnother has another user of the host read the beginning of a guest's memory.
// On the twin it lies where everybody can.
func readByAnother(a *attempt) (evidence string, err error) {
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("%w: another user of the host, whom only root can be", errLacking)
	}
	saved, err := a.session.trial.Boxes.Saved(a.context, a.session.sitting.setting.Weakness)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(filepath.Dir(saved.Dir))) }()
	path := filepath.Join(saved.Original, "memory")
	if a.session.sitting.setting.Unguarded {
		path = filepath.Join(a.stage.words["tmp-folder"], "memory-"+a.token)
		if err := errors.Join(copyHoles(filepath.Join(saved.Dir, "memory"), path), os.Chmod(path, 0o644)); err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, os.Remove(path)) }()
	}
	cmd := exec.CommandContext(a.context, "head", "-c", "16", path)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if got, _ := cmd.Output(); len(got) > 0 { // that it fails is how it is stopped
		evidence = fmt.Sprintf("user %d was given %d bytes of it", nobody, len(got))
	}
	return evidence, nil
}
