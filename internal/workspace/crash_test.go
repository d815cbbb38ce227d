package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
// command the original is all old or all new, and nothing else is in it.
func TestKilledKeepIsAllOrNothing(t *testing.T) {
	t.Parallel()
	strace := needStrace(t)
	for _, verb := range []string{"keep", "undo"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			old, neu, killed := 0, 0, 0
			for _, call := range mutating {
				for n := 1; ; n++ {
					died, isNew := killAt(t, strace, verb, call, n)
					if !died {
						break
					}
					if killed++; isNew {
						neu++
					} else {
						old++
					}
				}
			}
			t.Logf("%d times killed: %d old, %d new", killed, old, neu)
			if old == 0 || neu == 0 {
				t.Errorf("%d times all is old, %d times new: the kills do not surround the commit", old, neu)
			}
		})
	}
}

// killAt lets a process keep or undo and kills it as it enters a system call for
// the nth time.
func killAt(t *testing.T, strace, verb, call string, n int) (died, isNew bool) {
	t.Helper()
	s := crashSite(t)
	old := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
	if verb == "undo" {
		_, err := s.keep(value[*Changes](t)(Load(s.store)))
		must(t, err)
	}
	was := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
	cmd := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call,
		"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n), os.Args[0])
	cmd.Env = append(os.Environ(), crashStore+"="+s.store, crashOriginal+"="+s.original, crashVerb+"="+verb, "GOMAXPROCS=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	died = killedBy(err)
	if err != nil && !died {
		t.Fatalf("%s, %s %d: %v\n%s", verb, call, n, err, &out)
	}
	c := value[*Changes](t)(Load(s.store))
	_, err = c.Recover()
	must(t, err)
	is := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
	want := map[string]map[proofbox.Raw]proofbox.Entry{"keep": value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.upper)), "undo": old}[verb]
	switch {
	case cmp.Equal(is, want):
		isNew = true
	case !cmp.Equal(is, was):
		t.Fatalf("%s killed at %s %d: the original is neither old nor new (-old +is)\n%s", verb, call, n, cmp.Diff(was, is))
	case !died:
		t.Fatalf("%s was not killed, and the original is old", verb)
	}
	// What the store says of itself is true too.
	kept, _ := value[*Changes](t)(Load(s.store)).Kept()
	if (kept > 0) != (isNew == (verb == "keep")) {
		t.Fatalf("%s killed at %s %d: %d changes are kept, it says; the original is new: %t", verb, call, n, kept, isNew)
	}
	return died, isNew
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
	r := value[*record](t)(c.readRecord("000001.json"))
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
