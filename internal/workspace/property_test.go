package workspace

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"proofbox"
)

// names are what the generated trees are made of: few, so that acts meet, and
// some that a careless reader trips over.
var names = []string{"a", "b", "c", "d e", "new\nline", "\x1b[31m", "\xff\xfe", `q"\q`, "ünï"}

func drawPath(t *rapid.T) proofbox.Raw {
	parts := rapid.SliceOfN(rapid.SampledFrom(names), 1, 3).Draw(t, "path")
	return proofbox.Raw(strings.Join(parts, "/"))
}

func drawText(t *rapid.T) proofbox.Raw {
	lines := rapid.SliceOfN(rapid.SampledFrom([]string{"one", "two", "three", "-- x", "+y", "@@", "", "\\ no", "tab\t", "\xff", "cr\r", "nul\x00"}), 0, 12).Draw(t, "lines")
	text := strings.Join(lines, "\n")
	if rapid.Bool().Draw(t, "ended") {
		text += "\n"
	}
	return proofbox.Raw(text)
}

func drawAct(t *rapid.T) act {
	a := act{Do: rapid.SampledFrom([]string{
		"write", "write", "write", "touch", "chmod", "remove", "remove", "folder", "link", "hardlink", "rename", "fifo",
	}).Draw(t, "do"), Path: drawPath(t)}
	switch a.Do {
	case "write":
		a.Text = drawText(t)
	case "chmod":
		a.Mode = rapid.SampledFrom([]uint32{0o700, 0o755, 0o711, 0o750, 0o777}).Draw(t, "mode")
	case "hardlink", "rename":
		a.To = drawPath(t)
	case "link":
		a.To = proofbox.Raw(rapid.SampledFrom([]string{"a", "b/c", "../a", "..", "../../..", "/etc/passwd", "a/../b", "\xff"}).Draw(t, "to"))
	}
	return a
}

// drawOriginal makes an original by acts, without an overlay.
func drawOriginal(t *rapid.T, dir string) {
	must(t, os.MkdirAll(dir, 0o755))
	for _, a := range rapid.SliceOfN(rapid.Custom(drawAct), 0, 25).Draw(t, "original") {
		if a.Do == "fifo" {
			a.Do = "folder"
		}
		if a.Do == "write" {
			must(t, ignoreTolerable(os.MkdirAll(filepath.Dir(filepath.Join(dir, string(a.Path))), 0o755)))
		}
		must(t, ignoreTolerable(a.run(dir)))
	}
}

func ignoreTolerable(err error) error {
	if err != nil && tolerable(err) {
		return nil
	}
	return err
}

// TestChangesAreWhatTheAgentSaw holds what is read from the upper layer of a
// real overlay against the trees themselves: the original as it was, and the
// copy as the agent saw it in the end.
func TestChangesAreWhatTheAgentSaw(t *testing.T) {
	t.Parallel()
	needOverlay(t)
	git := needGit(t)
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir := value[string](t)(os.MkdirTemp(root, "case"))
		s := &site{original: dir + "/original", upper: dir + "/upper", store: dir + "/store"}
		drawOriginal(t, s.original)
		must(t, os.Mkdir(s.upper, 0o755))
		was := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
		s.freeze(t, rapid.Bool().Draw(t, "live"))
		saw := s.agent(t, rapid.SliceOfN(rapid.Custom(drawAct), 1, 25).Draw(t, "acts")...)
		c := s.collect(t)
		if diff := cmp.Diff(difference(was, saw), sides(c.List())); diff != "" {
			t.Fatalf("changes (-want +got)\n%s", diff)
		}
		checkPatch(t, git, s, c)
		checkKeep(t, s, c, was, saw)
		must(t, removeTree(dir))
	})
}

// pair is both sides of a change.
type pair struct{ Before, After proofbox.Entry }

// difference lists in which paths two trees differ.
func difference(was, is map[proofbox.Raw]proofbox.Entry) map[proofbox.Raw]pair {
	absent := proofbox.Entry{Kind: proofbox.Absent}
	found := map[proofbox.Raw]pair{}
	for p, e := range was {
		if now, ok := is[p]; !ok {
			found[p] = pair{e, absent}
		} else if now != e {
			found[p] = pair{e, now}
		}
	}
	for p, e := range is {
		if _, ok := was[p]; !ok {
			found[p] = pair{absent, e}
		}
	}
	return found
}

func sides(changes []proofbox.Change) map[proofbox.Raw]pair {
	found := map[proofbox.Raw]pair{}
	for _, c := range changes {
		found[c.Path] = pair{c.Before, c.After}
	}
	return found
}

// checkKeep keeps everything and compares the original with what the receipt
// says that it is now.
func checkKeep(t *rapid.T, s *site, c *Changes, was, saw map[proofbox.Raw]proofbox.Entry) {
	tried := checkProposal(t, s, c)
	receipt, err := s.keep(c)
	must(t, err)
	want := map[proofbox.Raw]proofbox.Entry{}
	maps.Copy(want, was)
	for _, k := range receipt.Kept {
		if want[k.Path] = k.After; k.After.Kind == proofbox.Absent {
			delete(want, k.Path)
		}
	}
	got := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(s.original))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the original and the receipt (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(tried, got); diff != "" {
		t.Fatalf("the original and the copy on which it was tried (-tried +kept)\n%s", diff)
	}
	if len(receipt.Kept)+len(receipt.Refused) != len(c.List()) {
		t.Fatalf("%d kept and %d refused of %d", len(receipt.Kept), len(receipt.Refused), len(c.List()))
	}
	if !slices.ContainsFunc(c.List(), func(x proofbox.Change) bool { return x.Refused != "" }) {
		if diff := cmp.Diff(saw, got); diff != "" {
			t.Fatalf("the original and the copy (-want +got)\n%s", diff)
		}
	}
	if again, err := s.keep(c); err != nil || len(again.Kept) != len(receipt.Kept) {
		t.Fatalf("keeping the same again: %d instead of %d, %v", len(again.Kept), len(receipt.Kept), err)
	}
}

// checkPatch has git apply the text of the changes to the original as it was,
// and compares the files and links that it makes.
func checkPatch(t *rapid.T, git string, s *site, c *Changes) {
	list := c.List()
	var patch strings.Builder
	must(t, c.WritePatch(&patch, list))
	if !strings.Contains(patch.String(), "diff --git") {
		return
	}
	copied := s.original + ".patched"
	must(t, exec.Command("cp", "-a", s.original, copied).Run())
	pruneEmpty(t, copied)
	cmd := exec.Command(git, "apply", "--whitespace=nowarn", "-")
	cmd.Dir, cmd.Stdin = copied, strings.NewReader(patch.String())
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(copied), "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git apply: %v\n%s\n%s", err, out, &patch)
	}
	got := value[map[proofbox.Raw]proofbox.Entry](t)(describeTree(copied))
	for _, x := range list {
		now, ok := got[x.Path]
		switch {
		case !patchable(x.After) && ok && patchable(now):
			t.Fatalf("%q is still there after git apply\n%s", x.Path, &patch)
		case patchable(x.After) && (now.Kind != x.After.Kind || now.Digest != x.After.Digest || now.Target != x.After.Target):
			t.Fatalf("git apply makes %+v of %q, not %+v\n%s", now, x.Path, x.After, &patch)
		case x.After.Kind == proofbox.File && (now.Mode&0o100 != 0) != (x.After.Mode&0o100 != 0):
			t.Fatalf("git apply gives %q the mode %v, not %v", x.Path, now.Mode, x.After.Mode)
		}
	}
}

// pruneEmpty removes folders without files in them: git knows none, and cannot
// put a file in the place of one.
func pruneEmpty(t failer, dir string) {
	for _, d := range value[[]os.DirEntry](t)(os.ReadDir(dir)) {
		if path := filepath.Join(dir, d.Name()); d.IsDir() {
			pruneEmpty(t, path)
			must(t, ignoreTolerable(os.Remove(path)))
		}
	}
}

func needGit(t *testing.T) string {
	t.Helper()
	git, err := exec.LookPath("git")
	if err == nil {
		return git
	}
	missing(t, "git", err.Error())
	return ""
}
