package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox"
)

// Variables that make this test binary a process that keeps or undoes, to be
// killed; see TestKilledKeepIsAllOrNothing.
const (
	crashStore    = "PROOFBOX_TEST_STORE"
	crashOriginal = "PROOFBOX_TEST_ORIGINAL"
	crashVerb     = "PROOFBOX_TEST_VERB"
)

// keepAndExit does what the variables say, where they say something.
func keepAndExit() {
	store := os.Getenv(crashStore)
	if store == "" {
		return
	}
	if err := crashing(store, os.Getenv(crashOriginal), os.Getenv(crashVerb)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// crashing does its work on one thread, whose system calls are counted.
func crashing(store, original, verb string) error {
	runtime.LockOSThread()
	c, err := Load(store)
	if err != nil {
		return err
	}
	if verb == "undo" {
		_, err = c.Undo(context.Background(), UndoOptions{Original: original})
	} else {
		_, err = c.Keep(context.Background(), KeepOptions{Original: original, KeepRequest: proofbox.KeepRequest{All: true}})
	}
	return err
}

// mutating are the system calls by which a keep changes a disk, or waits for it.
var mutating = []string{
	"renameat2", "renameat", "unlinkat", "mkdirat", "symlinkat", "fchmodat", "fchownat", "fsetxattr",
	"copy_file_range", "ftruncate", "ioctl", "write", "syncfs", "fsync",
}

// TestKilledKeepIsAllOrNothing kills a keep, and an undo, as it enters each of
// its system calls that change the disk, one after the other. After the next
// command the original is all old or all new, and nothing else is in it. The same
// must hold where the power is lost at that moment, see lossy.
func TestKilledKeepIsAllOrNothing(t *testing.T) {
	t.Parallel()
	needStrace(t)
	for _, verb := range []string{"keep", "undo"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, verb)
			disk := newLossy(l.was)
			killed, lost := tally{}, tally{}
			for _, c := range l.trace(t) {
				now := l.killAt(t, c)
				killed.add(l.recovered(t, fmt.Sprintf("%s was killed at %s %d", verb, c.name, c.n)))
				for n := range variants {
					l.restore(t, disk.loss(now, n))
					lost.add(l.recovered(t, fmt.Sprintf("%s lost its power at %s %d, in variant %d", verb, c.name, c.n, n)))
				}
				disk.note(c, now)
			}
			for what, n := range map[string]tally{"killed": killed, "without power": lost} {
				t.Logf("%s: %d old, %d new", what, n[false], n[true])
				if n[false] == 0 || n[true] == 0 {
					t.Errorf("%s: %d times all is old, %d times new: that does not surround the commit", what, n[false], n[true])
				}
			}
		})
	}
}

// tally counts how often all was new, and how often it was old.
type tally map[bool]int

func (n tally) add(isNew bool) { n[isNew]++ }

// lab is a folder in which a keep or an undo is done again and again.
type lab struct {
	verb, dir string
	strace    string
	was       image // before it
	old, neu  map[proofbox.Raw]proofbox.Entry
}

// newLab prepares a keep once, in memory where the host has a place for that: the
// disk is what is simulated.
func newLab(t *testing.T, verb string) *lab {
	t.Helper()
	s := crashSite(t)
	dir, err := os.MkdirTemp("/dev/shm", "proofbox-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	l := &lab{verb: verb, dir: dir, strace: needStrace(t)}
	l.restore(t, takeImage(t, filepath.Dir(s.original)))
	untouched := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(l.original()))
	if verb == "undo" {
		must(t, crashing(l.store(), l.original(), "keep"))
	}
	l.was = takeImage(t, dir)
	l.old = value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(l.original()))
	l.neu = untouched
	if verb == "keep" {
		l.neu = value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.upper))
	}
	return l
}

func (l *lab) original() string { return l.dir + "/original" }
func (l *lab) store() string    { return l.dir + "/store" }

// command is the process that keeps or undoes.
func (l *lab) command(t *testing.T, options ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(l.strace, append(append([]string{"-f", "-qq"}, options...), os.Args[0])...)
	cmd.Env = append(os.Environ(), crashStore+"="+l.store(), crashOriginal+"="+l.original(), crashVerb+"="+l.verb, "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// call is one system call of the process: the nth of its name.
type call struct {
	name string
	n    int
	line string // as strace(1) shows it, with the paths of descriptors
}

// trace lists the calls that change the disk or wait for it, in their order.
func (l *lab) trace(t *testing.T) (list []call) {
	t.Helper()
	l.restore(t, l.was)
	file := filepath.Join(t.TempDir(), "trace")
	if out, err := l.command(t, "-y", "-s", "4096", "-o", file, "-e", "trace="+strings.Join(mutating, ",")); err != nil {
		t.Fatalf("%s: %v\n%s", l.verb, err, out)
	}
	count := map[string]int{}
	for line := range strings.Lines(string(value[[]byte](t)(os.ReadFile(file)))) {
		_, text, _ := strings.Cut(line, " ")
		name, _, ok := strings.Cut(strings.TrimSpace(text), "(")
		if ok && slices.Contains(mutating, name) {
			count[name]++
			list = append(list, call{name, count[name], strings.TrimSpace(text)})
		}
	}
	if len(list) < 20 {
		t.Fatalf("%s makes %d calls that change the disk", l.verb, len(list))
	}
	return list
}

// killAt does it once more from the beginning, kills it as it enters a call, and
// gives what there is then.
func (l *lab) killAt(t *testing.T, c call) image {
	t.Helper()
	l.restore(t, l.was)
	out, err := l.command(t, "-o", "/dev/null", "-e", "trace="+c.name, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", c.name, c.n))
	if !killedBy(err) {
		t.Fatalf("%s was not killed at %s %d: %v\n%s", l.verb, c.name, c.n, err, out)
	}
	return takeImage(t, l.dir)
}

// recovered lets the next command clean up, and says whether all is new; if it is
// neither new nor old, the test has failed.
func (l *lab) recovered(t *testing.T, when string) (isNew bool) {
	t.Helper()
	c, err := Load(l.store())
	if err == nil {
		_, err = c.Recover()
	}
	if err != nil {
		t.Fatalf("%s: the next command: %v", when, err)
	}
	is := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(l.original()))
	if isNew = cmp.Equal(is, l.neu); !isNew && !cmp.Equal(is, l.old) {
		t.Fatalf("%s: the original is neither old nor new (-old +is)\n%s", when, cmp.Diff(l.old, is))
	}
	// What the store says of itself is true too.
	kept, _ := value[*Changes](t)(Load(l.store())).Kept()
	if (kept > 0) != (isNew == (l.verb == "keep")) {
		t.Fatalf("%s: %d changes are kept, it says; the original is new: %t", when, kept, isNew)
	}
	return isNew
}

func killedBy(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && (status.Signaled() && status.Signal() == syscall.SIGKILL || status.ExitStatus() == 128+int(syscall.SIGKILL))
}

// crashSite has a change of each way that a keep goes through, in few paths.
func crashSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t, map[string]string{"text": "1\n", "gone/file": "x", "to folder": "x", "from folder/file": "x", "mode/file": "x"})
	s.freeze(t, false)
	must(t, os.RemoveAll(s.upper))
	plant(t, filepath.Dir(s.upper), map[string]string{
		"upper/text": "1\n2\n", "upper/to folder/file": "y", "upper/from folder": "y", "upper/link": "→text", "upper/mode/file": "x",
	})
	must(t, os.Chmod(s.upper+"/mode", 0o700))
	must(t, setOpaque(s.upper))
	s.collect(t)
	return s
}

func needStrace(t *testing.T) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err == nil {
		err = exec.Command(strace, "-qq", "-o", "/dev/null", "-e", "inject=write:signal=KILL:when=1", "echo").Run()
	}
	if killedBy(err) {
		return strace
	}
	missing(t, "strace", fmt.Sprintf("no process can be killed at a system call: %v", err))
	return ""
}

// TestJournalThatWasAlteredIsNotReplayed: a journal is as suspicious as all that
// is read back.
func TestJournalThatWasAlteredIsNotReplayed(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2"})
	c := s.collect(t)
	_, err := s.keep(c)
	must(t, err)
	path := c.recordPath(1)
	data := string(value[[]byte](t)(os.ReadFile(path)))
	for old, with := range map[string]string{
		`"path":"a"`: `"path":"../a"`, `"stage":"finished"`: `"stage":"done"`, `"n":1`: `"n":2`, `"version":2`: `"version":3`,
		`"temp":".proofbox-`: `"temp":"x.proofbox-`, `"nonce":"`: `"nonce":"/`, `"original":"/`: `"original":"`, `"digest":"sha256:`: `"digest":"md5:`,
	} {
		altered := strings.Replace(data, old, with, 1)
		if altered == data {
			t.Errorf("%s is not in the journal", old)
		}
		must(t, os.WriteFile(path, []byte(altered), 0o600))
		if _, err := s.undo(c); err == nil {
			t.Errorf("a journal with %s was replayed", with)
		}
	}
	wantTree(t, s.original, map[string]string{"a": "2"})
}

// TestInterruptedKeepLeavesWhatSomebodyElseHasChanged: what is neither old nor
// new belongs to somebody else.
func TestInterruptedKeepLeavesWhatSomebodyElseHasChanged(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1", "b": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2", "b": "2"})
	c := s.collect(t)
	_, err := s.keep(c)
	must(t, err)
	r := value[*record](t)(c.readRecord(1))
	must(t, c.enter(r, committed)) // as if it had been killed just now
	plant(t, s.original, map[string]string{"a": "1", "b": "mine"})
	c = value[*Changes](t)(Load(s.store))
	if found, err := c.Recover(); err != nil || !found {
		t.Fatalf("found: %t, %v", found, err)
	}
	wantTree(t, s.original, map[string]string{"a": "2", "b": "mine"})
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], `"b"`) {
		t.Errorf("the warnings are %q", w)
	}
}

// TestKeepOfABusyOriginalIsRefused: two keeps do not mix.
func TestKeepOfABusyOriginalIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2"})
	c := s.collect(t)
	other := value[*target](t)(openTarget(s.original))
	_, err := s.keep(c)
	if _, ok := errors.AsType[*BusyError](err); !ok {
		t.Errorf("the error is %v", err)
	}
	other.close()
	_, err = s.keep(c)
	must(t, err)
}
