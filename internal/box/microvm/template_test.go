package microvm_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/box/boxtest"
	"proofbox/internal/door"
)

// speak starts a box, runs a script in it and gives what it says.
func speak(t *testing.T, s boxtest.Suite, h *box.Host, script string) string {
	t.Helper()
	b, err := h.Start(t.Context(), s.Config(t, h, proofbox.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if account, err := b.Close(context.Background()); err != nil || !box.Clean(account) {
			t.Errorf("left: %+v, %v", account, err)
		}
	}()
	var out bytes.Buffer
	o := b.Run(t.Context(), door.Command{Args: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: box.Workdir}, box.Stdio{Stdout: &out}, nil)
	if o.ExitCode != 0 {
		t.Fatalf("%+v", o)
	}
	return out.String()
}

// templates lists the templates of a host.
func templates(t *testing.T, h *box.Host) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(h.State, "cache", "templates", "*", "manifest"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range dirs {
		dirs[i] = filepath.Dir(dirs[i])
	}
	return dirs
}

// TestContinuedGuestsDiffer looks, in two boxes of one template, for what must
// not be the same, and for the time.
func TestContinuedGuestsDiffer(t *testing.T) {
	s := suite(t)
	h := s.Host(t)
	const script = `date +%s; hostname; head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid`
	first := strings.Split(speak(t, s, h, script), "\n")
	second := strings.Split(speak(t, s, h, script), "\n")
	for i, name := range []string{"", "", "random bytes", "boot ID", "UUID"} {
		if name != "" && first[i] == second[i] {
			t.Errorf("both have the %s %q", name, first[i])
		}
	}
	clock, err := strconv.ParseInt(second[0], 10, 64)
	if off := time.Since(time.Unix(clock, 0)); err != nil || off.Abs() > time.Minute {
		t.Errorf("the clock says %q, which is off by %v, %v", second[0], off, err)
	}
	if second[1] != "box" {
		t.Errorf("its name is %q", second[1])
	}
}

// TestAlteredTemplates changes each file of a template: it must not be used any
// more, and be made anew.
func TestAlteredTemplates(t *testing.T) {
	long(t)
	s := suite(t)
	s.State = t.TempDir()
	h := s.Host(t)
	speak(t, s, h, `true`)
	for _, name := range []string{"memory", "device", "scratch", "manifest"} {
		dirs := templates(t, h)
		if len(dirs) != 1 {
			t.Fatalf("the templates are %q", dirs)
		}
		path := filepath.Join(dirs[0], name)
		altered := alter(t, path)
		speak(t, s, h, `true`)
		if changed(t, path) == altered {
			t.Errorf("an altered %s was used again", name)
		}
	}
}

// changed is a file's change time, which a new file does not have of an old one,
// as it may have its inode.
func changed(t *testing.T, path string) unix.Timespec {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ctim
}

// alter changes one byte in the middle of a file, and gives it its old time. It
// gives its new change time.
func alter(t *testing.T, path string) unix.Timespec {
	t.Helper()
	was, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, was.Size()/2); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, was.Size()/2); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, was.ModTime(), was.ModTime()); err != nil {
		t.Fatal(err)
	}
	return changed(t, path)
}

// TestTemplateIsMadeOnce starts two boxes at once that need the same template,
// which a maker that died has left half made.
func TestTemplateIsMadeOnce(t *testing.T) {
	long(t)
	s := suite(t)
	s.State = t.TempDir()
	h := s.Host(t)
	configs := []box.Config{s.Config(t, h, proofbox.Limits{}), s.Config(t, h, proofbox.Limits{})}
	errs := make(chan error, len(configs))
	for _, c := range configs {
		go func() {
			b, err := h.Start(t.Context(), c)
			if err == nil {
				_, err = b.Close(context.Background())
			}
			errs <- err
		}()
	}
	for range configs {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	dirs := templates(t, h)
	if len(dirs) != 1 {
		t.Fatalf("the templates are %q", dirs)
	}
	half := dirs[0] + ".new"
	if err := os.Rename(dirs[0], half); err != nil {
		t.Fatal(err)
	}
	speak(t, s, h, `true`)
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("what was half made is left: %v", err)
	}
}

// TestGuestLimits runs into the limits that a guest's own kernel holds.
func TestGuestLimits(t *testing.T) {
	s := suite(t)
	h := s.Host(t)
	for limit, script := range map[string]string{
		"memory limit 48MiB": `head -c 100m /dev/zero | tail >/dev/null; exit 1`,
		"pids limit 24":      `i=0; while [ $i -lt 40 ]; do sleep 100 & i=$((i+1)); done; exit 1`,
	} {
		b, err := h.Start(t.Context(), s.Config(t, h, proofbox.Limits{Memory: 48 << 20, Pids: 24}))
		if err != nil {
			t.Fatal(err)
		}
		o := b.Run(t.Context(), door.Command{Args: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: box.Workdir}, box.Stdio{}, nil)
		if o.Ended != limit {
			t.Errorf("%s: %+v", limit, o)
		}
		if account, err := b.Close(context.Background()); err != nil || !box.Clean(account) {
			t.Errorf("left: %+v, %v", account, err)
		}
	}
}

// TestSignedByAnother lets a template that another proofbox has made lie where
// this one's would.
func TestSignedByAnother(t *testing.T) {
	long(t)
	s := suite(t)
	s.State = t.TempDir()
	h := s.Host(t)
	speak(t, s, h, `true`)
	if err := os.RemoveAll(filepath.Join(s.State, "keys")); err != nil {
		t.Fatal(err)
	}
	other := s.Host(t)
	other.BootLimit = time.Millisecond
	// A guest would have to be booted, for which there is no time.
	if _, err := other.Start(t.Context(), s.Config(t, other, proofbox.Limits{})); err == nil || !strings.Contains(err.Error(), "did not boot") && !strings.Contains(err.Error(), other.BootLimit.String()) {
		t.Errorf("a template with another's signature was used: %v", err)
	}
}
