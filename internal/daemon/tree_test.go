package daemon_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox"
	"proofbox/internal/daemon"
)

// write fills a folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// check compares the files and links of a folder.
func check(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			to, err := os.Readlink(path)
			got[name] = "→ " + to
			return err
		}
		text, err := os.ReadFile(path)
		got[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// listing describes every path of a tree, one a line, as lister does.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%q ", name)
		switch {
		case info.IsDir():
			line += fmt.Sprintf("d%o", info.Mode().Perm())
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf("l%q", to)
		default:
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(text)
			line += fmt.Sprintf("f%o %s", info.Mode().Perm(), hex.EncodeToString(sum[:]))
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// lister prints the same of /workspace, inside a box.
const lister = `
import hashlib, os, stat
lines = []
for d, folders, files in os.walk("/workspace"):
    for n in folders + files:
        p = os.path.join(d, n)
        s = os.lstat(p)
        line = '"%s" ' % os.path.relpath(p, "/workspace")
        if stat.S_ISDIR(s.st_mode): line += "d%o" % (s.st_mode & 0o777)
        elif stat.S_ISLNK(s.st_mode): line += 'l"%s"' % os.readlink(p)
        else: line += "f%o %s" % (s.st_mode & 0o777, hashlib.sha256(open(p, "rb").read()).hexdigest())
        lines.append(line)
print("\n".join(sorted(lines)))
`

// mutation writes a shell command that changes something at random.
func mutation(r *rand.Rand) string {
	names := []string{"a", "b", "c", "d", "e", "a/x", "a/y", "b/x", "c/x/y", "d/z", "e/x", "f"}
	one, other := names[r.IntN(len(names))], names[r.IntN(len(names))]
	text := fmt.Sprint(r.IntN(1000))
	return []string{
		"mkdir -p $(dirname " + one + "); echo " + text + " >" + one,
		"echo " + text + " >>" + one,
		"rm -rf " + one,
		"rm -rf " + one + "; mkdir -p " + one,
		"mkdir -p " + one,
		"mv " + one + " " + other,
		"cp -r " + one + " " + other,
		"chmod 700 " + one,
		"chmod 755 " + one,
		"ln -sfn x " + one,
		"ln " + one + " " + other,
		"touch " + one,
		"rm -rf " + one + "; mkdir -p " + one + "; echo " + text + " >" + one + "/x",
		"truncate -s 100 " + one,
	}[r.IntN(14)] + " 2>/dev/null"
}

// TestKeepAllGivesWhatTheBoxSaw compares, for random trees and random changes,
// the original after a bulk keep with what the box itself saw of its copy.
func TestKeepAllGivesWhatTheBoxSaw(t *testing.T) {
	d := open(t)
	for seed := range uint64(24) {
		r := rand.New(rand.NewPCG(seed, 1))
		wall := walls[min(1, seed%6/5)] // most in the faster wall
		t.Run(fmt.Sprintf("%s/%d", wall, seed), func(t *testing.T) {
			ws := t.TempDir()
			files := map[string]string{}
			for _, name := range []string{"a/x", "a/y", "b", "c/x/y", "d/z", "e"} {
				if r.IntN(3) > 0 {
					files[name] = fmt.Sprint(r.IntN(1000))
				}
			}
			write(t, ws, files)
			var script []string
			for range 1 + r.IntN(12) {
				script = append(script, mutation(r))
			}
			before := listing(t, ws)
			res := run(t, d, proofbox.Spec{Wall: wall, Workspace: proofbox.Workspace{Original: ws}},
				strings.Join(script, "\n")+"\npython3 - <<'END'"+lister+"END\n")
			if now := listing(t, ws); now != before {
				t.Errorf("the original changed during the run:\n%s", cmp.Diff(before, now))
			}
			receipt, err := d.Keep(t.Context(), res.ID, proofbox.KeepRequest{All: true, Allow: yesToAll(t, d, res.ID)})
			if err != nil {
				t.Fatalf("%v\nfiles %v\nscript\n%s", err, slices.Sorted(maps.Keys(files)), strings.Join(script, "\n"))
			}
			if len(receipt.Refused) > 0 {
				t.Errorf("refused: %+v", receipt.Refused)
			}
			if diff := cmp.Diff(strings.TrimSpace(res.stdout), strings.TrimSpace(listing(t, ws))); diff != "" {
				t.Errorf("(-box +original)\n%s\nfiles %v\nscript\n%s", diff, slices.Sorted(maps.Keys(files)), strings.Join(script, "\n"))
			}
		})
	}
}

// yesToAll says yes to every change of a run that would run.
func yesToAll(t *testing.T, d *daemon.Daemon, run string) []proofbox.Allowance {
	t.Helper()
	diff, err := d.Diff(t.Context(), run, proofbox.DiffRequest{Stat: true})
	if err != nil {
		t.Fatal(err)
	}
	var list []proofbox.Allowance
	for _, c := range diff.Changes {
		if len(c.Hazards) > 0 {
			list = append(list, proofbox.Allowance{Path: c.Path, Hash: c.Hash})
		}
	}
	return list
}
