package terminal_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"proofbox/internal/terminal"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain\ttext\n":   "plain\ttext\n",
		"grün 漢字 🙂":       "grün 漢字 🙂",
		"\x1b[2J":         `\x1b[2J`,
		"a\rb\bc":         `a\x0db\x08c`,
		"\u009b31m":       `\u009b31m`,
		"\xff\xfe":        `\xff\xfe`,
		"x\u202ey":        `x\u202ey`,
		"zero\u200bwidth": `zero\u200bwidth`,
		"\U000e0041":      `\U000e0041`,
		"\u2028":          `\u2028`,
		"\ufe0f":          `\ufe0f`,
		"\x7f":            `\x7f`,
		"\u3164":          `\u3164`, // Hangul filler
	} {
		if got := terminal.Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
	if got := terminal.Name("a\nb\tc"); got != `a\nb\tc` {
		t.Errorf("Name gives %q", got)
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m\r50%\r100%\n":      "\x1b[1;31mred\x1b[0m\r50%\r100%\n",
		"\x1b]0;title\a":                         "\\x1b]0;title\a",
		"\x1b]52;c;AAAA\x1b\\":                   `\x1b]52;c;AAAA\x1b\`,
		"\x1b[2J\x1b[H":                          `\x1b[2J\x1b[H`,
		"\x1bP1;2q\x1b\\":                        `\x1bP1;2q\x1b\`,
		"\xc2\x9b31m":                            `\u009b31m`,
		"\x9b31m":                                `\x9b31m`,
		"grün":                                   "grün",
		"\x1b[31mred":                            "\x1b[31mred\x1b[0m",
		"\x1b[31mred\x1b[m":                      "\x1b[31mred\x1b[m",
		"\x1b[" + strings.Repeat("1", 100) + "m": `\x1b[` + strings.Repeat("1", 100) + "m",
	} {
		for split := range len(in) + 1 {
			var out strings.Builder
			live := terminal.NewLive(&out)
			write(t, live, in[:split])
			write(t, live, in[split:])
			if err := live.Close(); err != nil {
				t.Fatal(err)
			}
			if out.String() != want {
				t.Errorf("%q, split at %d, gives %q, want %q", in, split, out.String(), want)
			}
		}
	}
}

func write(t *testing.T, w interface{ Write([]byte) (int, error) }, s string) {
	t.Helper()
	if n, err := w.Write([]byte(s)); err != nil || n != len(s) {
		t.Fatalf("Write gives %d, %v", n, err)
	}
}

func FuzzWriter(f *testing.F) {
	f.Add("\x1b[31m\u202e\xff", 3)
	f.Fuzz(func(t *testing.T, in string, split int) {
		if split < 0 || split > len(in) {
			split = len(in) / 2
		}
		var out strings.Builder
		w := terminal.NewWriter(&out)
		write(t, w, in[:split])
		write(t, w, in[split:])
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if out.String() != terminal.Escape(in) {
			t.Errorf("split at %d: %q, whole: %q", split, out.String(), terminal.Escape(in))
		}
		if !utf8.ValidString(out.String()) {
			t.Errorf("%q is not UTF-8", out.String())
		}
		for _, r := range out.String() {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%q holds %q", out.String(), r)
			}
		}
	})
}

func FuzzLive(f *testing.F) {
	f.Add("\x1b[31mx\x1b]0;t\a", 4)
	f.Fuzz(func(t *testing.T, in string, split int) {
		if split < 0 || split > len(in) {
			split = len(in) / 2
		}
		var out strings.Builder
		l := terminal.NewLive(&out)
		write(t, l, in[:split])
		write(t, l, in[split:])
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		rest := out.String()
		for {
			i := strings.IndexByte(rest, 0x1b)
			if i < 0 {
				break
			}
			rest = rest[i+1:]
			end := strings.IndexByte(rest, 'm')
			if end < 1 || rest[0] != '[' || strings.Trim(rest[1:end], "0123456789;") != "" {
				t.Fatalf("an escape sequence that is no colour came through: %q", out.String())
			}
		}
	})
}
