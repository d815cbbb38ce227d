package review

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/chroma/v2"
	"github.com/charmbracelet/x/ansi"

	"proofbox"
)

// TestLexersAreChromas: each lexer is the module's, byte for byte, and the package
// that would read all of them at every start is in no program.
func TestLexersAreChromas(t *testing.T) {
	t.Parallel()
	list := func(args ...string) string {
		out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	module := list("-m", "-f", "{{.Dir}}", "github.com/alecthomas/chroma/v2")
	upstream := map[string]string{"cpp.xml": "c++.xml", "csharp.xml": "c#.xml"}
	names, err := filepath.Glob("lexers/*.xml")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d lexers, %v", len(names), err)
	}
	for _, name := range names {
		base := filepath.Base(name)
		if other, ok := upstream[base]; ok {
			base = other
		}
		own, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(filepath.Join(module, "lexers", "embedded", base))
		if err != nil || !bytes.Equal(own, theirs) {
			t.Errorf("%s is not the module's %s: %v", name, base, err)
		}
	}
	if deps := list("-deps", "proofbox/cmd/proofbox"); strings.Contains(deps, "chroma/v2/lexers") || !strings.Contains(deps, "chroma/v2") {
		t.Error("proofbox has chroma's lexers, or has no chroma")
	}
}

// TestLanguages: every language is read, and says of its own comment and of a text
// what they are.
func TestLanguages(t *testing.T) {
	t.Parallel()
	var x lexers
	samples := map[string]string{
		"go": "func f() string { return \"x\" } // c\n", "python": "def f():  # c\n    return \"x\"\n", "javascript": "return \"x\" // c\n", "typescript": "return \"x\" // c\n", "c": "return \"x\"; // c\n", "cpp": "return \"x\"; // c\n",
		"csharp": "return \"x\"; // c\n", "rust": "fn f() { \"x\" } // c\n", "java": "return \"x\"; // c\n", "kotlin": "return \"x\" // c\n", "ruby": "def f # c\n \"x\"\n", "bash": "if true; then echo \"x\"; fi # c\n", "json": "{\"a\": true}\n",
		"yaml": "a: true # c\n", "toml": "a = true # c\n", "css": "a { color: red } /* c */\n", "sql": "SELECT 'x' -- c\n", "xml": "<a b=\"x\"><!-- c --></a>\n", "html": "<p a=\"x\"><!-- c --></p>\n", "lua": "return \"x\" -- c\n",
		"ini": "[a]\nb=c ; d\n", "terraform": "resource \"a\" \"b\" {} # c\n", "protocol_buffer": "message A { string b = 1; } // c\n", "docker": "FROM x\nRUN echo \"x\" # c\n", "makefile": "all: # c\n\techo \"x\"\n",
	}
	for end, language := range languages {
		lexer := x.of("dir/x" + end)
		if !strings.HasPrefix(end, ".") {
			lexer = x.of("dir/" + end)
		}
		if lexer == nil || samples[language] == "" {
			t.Errorf("%s: there is no lexer, or no sample", end)
			continue
		}
		tokens, err := lexer.Tokenise(&chroma.TokeniseOptions{State: "root"}, samples[language])
		if err != nil {
			t.Errorf("%s: %v", end, err)
			continue
		}
		var text strings.Builder
		seen := map[class]bool{}
		for _, token := range tokens.Tokens() {
			text.WriteString(token.Value)
			seen[classOf(token.Type)] = true
		}
		if text.String() != samples[language] || len(seen) < 2 {
			t.Errorf("%s: of %q it makes %q, of %d kinds", end, samples[language], text.String(), len(seen))
		}
	}
	if x.of("README") != nil || x.of("x.unknown") != nil {
		t.Error("there is a lexer for anything")
	}
}

// TestColours: what is coloured is what it is.
func TestColours(t *testing.T) {
	t.Parallel()
	var x lexers
	hunks := []proofbox.Hunk{{N: 0, Text: "old mode 100644\nnew mode 100755\n"}, {N: 1, Text: "@@ -1,3 +1,3 @@\n func f() {\n-\treturn \"old\" // gone\n+\treturn \"new\"\n \t/* open\n+ still */ return\n }\n"}}
	parts := x.colours("main.go", hunks)
	if parts[0] != nil {
		t.Errorf("a mode has the parts %v", parts[0])
	}
	for n, want := range map[int]string{1: "\x1b[35mfunc", 2: "\x1b[31m\x1b[2m// gone", 3: "\x1b[32m\x1b[1mreturn", 5: "\x1b[32m\x1b[2m still */"} {
		line := textLine{strings.Split(string(hunks[1].Text), "\n")[n], 1, n}
		got, ok := line.painted(parts[1][n], "    ", 0, 80)
		if !ok || !strings.Contains(got, want) {
			t.Errorf("line %d is %q, %t, want %q in it", n, got, ok, want)
		}
	}
}

// TestColoursAreBounded: what is too long has no colours, and what a lexer is slow
// with costs no more than its time.
func TestColoursAreBounded(t *testing.T) {
	t.Parallel()
	var x lexers
	hunk := func(text string) []proofbox.Hunk {
		return []proofbox.Hunk{{N: 1, Text: proofbox.Raw("@@ -0,0 +1 @@\n" + text)}}
	}
	if parts := x.colours("a.go", hunk(strings.Repeat("+x\n", maxColoured))); parts != nil {
		t.Error("a large change has colours")
	}
	parts := x.colours("a.go", hunk("+return "+strings.Repeat("x", 2*maxColouredLine)+"\n+return\n"))
	if len(parts[0][1]) != 0 || len(parts[0][2]) == 0 {
		t.Errorf("a long line has the parts %v, the next one %v", parts[0][1], parts[0][2])
	}
	found := make([][]span, 1)
	colourSide(x.of("a.go"), []string{"+return"}, "+", found, time.Time{})
	if len(found[0]) != 0 {
		t.Errorf("after its time it has coloured %v", found)
	}
}

// FuzzColours: whatever the text and the language are, a coloured line has the
// characters of one without colours.
func FuzzColours(f *testing.F) {
	f.Add("a.go", "+func f() {\t\"x\x1b[2J\" }\n-// \u202e\n")
	f.Add("a.py", " '''\n+x\n-\xff'''\n")
	f.Add("Dockerfile", "+RUN echo \\\n+ \"x\r\"\n")
	f.Add("x.html", "+<script>let x = '</p>'\n+<style>a{")
	var x lexers
	f.Fuzz(func(t *testing.T, name, text string) {
		h := proofbox.Hunk{N: 1, Text: proofbox.Raw("@@ -1 +1 @@\n" + text)}
		change := proofbox.Change{Path: proofbox.Raw(name), Hunks: []proofbox.Hunk{h}}
		bare, coloured := newFile(change, "", 80), newFile(change, "", 80)
		coloured.parts = x.colours(name, change.Hunks)
		bare.cursor, coloured.cursor = -1, -1
		for i := range bare.text {
			for _, shift := range []int{0, 3} {
				bare.shift, coloured.shift = shift, shift
				want, got := ansi.Strip(bare.line(i, 30)), ansi.Strip(coloured.line(i, 30))
				if want != got && utf8.ValidString(text) {
					t.Fatalf("line %d of %q in %q: %q, coloured %q", i, text, name, want, got)
				}
			}
		}
	})
}
