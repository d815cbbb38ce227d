package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"proofbox/internal/audit"
)

// appender makes this test binary append events until it is killed; see
// TestKillNeverBreaksTheLog.
const appender = "PROOFBOX_TEST_APPEND"

func TestMain(m *testing.M) {
	if dir := os.Getenv(appender); dir != "" {
		appendForEver(dir)
	}
	os.Exit(m.Run())
}

func appendForEver(dir string) {
	l, err := open(dir)
	for i := 0; err == nil && i < 100_000; i++ {
		err = l.Append(contextOf(), audit.Event{Kind: "test", Run: fmt.Sprint(i), Detail: strings.Repeat("x", i%500)})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func open(dir string) (*audit.Log, error) {
	key, err := audit.OpenKey(filepath.Join(dir, "keys"))
	if err != nil {
		return nil, err
	}
	return audit.OpenLog(filepath.Join(dir, "log"), key)
}

func newLog(t *testing.T, events int) (dir string, l *audit.Log) {
	t.Helper()
	dir = t.TempDir()
	l, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := l.Append(t.Context(), audit.Event{Kind: "test", Run: fmt.Sprint(i), Detail: map[string]int{"n": i}}); err != nil {
			t.Fatal(err)
		}
	}
	return dir, l
}

func TestLogHoldsWhatWasAppended(t *testing.T) {
	t.Parallel()
	_, l := newLog(t, 20)
	n := int64(0)
	for e, err := range l.Events() {
		if err != nil || e.Index != n || e.Run != fmt.Sprint(n) || e.Time.IsZero() {
			t.Errorf("event %d is %+v, %v", n, e, err)
		}
		n++
	}
	report, err := l.Verify()
	if err != nil || report.Entries != 20 || n != 20 {
		t.Errorf("%d events, verified %+v, %v", n, report, err)
	}
}

// TestEveryAlteredByteIsFound changes any one byte of any file of the log, or
// cuts a file short, or adds to it.
func TestEveryAlteredByteIsFound(t *testing.T) {
	t.Parallel()
	dir, l := newLog(t, 7)
	rapid.Check(t, func(t *rapid.T) {
		name := filepath.Join(dir, "log", rapid.SampledFrom([]string{"records", "hashes", "head"}).Draw(t, "file"))
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := os.WriteFile(name, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		}()
		altered := append([]byte(nil), whole...)
		at := rapid.IntRange(0, len(whole)-1).Draw(t, "at")
		switch rapid.SampledFrom([]string{"flip", "cut", "insert", "remove"}).Draw(t, "how") {
		case "flip":
			altered[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		case "cut":
			altered = altered[:at]
		case "insert":
			altered = append(altered[:at], append([]byte{rapid.Byte().Draw(t, "byte")}, altered[at:]...)...)
		case "remove":
			altered = append(altered[:at], altered[at+1:]...)
		}
		if string(altered) == string(whole) {
			return
		}
		if err := os.WriteFile(name, altered, 0o600); err != nil {
			t.Fatal(err)
		}
		if report, err := l.Verify(); err == nil {
			t.Fatalf("verified as %+v", report)
		}
	})
	if _, err := l.Verify(); err != nil {
		t.Errorf("the log as it was: %v", err)
	}
}

func TestRemovedHeadIsFound(t *testing.T) {
	t.Parallel()
	dir, l := newLog(t, 3)
	if err := os.Remove(filepath.Join(dir, "log", "head")); err != nil {
		t.Fatal(err)
	}
	if report, err := l.Verify(); err == nil {
		t.Errorf("verified as %+v", report)
	}
}

// TestPlantedAppendIsNotFinished plants what looks like the append of a killed
// process. To finish it would sign what somebody else has written.
func TestPlantedAppendIsNotFinished(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(dir string) []byte{
		"unsigned record": func(string) []byte { return []byte(`{"kind":"keep","run":"forged"}` + "\n") },
		"unsigned head":   func(string) []byte { return []byte(`{"head":"Zm9yZ2Vk","record":"e30="}`) },
		"empty":           func(string) []byte { return nil },
		"own head, other record": func(dir string) []byte {
			data, err := json.Marshal(map[string][]byte{"head": read(t, filepath.Join(dir, "log", "head")), "record": []byte("{}")})
			if err != nil {
				t.Fatal(err)
			}
			return data
		},
	} {
		for _, headless := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, head removed %t", name, headless), func(t *testing.T) {
				t.Parallel()
				dir, l := newLog(t, 3)
				at := func(file string) string { return filepath.Join(dir, "log", file) }
				planted, before := plant(dir), read(t, at("records"))
				if err := os.WriteFile(at("pending"), planted, 0o600); err != nil {
					t.Fatal(err)
				}
				if headless {
					if err := os.Remove(at("head")); err != nil {
						t.Fatal(err)
					}
				}
				report, err := l.Verify()
				if _, altered := errors.AsType[*audit.AlteredError](err); !altered && (headless || name != "own head, other record") {
					t.Errorf("verified as %+v, %v", report, err)
				}
				if after := read(t, at("records")); !bytes.Equal(after, before) {
					t.Errorf("the records are now %s", after)
				}
			})
		}
	}
}

// TestUnreadableLogIsNotAnEmptyOne damages the log and lists it.
func TestUnreadableLogIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	for file, content := range map[string]string{"head": "", "records": "{}\n"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			dir, l := newLog(t, 3)
			if err := os.WriteFile(filepath.Join(dir, "log", file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range l.Events() {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), "proofbox log verify") {
				t.Errorf("listing ended with %v", last)
			}
		})
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestManyAppendAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const writers, each = 8, 25
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			l, err := open(dir) // each with a key that it opened itself
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				if err := l.Append(t.Context(), audit.Event{Kind: "test"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	l, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := l.Verify(); err != nil || report.Entries != writers*each {
		t.Errorf("verified %+v, %v", report, err)
	}
}

// TestKillNeverBreaksTheLog kills a process that appends, at moments that the
// scheduler chooses, and verifies each time.
func TestKillNeverBreaksTheLog(t *testing.T) {
	t.Parallel()
	dir, l := newLog(t, 1)
	last := int64(1)
	for round := range 25 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), appender+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for target := last + int64(round%5); entries(l) <= target && t.Context().Err() == nil; {
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the process ended by itself")
		}
		report, err := l.Verify()
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if report.Entries <= last {
			t.Errorf("round %d: %d entries, there were %d before", round, report.Entries, last)
		}
		last = report.Entries
	}
}

func entries(l *audit.Log) int64 {
	n := int64(0)
	for _, err := range l.Events() {
		if err == nil {
			n++
		}
	}
	return n
}
