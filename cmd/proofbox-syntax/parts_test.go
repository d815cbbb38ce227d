package main

import (
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/chroma/v2/lexers"

	"proofbox"
	"proofbox/internal/syntax"
)

func order(path string, texts ...string) syntax.Order {
	o := syntax.Order{Path: proofbox.Raw(path)}
	for i, text := range texts {
		o.Hunks = append(o.Hunks, proofbox.Hunk{N: i, Text: proofbox.Raw(text)})
	}
	return o
}

// TestParts: in a language of each kind, what is on both sides of a change is what it
// is, also over lines, and what is no text has no parts.
func TestParts(t *testing.T) {
	t.Parallel()
	for path, words := range map[string]map[string]syntax.Class{
		"main.go":     {"func": syntax.Keyword, "// c": syntax.Comment, `"x"`: syntax.Literal},
		"a/b.py":      {"def": syntax.Keyword, "# c": syntax.Comment},
		"index.ts":    {"return": syntax.Keyword, "// c": syntax.Comment},
		"Makefile":    {"# c": syntax.Comment},
		"README.md":   nil,
		"x.rs":        {"fn": syntax.Keyword, "// c": syntax.Comment},
		"values.yaml": {"# c": syntax.Comment},
		"q.sql":       {"SELECT": syntax.Keyword, "-- c": syntax.Comment},
	} {
		for word, class := range words {
			found := parts(order(path, "old mode 100644\n", "@@ -1 +1 @@\n-"+word+"\n+"+word+"\n"))
			if found[0] != nil {
				t.Errorf("%s: a mode has the parts %v", path, found[0])
			}
			for _, line := range found[1][1:] {
				if len(line) == 0 || line[0].Class != class {
					t.Errorf("%s: %q has the parts %v, want the class %d first", path, word, line, class)
				}
			}
		}
	}
	lines := parts(order("main.go", "", "@@ -1,2 +1,2 @@\n \t/* open\n+ still */ return\n"))[1]
	if len(lines[2]) < 2 || lines[2][0].Class != syntax.Comment {
		t.Errorf("a comment over lines has the parts %v", lines[2])
	}
	if got := parts(order("x.unknown", "", "+x\n")); got != nil {
		t.Errorf("an unknown language has the parts %v", got)
	}
}

// TestBounds: what is too long has no parts, and what a lexer is slow with costs no
// more than its time.
func TestBounds(t *testing.T) {
	t.Parallel()
	if got := parts(order("a.go", "", "@@ -0,0 +1 @@\n"+strings.Repeat("+x\n", maxColoured))); got != nil {
		t.Error("a large change has parts")
	}
	lines := parts(order("a.go", "", "@@ -0,0 +1,2 @@\n+return "+strings.Repeat("x", 2*maxColouredLine)+"\n+return\n"))[1]
	if len(lines[1]) != 0 || len(lines[2]) == 0 {
		t.Errorf("a long line has the parts %v, the next one %v", lines[1], lines[2])
	}
	found := make([][]syntax.Part, 1)
	colourSide(lexers.Match("a.go"), []string{"+return"}, "+", found, time.Time{})
	if len(found[0]) != 0 {
		t.Errorf("after its time it has found %v", found)
	}
}

// FuzzParts: whatever the text and the language are, a line has no more than its
// bytes.
func FuzzParts(f *testing.F) {
	f.Add("a.go", "+func f() {\t\"x\x1b[2J\" }\n-// \u202e\n")
	f.Add("a.py", " '''\n+x\n-\xff'''\n")
	f.Add("Dockerfile", "+RUN echo \\\n+ \"x\r\"\n")
	f.Add("x.html", "+<script>let x = '</p>'\n+<style>a{")
	f.Fuzz(func(t *testing.T, name, text string) {
		lines := strings.Split(strings.TrimSuffix("@@\n"+text, "\n"), "\n")[1:]
		for _, hunk := range parts(order(name, "", "@@\n"+text)) {
			if len(hunk) > len(lines)+1 {
				t.Fatalf("%d lines of %d", len(hunk)-1, len(lines))
			}
		}
	})
}
