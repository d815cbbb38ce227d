package workspace

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox"
)

// trap is one thing that a box plants.
type trap struct {
	path  string            // what is in question
	plant map[string]string // beside "fine"
	act   func(t failer, upper string)
	want  string // "refused", "gated" or "kept"
}

var traps = map[string]trap{
	// Links and objects.
	"absolute link":                  {"l", map[string]string{"l": "→/etc/passwd"}, nil, "refused"},
	"link out of the workspace":      {"d/l", map[string]string{"d/l": "→../../outside"}, nil, "refused"},
	"link that goes down and up":     {"l", map[string]string{"l": "→d/../../outside"}, nil, "refused"},
	"link into git (os.Root)":        {"innocent", map[string]string{"innocent": "→.git"}, nil, "refused"},
	"link to a hook":                 {"README.md", map[string]string{"README.md": "→.git/config"}, nil, "refused"},
	"FIFO":                           {"pipe", map[string]string{"pipe": "FIFO"}, nil, "refused"},
	"socket":                         {"s", nil, func(t failer, u string) { must(t, unix.Mknod(u+"/s", unix.S_IFSOCK|0o644, 0)) }, "refused"},
	"set-user-ID":                    {"x", map[string]string{"x": "x"}, func(t failer, u string) { must(t, os.Chmod(u+"/x", 0o755|os.ModeSetuid)) }, "refused"},
	"set-group-ID":                   {"x", map[string]string{"x": "x"}, func(t failer, u string) { must(t, os.Chmod(u+"/x", 0o755|os.ModeSetgid)) }, "refused"},
	"sparse file of a terabyte":      {"big", map[string]string{"big": ""}, func(t failer, u string) { must(t, os.Truncate(u+"/big", 1<<40)) }, "refused"},
	"one line of 50 MB":              {"line", nil, func(t failer, u string) { must(t, os.WriteFile(u+"/line", bytes.Repeat([]byte("x"), 50<<20), 0o644)) }, "kept"},
	"binary of 2 GiB":                {"binary", map[string]string{"binary": "\x00"}, func(t failer, u string) { must(t, os.Truncate(u+"/binary", 2<<30)) }, "kept"},
	"a temporary name of a keep":     {".proofbox-AAAAAAAAAAAAAAAAAAAAAAAAAA-0", map[string]string{".proofbox-AAAAAAAAAAAAAAAAAAAAAAAAAA-0": "x"}, nil, "kept"},
	"a name of the journal":          {"changes.json", map[string]string{"changes.json": "{}"}, nil, "kept"},
	"name that is an option":         {"-rf", map[string]string{"-rf": "x"}, nil, "kept"},
	"name with an escape sequence":   {"\x1b[2Jx", map[string]string{"\x1b[2Jx": "x"}, nil, "gated"},
	"name with a new line":           {"a\nb", map[string]string{"a\nb": "x"}, nil, "gated"},
	"name with a carriage return":    {"sub\r", map[string]string{"sub\r": "x"}, nil, "gated"},
	"name that is no UTF-8":          {"\xff\xfe", map[string]string{"\xff\xfe": "x"}, nil, "kept"},
	"NUL after eight kilobytes":      {"t", map[string]string{"t": strings.Repeat("x\n", 8000) + "\x00"}, nil, "kept"},
	"byte order mark inside":         {"t", map[string]string{"t": "a\ufeffb"}, nil, "gated"},
	"Trojan Source (CVE-2021-42574)": {"t.c", map[string]string{"t.c": "/* \u202e } \u2066if (admin) */"}, nil, "gated"},
	"homoglyph (CVE-2021-42694)":     {"t.go", map[string]string{"t.go": "func s\u0430y() {}"}, nil, "gated"},
	"text far to the right":          {"t.js", map[string]string{"t.js": "x()" + strings.Repeat(" ", 200) + "evil()"}, nil, "gated"},

	"huge generated file first":     {"z", map[string]string{"aaa.generated.js": strings.Repeat("x();\n", 1<<20), "z": "x"}, nil, "kept"},
	"ignored by its own .gitignore": {"x.js", map[string]string{".gitignore": "*\n", "x.js": "x"}, nil, "kept"},

	// Names that are others elsewhere: CVE-2021-21300, CVE-2024-32002.
	"another case of what is there": {"WAS", map[string]string{"WAS": "x"}, nil, "gated"},
	"another case of a folder":      {"A/hooks/post", map[string]string{"a/x": "→../fine", "A/hooks/post": "x"}, nil, "gated"},
	"another normal form":           {"cafe\u0301", map[string]string{"caf\u00e9": "x", "cafe\u0301": "x"}, nil, "gated"},
	"name with a dot at its end":    {"was.", map[string]string{"was.": "x"}, nil, "gated"},
	"name with a blank at its end":  {"d /x", map[string]string{"d /x": "x"}, nil, "gated"},
	"name of a device":              {"sub/aux.c", map[string]string{"sub/aux.c": "x"}, nil, "gated"},
	"name with a backslash":         {`sub\..\..\x`, map[string]string{`sub\..\..\x`: "x"}, nil, "gated"},
	"very long name":                {strings.Repeat("n", 255), map[string]string{strings.Repeat("n", 255): "x"}, nil, "kept"},

	// Aliases of a repository's folder: CVE-2014-9390, CVE-2019-1352, CVE-2019-1353.
	".git in capitals":                {"sub/.GIT/config", map[string]string{"sub/.GIT/config": "x"}, nil, "gated"},
	".git with a dot":                 {".git./config", map[string]string{".git./config": "x"}, nil, "gated"},
	".git with a blank":               {".git /config", map[string]string{".git /config": "x"}, nil, "gated"},
	".git with zero width":            {".g\u200cit/config", map[string]string{".g\u200cit/config": "x"}, nil, "gated"},
	".git as an NTFS stream":          {".git::$INDEX_ALLOCATION/config", map[string]string{".git::$INDEX_ALLOCATION/config": "x"}, nil, "gated"},
	".git by its short name":          {"git~1/config", map[string]string{"git~1/config": "x"}, nil, "gated"},
	".git as a file":                  {"sub/.git", map[string]string{"sub/.git": "gitdir: ../evil"}, nil, "gated"},
	"bare repository (embedded)":      {"sub/HEAD", map[string]string{"sub/HEAD": "ref: refs/heads/main\n", "sub/config": "x"}, nil, "gated"},
	"bare repository's settings":      {"sub/config", map[string]string{"sub/HEAD": strings.Repeat("1", 40) + "\n", "sub/config": "x", "sub/objects/": "", "sub/refs/": ""}, nil, "gated"},
	"bare repository, HEAD by name":   {"sub/HEAD", map[string]string{"sub/HEAD": strings.Repeat("1", 40) + "\n", "sub/objects/": "", "sub/refs/": ""}, nil, "gated"},
	"bare repository, HEAD a link":    {"sub/HEAD", map[string]string{"sub/HEAD": "→refs/heads/main", "sub/objects/": "", "sub/refs/": ""}, nil, "gated"},
	"bare repository's hook":          {"sub/hooks/post-index-change", map[string]string{"sub/hooks/post-index-change": "x", "sub/HEAD": "x", "sub/commondir": "../elsewhere"}, nil, "gated"},
	"bare repository in capitals":     {"Sub/Config", map[string]string{"Sub/Head": "x", "Sub/Config": "x", "sUB/OBJECTS/": "", "Sub/Refs./": ""}, nil, "gated"},
	"bare repository's last folder":   {"sub/refs", map[string]string{"sub/HEAD": "x", "sub/objects/": "", "sub/refs/": ""}, nil, "gated"},
	"settings that are git's nowhere": {"sub/config", map[string]string{"sub/config": "x", "sub/HEAD": "x", "sub/refs/x": ""}, nil, "kept"},
	"commondir of a worktree":         {".git/worktrees/w/commondir", map[string]string{".git/worktrees/w/commondir": "../../evil"}, nil, "gated"},
	"alternates":                      {".git/objects/info/alternates", map[string]string{".git/objects/info/alternates": "/evil"}, nil, "gated"},

	// What hides a change from git diff.
	"attributes that hide":            {".git/info/attributes", map[string]string{".git/info/attributes": "*.js -diff"}, nil, "gated"},
	"attributes in the tree":          {".gitattributes", map[string]string{".gitattributes": "* filter=evil"}, nil, "gated"},
	"exclude that hides":              {".git/info/exclude", map[string]string{".git/info/exclude": "*"}, nil, "gated"},
	"skip-worktree, assume-unchanged": {".git/index", map[string]string{".git/index": "DIRC"}, nil, "gated"},
	"an amended commit":               {".git/refs/heads/main", map[string]string{".git/refs/heads/main": strings.Repeat("0", 40)}, nil, "gated"},
	"file mode that git ignores":      {"x", map[string]string{"x": "x"}, func(t failer, u string) { must(t, os.Chmod(u+"/x", 0o755)) }, "gated"},
}

// TestTraps plants what has led tools that take changes over into a trap, one
// thing a case, and keeps everything as somebody would who does not look. Each
// must be refused, or want a yes of its own, or be kept as what it is; what is
// listed beside it must be kept; and nothing may be written outside.
func TestTraps(t *testing.T) {
	t.Parallel()
	for name, c := range traps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, map[string]string{"was": "x"}).freeze(t, false)
			plant(t, s.upper, map[string]string{"fine": "x"})
			plant(t, s.upper, c.plant)
			if c.act != nil {
				c.act(t, s.upper)
			}
			changes := s.collect(t)
			receipt, err := s.keepAllowing(changes, false)
			must(t, err)
			got := "not listed"
			for _, r := range receipt.Refused {
				if string(r.Path) == c.path {
					got = map[bool]string{true: "gated", false: "refused"}[strings.Contains(r.Refused, "a yes of its own")]
				}
			}
			for _, k := range receipt.Kept {
				if string(k.Path) == c.path {
					got = "kept"
				}
			}
			if got != c.want {
				t.Errorf("%q is %s, want %s", c.path, got, c.want)
			}
			if _, err := os.Lstat(s.original + "/" + c.path); (err == nil) != (c.want == "kept") {
				t.Errorf("in the original: %v", err)
			}
			if _, err := os.Lstat(s.original + "/fine"); err != nil {
				t.Errorf("what is fine was not kept: %v", err)
			}
		})
	}
}

// TestShownBytesAreTheKeptBytes: a store whose bytes were exchanged after they
// were shown keeps nothing.
func TestShownBytesAreTheKeptBytes(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2", "b": "fine"})
	c := s.collect(t)
	at, _ := c.find("a")
	blob := value[string](t)(c.blob(c.List()[at].After.Digest))
	must(t, os.WriteFile(blob, []byte("3"), 0o600))
	if _, err := s.keep(c); err == nil || !strings.Contains(err.Error(), "altered") {
		t.Errorf("the error is %v", err)
	}
	wantTree(t, s.original, map[string]string{"a": "1"})
}

// TestPatchOfASetThatLeadsOut (CVE-2023-23946, CVE-2023-25652): a patch makes a
// link and writes through it, or names what the run has not changed.
func TestPatchOfASetThatLeadsOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"a": "1\n"}).freeze(t, false)
	plant(t, s.upper, map[string]string{"a": "2\n", "l": "→d"})
	c := s.collect(t)
	for name, patch := range map[string]string{
		"through a link":  "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+..\n\\ No newline at end of file\ndiff --git a/l/x b/l/x\nnew file mode 100644\n--- /dev/null\n+++ b/l/x\n@@ -0,0 +1 @@\n+x\n",
		"a link":          "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n",
		"a rejects file":  "diff --git a/a.rej b/a.rej\nnew file mode 100644\n--- /dev/null\n+++ b/a.rej\n@@ -0,0 +1 @@\n+x\n",
		"absolute":        "diff --git a//etc/x b//etc/x\nnew file mode 100644\n--- /dev/null\n+++ b//etc/x\n@@ -0,0 +1 @@\n+x\n",
		"up":              "diff --git a/../x b/../x\nnew file mode 100644\n--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n",
		"twice":           "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\ndiff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+3\n",
		"a mode":          "diff --git a/a b/a\nold mode 100644\nnew mode 104755\n",
		"another context": "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-9\n+2\n",
		"a rename":        "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n",
	} {
		_, err := c.Keep(t.Context(), KeepOptions{Original: s.original, KeepRequest: proofbox.KeepRequest{Patch: proofbox.Raw(patch)}})
		if err == nil && name != "a mode" {
			t.Errorf("%s: it was kept", name)
		}
		wantTree(t, s.original, map[string]string{"a": "1\n"})
		if info, err := os.Stat(s.original + "/a"); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: the mode is %v, %v", name, info.Mode(), err)
		}
	}
}
