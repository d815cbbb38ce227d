package contents

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"proofbox"
	"proofbox/internal/audit"
)

// watching starts a watch whose alarms arrive on a channel.
func watching(t *testing.T, written *os.File) (*Watch, chan *proofbox.Refusal) {
	t.Helper()
	alarms := make(chan *proofbox.Refusal, 10)
	w, err := program.Watch(Watching{
		Class: proofbox.Synthetic, Written: written, Name: func(s string) string { return "/" + s },
		Alarm: func(r *proofbox.Refusal) { alarms <- r },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = w.Close() })
	return w, alarms
}

func rows(host string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d,somebody%d@%s,%d.50\n", i, i, host, i)
	}
	return b.String()
}

// TestWatchStream: synthetic records come through as they are, and of an export
// nothing does from the piece on that has its fifth record.
func TestWatchStream(t *testing.T) {
	t.Parallel()
	w, alarms := watching(t, nil)
	for range 2 { // five different streams have the same road
		text := rows("shop.example", 3000)
		if got, err := io.ReadAll(w.Reader("a road", strings.NewReader(text))); err != nil || string(got) != text {
			t.Fatalf("%d of %d bytes came through: %v", len(got), len(text), err)
		}
	}
	if got, err := io.ReadAll(w.Reader("a road", strings.NewReader(rows("gmail.com", 4)))); err != nil || len(got) == 0 {
		t.Fatalf("four records: %d bytes, %v", len(got), err)
	}
	select {
	case r := <-alarms:
		t.Fatalf("four records raise an alarm: %v", r)
	default:
	}
	got, err := io.ReadAll(w.Reader("another", strings.NewReader(strings.ReplaceAll(rows("gmail.com", 100), "some", "any"))))
	refused(t, err, "synthetic-is-nobodys", "5 of 6005 records", `"another"`)
	if len(got) > 0 {
		t.Errorf("%d bytes of the export came through", len(got))
	}
	refused(t, <-alarms, "synthetic-is-nobodys")
	if got, err := io.ReadAll(w.Reader("a third", strings.NewReader("x"))); err == nil || len(got) > 0 {
		t.Error("after the alarm a road is still open")
	}
	later, err := w.Close()
	if err != nil || !later.Stopped || later.Untagged != 5 || later.Records != 6005 || len(later.Roads) != 2 {
		t.Errorf("the account is %+v, %v", later, err)
	}
}

// TestWatchWritten: the same for what the box writes.
func TestWatchWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	w, alarms := watching(t, folder)
	write(t, filepath.Join(dir, "made", "a.csv"), rows("shop.example", 100))
	w.Written()
	write(t, filepath.Join(dir, "made", "b.csv"), rows("gmail.com", 100))
	w.Written()
	refused(t, <-alarms, "synthetic-is-nobodys", `"written to /made/b.csv"`)
}

// TestWatchBroken: that what looks at records dies is an alarm, and no
// permission.
func TestWatchBroken(t *testing.T) {
	t.Parallel()
	w, alarms := watching(t, nil)
	if err := w.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(w.Reader("a road", strings.NewReader("x\n")))
	refused(t, err, "contents-are-watched")
	if len(got) > 0 {
		t.Error("the piece came through")
	}
	refused(t, <-alarms, "contents-are-watched")
	if _, err := w.Close(); err != nil {
		t.Error(err)
	}
}

// mounted freezes a sealed set and watches the copy.
func mounted(t *testing.T, key *audit.Key) (*Mount, string, chan *proofbox.Refusal) {
	t.Helper()
	dir, to := sealed(t, key), filepath.Join(t.TempDir(), "copy")
	v, err := keeper(key).Freeze(t.Context(), dir, proofbox.Synthetic, to, now)
	if err != nil {
		t.Fatal(err)
	}
	alarms := make(chan *proofbox.Refusal, 10)
	m, err := keeper(key).Mount(to, v.Seal, func(r *proofbox.Refusal) { alarms <- r })
	if err != nil {
		t.Fatal(err)
	}
	return m, to, alarms
}

// TestMountOpened: what is opened, and what is read, is told apart.
func TestMountOpened(t *testing.T) {
	t.Parallel()
	m, to, _ := mounted(t, newKey(t))
	f, err := os.Open(filepath.Join(to, "sub", "b.txt"))
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(filepath.Join(to, "a.csv")); err != nil {
		t.Fatal(err)
	}
	opened, unwatched, after := m.Close()
	if len(opened) != 2 || opened[0].Name != "a.csv" || !opened[0].Read || opened[1].Name != "sub/b.txt" || opened[1].Read {
		t.Errorf("opened are %+v", opened)
	}
	if unwatched != "" || after != "unchanged" {
		t.Errorf("%q, %q", unwatched, after)
	}
}

// TestMountChanged: whatever is done to the copy, the alarm says which record it brought.
func TestMountChanged(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for name, attack := range map[string]func(t *testing.T, to string){
		"written over": func(t *testing.T, to string) {
			path := filepath.Join(to, "a.csv")
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
			write(t, path, export)
		},
		"put in its place": func(t *testing.T, to string) {
			write(t, filepath.Join(filepath.Dir(to), "new"), export)
			if err := os.Rename(filepath.Join(filepath.Dir(to), "new"), filepath.Join(to, "a.csv")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, to, alarms := mounted(t, key)
			attack(t, to)
			refused(t, <-alarms, "contents-as-sealed", "a.csv", "was changed")
			refused(t, <-alarms, "contents-as-sealed", "a.csv", "was changed", "record 4")
			if _, _, after := m.Close(); after != "changed" {
				t.Errorf("afterwards it is %q", after)
			}
		})
	}
}

// TestUnwatchedIsBounded: a box can think of many names, and of one many times.
func TestUnwatchedIsBounded(t *testing.T) {
	w := &Watch{}
	for i := range 10 * maxUnwatched {
		w.Miss("once")
		w.Miss(strconv.Itoa(i))
	}
	if n := len(w.later.Unwatched); n != maxUnwatched+1 || w.later.Unwatched[n-1] != "more than that, of which not all is named" {
		t.Errorf("%d are named, the last one %q", n, w.later.Unwatched[n-1])
	}
}
