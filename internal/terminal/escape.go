// Package terminal makes bytes that came out of a box harmless before they
// reach a person's terminal: what could move the cursor, hide or reorder text,
// write to the clipboard or answer as if it had been typed is shown as visible
// escapes.
package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape gives text with every dangerous character made visible. New lines and
// tabs stay.
func Escape(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		appendRune(&out, r, size, text[:size])
		text = text[size:]
	}
	return out.String()
}

// Name gives a file name on one line: new lines and tabs are escaped too, and
// backslashes, so that no two names look the same.
func Name(name string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Escape(strings.ReplaceAll(name, `\`, `\\`)))
}

func appendRune(out *strings.Builder, r rune, size int, raw string) {
	switch {
	case r == utf8.RuneError && size == 1:
		fmt.Fprintf(out, `\x%02x`, raw[0])
	case r == '\n' || r == '\t' || !dangerous(r):
		out.WriteRune(r)
	case r < 0x80:
		fmt.Fprintf(out, `\x%02x`, r)
	case r < 0x10000:
		fmt.Fprintf(out, `\u%04x`, r)
	default:
		fmt.Fprintf(out, `\U%08x`, r)
	}
}

// dangerous says whether a character does something else than to appear: C0 and
// C1 controls, format characters (bidirectional controls, zero-width ones, tags),
// line and paragraph separators, variation selectors, fillers that look like
// nothing, and what no font has.
func dangerous(r rune) bool {
	switch {
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
		return true
	case unicode.Is(unicode.Co, r), unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return true
	}
	return false
}

// maxHeld is the longest beginning of a character that can be cut off.
const maxHeld = utf8.UTFMax - 1

// Writer escapes what is written to it. Close writes what was held back because
// it could have been the beginning of a character.
type Writer struct {
	to   io.Writer
	held []byte
}

// NewWriter gives a writer that escapes.
func NewWriter(to io.Writer) *Writer { return &Writer{to: to} }

func (w *Writer) Write(p []byte) (int, error) {
	text := append(w.held, p...)
	cut := len(text)
	for i := 1; i <= min(maxHeld, len(text)); i++ {
		if tail := text[len(text)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				cut = len(text) - i
			}
			break
		}
	}
	w.held = append([]byte(nil), text[cut:]...)
	if _, err := io.WriteString(w.to, Escape(string(text[:cut]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what was held back. It does not close what is written to.
func (w *Writer) Close() error {
	_, err := io.WriteString(w.to, Escape(string(w.held)))
	w.held = nil
	return err
}
