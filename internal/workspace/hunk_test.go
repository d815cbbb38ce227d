package workspace

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"proofbox"
)

// drawLines draws a text whose lines are all different, so that there is one
// difference only between it and an edit of it.
func drawLines(t *rapid.T) []string {
	n := rapid.IntRange(0, 30).Draw(t, "lines")
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("line %d\n", i)
	}
	return list
}

// drawEdit edits a text.
func drawEdit(t *rapid.T, who string, lines []string) string {
	var out strings.Builder
	for i, line := range lines {
		switch rapid.SampledFrom([]string{"", "", "", "", "", "change", "go", "insert", "both insert"}).Draw(t, who) {
		case "change":
			fmt.Fprintf(&out, "%s's %d\n", who, i)
		case "go":
		case "insert":
			fmt.Fprintf(&out, "%s%s's after %d\n", line, who, i)
		case "both insert":
			fmt.Fprintf(&out, "%sthe same after %d\n", line, i)
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}

// TestHunksMakeTheOneOfTheOther: all hunks of a difference make the new text of
// the old, none leaves it, and some leave what the others would have changed.
func TestHunksMakeTheOneOfTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before, after := string(drawText(t)), string(drawText(t))
		if rapid.Bool().Draw(t, "long") {
			lines := drawLines(t)
			before, after = strings.Join(lines, ""), drawEdit(t, "agent", lines)
		}
		hunks := hunksBetween(before, after)
		all := selection{}
		for _, h := range hunks {
			all[h.hash] = nil
		}
		if len(all) != len(hunks) {
			t.Fatalf("%d hunks have %d hashes", len(hunks), len(all))
		}
		if got := compose(before, hunks, all); got != after {
			t.Fatalf("all hunks make %q of %q, not %q", got, before, after)
		}
		if got := compose(before, hunks, selection{}); got != before {
			t.Fatalf("no hunk makes %q of %q", got, before)
		}
		// What some hunks make differs from the new text in the others alone.
		some := selection{}
		for _, h := range hunks {
			if rapid.Bool().Draw(t, "keep") {
				some[h.hash] = nil
			}
		}
		if rest := hunksBetween(compose(before, hunks, some), after); len(before)+len(after) > 0 && strings.HasPrefix(before, "line 0\n") && len(rest) > len(hunks)-len(some) {
			t.Fatalf("%d of %d hunks leave %d", len(some), len(hunks), len(rest))
		}
	})
}

// TestLinesOfAHunk: a line that is not chosen stays as it was.
func TestLinesOfAHunk(t *testing.T) {
	t.Parallel()
	before, after := "a\nb\nc", "a\nB1\nB2\nc\nd"
	hunks := hunksBetween(before, after)
	hash := hunks[0].hash
	want := "@@ -1,3 +1,5 @@\n a\n-b\n-c\n\\ No newline at end of file\n+B1\n+B2\n+c\n+d\n\\ No newline at end of file\n"
	if diff := cmp.Diff(want, hunks[0].text()); diff != "" {
		t.Fatal(diff)
	}
	for _, c := range []struct {
		lines []int
		want  string
	}{
		{[]int{2, 4, 5}, "a\nc\nB1\nB2\n"},
		{[]int{4}, "a\nb\nc\nB1\n"},
		{[]int{3, 6, 7}, "a\nb\nc\nd"},
		{[]int{1}, before},
	} {
		if got := compose(before, hunks, selection{hash: c.lines}); got != c.want {
			t.Errorf("lines %v make %q, not %q", c.lines, got, c.want)
		}
	}
}

// TestMergeIsGits merges as git merge-file does: the same conflicts, the same
// text where there is none, the same text for either side.
func TestMergeIsGits(t *testing.T) {
	t.Parallel()
	git := needGit(t)
	root := t.TempDir()
	clean, conflicted := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		lines := drawLines(t)
		base := strings.Join(lines, "")
		ours, theirs := drawEdit(t, "original", lines), drawEdit(t, "run", lines)
		m := merge3(base, ours, theirs, "")
		want, conflicts := gitMerge(t, git, root, base, ours, theirs)
		if (m.conflicts > 0) != conflicts {
			t.Fatalf("%d conflicts, and git has some: %t\n%s", m.conflicts, conflicts, m.text)
		}
		if conflicts {
			conflicted++
			if strings.Count(m.text, "<<<<<<< original\n") != m.conflicts {
				t.Fatalf("%d conflicts in\n%s", m.conflicts, m.text)
			}
		} else if clean++; m.text != want {
			t.Fatalf("it is not git's merge (-git +own)\n%s", cmp.Diff(want, m.text))
		}
		for flag, side := range map[string]proofbox.Side{"--ours": proofbox.TakeOriginal, "--theirs": proofbox.TakeRun} {
			want, _ := gitMerge(t, git, root, base, ours, theirs, flag)
			if got := merge3(base, ours, theirs, side); got.text != want || got.conflicts > 0 {
				t.Fatalf("with %s it is not git's merge (-git +own)\n%s", flag, cmp.Diff(want, got.text))
			}
		}
	})
	if clean == 0 || conflicted == 0 {
		t.Errorf("%d merges without and %d with a conflict say little", clean, conflicted)
	}
}

// gitMerge has git merge plain files in a folder of their own.
func gitMerge(t *rapid.T, git, root, base, ours, theirs string, flags ...string) (text string, conflicts bool) {
	dir := value[string](t)(os.MkdirTemp(root, "merge"))
	plant(t, dir, map[string]string{"base": base, "ours": ours, "theirs": theirs})
	cmd := exec.Command(git, append(append([]string{"merge-file", "-p"}, flags...), "ours", "base", "theirs")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.Output()
	if _, exited := err.(*exec.ExitError); err != nil && (!exited || cmd.ProcessState.ExitCode() > 127) {
		t.Fatal(err)
	}
	return string(out), err != nil
}

// FuzzPatch: whatever a patch is, it is read or refused, and what it names lies
// inside the workspace.
func FuzzPatch(f *testing.F) {
	for _, text := range []string{
		"", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "diff --git a/x b/x\nold mode 100644\nnew mode 100755\n",
		"diff --git a/../x b/../x\nnew file mode 100644\n--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+a\n",
		"diff --git \"a/\\000\" \"b/\\000\"\ndeleted file mode 100644\n", "--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-a\n+b\n",
		"# a note\ndiff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n",
		"diff --git a/x b/x\nGIT binary patch\nliteral 1\nIcmZQz\n\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		files, err := readPatch(text)
		if err != nil {
			return
		}
		for _, file := range files {
			for _, name := range []string{file.OldName, file.NewName} {
				if name != "" && !validPath(name) {
					t.Errorf("it names %q", name)
				}
			}
		}
	})
}
