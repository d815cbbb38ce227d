package workspace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"proofbox"
)

// failer is a test, or one case of a property.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// value passes a value on, without its error.
func value[T any](t failer) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// plant fills a folder: a name that ends in "/" is a folder, a text that begins
// with "→" is a link, "FIFO" makes one, everything else is a file's text.
func plant(t failer, dir string, tree map[string]string) {
	t.Helper()
	for name, text := range tree {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch target, isLink := strings.CutPrefix(text, "→"); {
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(path, 0o755))
		case isLink:
			must(t, os.Symlink(target, path))
		case text == "FIFO":
			must(t, unix.Mkfifo(path, 0o644))
		default:
			must(t, os.WriteFile(path, []byte(text), 0o644))
		}
	}
}

// whiteout makes an overlay's mark for a path that is not there any more.
func whiteout(t failer, path string) {
	t.Helper()
	must(t, unix.Mknod(path, unix.S_IFCHR, 0))
}

// describeTree describes every path of a tree, as a change would.
func describeTree(dir string) (map[proofbox.Raw]proofbox.Entry, error) {
	found := map[proofbox.Raw]proofbox.Entry{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := proofbox.Entry{Kind: proofbox.Special, Mode: info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)}
		switch info.Mode().Type() {
		case fs.ModeDir:
			e.Kind = proofbox.Folder
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			e = proofbox.Entry{Kind: proofbox.Symlink, Target: proofbox.Raw(target)}
		case 0:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			e.Kind, e.Size, e.Digest = proofbox.File, info.Size(), digestText(string(data))
		}
		found[proofbox.Raw(strings.TrimPrefix(path, dir+"/"))] = e
		return nil
	})
	return found, err
}

func digestText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return digestPrefix + hex.EncodeToString(sum[:])
}

// site is a folder with everything that a run of it needs.
type site struct {
	original, upper, store string
	base                   *Base
}

// newSite plants an original, which is frozen with open.
func newSite(t testing.TB, tree map[string]string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{original: filepath.Join(dir, "original"), upper: filepath.Join(dir, "upper"), store: filepath.Join(dir, "store")}
	must(t, os.Mkdir(s.original, 0o755))
	must(t, os.Mkdir(s.upper, 0o755))
	plant(t, s.original, tree)
	return s
}

func (s *site) options() Options {
	return Options{Original: s.original, Dir: filepath.Join(filepath.Dir(s.original), "base")}
}

// freeze freezes the original, live where that is asked for.
func (s *site) freeze(t failer, live bool, hide ...string) *site {
	t.Helper()
	o := s.options()
	o.Hide = hide
	base, err := Freeze(context.Background(), o)
	must(t, err)
	if live {
		m, h, err := survey(context.Background(), o)
		must(t, err)
		base.manifest, base.hide, base.live = m, h, true
		base.Lower, base.Hidden = s.original, m.hidden
	}
	s.base = base
	return s
}

// collect computes the changes.
func (s *site) collect(t failer) *Changes {
	t.Helper()
	c, err := s.tryCollect()
	must(t, err)
	return c
}

func (s *site) tryCollect() (*Changes, error) {
	upper, err := os.Open(s.upper)
	if err != nil {
		return nil, err
	}
	defer upper.Close()
	return s.base.Collect(context.Background(), upper, s.store)
}

// keep keeps paths, or everything where there are none, and says yes to all that
// would run.
func (s *site) keep(c *Changes, paths ...proofbox.Raw) (proofbox.KeepReceipt, error) {
	return s.keepAllowing(c, true, paths...)
}

func (s *site) keepAllowing(c *Changes, all bool, paths ...proofbox.Raw) (proofbox.KeepReceipt, error) {
	r := proofbox.KeepRequest{All: len(paths) == 0, Paths: paths}
	for _, change := range c.List() {
		if all && len(change.Hazards) > 0 {
			r.Allow = append(r.Allow, proofbox.Allowance{Path: change.Path, Hash: change.Hash})
		}
	}
	return c.Keep(context.Background(), KeepOptions{Original: s.original, KeepRequest: r})
}

// wantTree compares a folder with what plant would make.
func wantTree(t failer, dir string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		switch d.Type() {
		case fs.ModeDir:
			if entries, err := os.ReadDir(path); err != nil || len(entries) == 0 {
				got[name+"/"] = ""
				return err
			}
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			got[name] = "→" + target
			return err
		case fs.ModeNamedPipe:
			got[name] = "FIFO"
		default:
			text, err := os.ReadFile(path)
			got[name] = string(text)
			return err
		}
		return nil
	})
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got)\n%s", filepath.Base(dir), diff)
	}
}

// summary says what changes there are, one a line.
func summary(changes []proofbox.Change) []string {
	list := []string{}
	for _, c := range changes {
		line := fmt.Sprintf("%s %q %s→%s", c.Action(), c.Path, c.Before.Kind, c.After.Kind)
		if c.Drifted {
			line += " drifted"
		}
		if c.Refused != "" {
			line += " refused"
		}
		list = append(list, line)
	}
	return list
}

func wantChanges(t failer, c *Changes, want ...string) {
	t.Helper()
	if diff := cmp.Diff(slices.Concat([]string{}, want), summary(c.List())); diff != "" {
		t.Fatalf("changes (-want +got)\n%s", diff)
	}
}
