package review

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"proofbox"
	"proofbox/internal/syntax"
)

// TestPainted: the words of a line have the colours of what they are, and it keeps
// that of what comes and goes.
func TestPainted(t *testing.T) {
	t.Parallel()
	parts := []syntax.Part{{Bytes: 6, Class: syntax.Keyword}, {Bytes: 1}, {Bytes: 4, Class: syntax.Comment}}
	for text, want := range map[string]string{
		" return // c": "\x1b[35mreturn", "-return // c": "\x1b[31m\x1b[2m// c", "+return // c": "\x1b[32m\x1b[1mreturn",
	} {
		got, ok := textLine{text, 1, 1}.painted(parts, "    ", 0, 80)
		if !ok || !strings.Contains(got, want) {
			t.Errorf("%q is %q, %t, want %q in it", text, got, ok, want)
		}
	}
}

// FuzzPainted: whatever the parts are said to be, a coloured line has the characters
// of one without colours. They come from a program that has met hostile text.
func FuzzPainted(f *testing.F) {
	f.Add("+func f() {\t\"x\x1b[2J\" }\n-// \u202e\n", []byte{4, 1, 1, 0})
	f.Add(" '''\n+x\n-\xff'''\n", []byte{200, 9, 0, 3})
	f.Fuzz(func(t *testing.T, text string, raw []byte) {
		var parts []syntax.Part
		for i := 0; i+1 < len(raw); i += 2 {
			parts = append(parts, syntax.Part{Bytes: int(int8(raw[i])), Class: syntax.Class(raw[i+1])})
		}
		h := proofbox.Hunk{N: 1, Text: proofbox.Raw("@@ -1 +1 @@\n" + text)}
		change := proofbox.Change{Path: "x", Hunks: []proofbox.Hunk{h}}
		bare, coloured := newFile(change, "", 80), newFile(change, "", 80)
		coloured.parts = [][][]syntax.Part{{nil, parts, parts}}
		bare.cursor, coloured.cursor = -1, -1
		for i := range bare.text {
			for _, shift := range []int{0, 3} {
				bare.shift, coloured.shift = shift, shift
				want, got := ansi.Strip(bare.line(i, 30)), ansi.Strip(coloured.line(i, 30))
				if want != got && utf8.ValidString(text) {
					t.Fatalf("line %d of %q: %q, coloured %q", i, text, want, got)
				}
			}
		}
	})
}
