package terminal

import (
	"io"
	"strings"
)

// Live lets a running command's output through to a terminal: text, colours,
// and what moves within a line (carriage return, backspace). Everything else
// that a terminal would act on is made visible.
type Live struct {
	to     io.Writer
	held   string // what may go on: an escape sequence or a character that is cut off
	colour bool   // a colour was let through and not taken back yet
}

// NewLive gives such a filter.
func NewLive(to io.Writer) *Live { return &Live{to: to} }

// maxSequence bounds a colour sequence; a longer one is none.
const maxSequence = 64

func (l *Live) Write(p []byte) (int, error) {
	text := l.held + string(p)
	var out strings.Builder
	for len(text) > 0 {
		n, whole := l.next(&out, text)
		if !whole {
			break
		}
		text = text[n:]
	}
	l.held = text
	if _, err := io.WriteString(l.to, out.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// reset is the sequence that takes every colour back.
const reset = "\x1b[0m"

// Close writes what was held back, and takes back a colour that was left on. It
// does not close what is written to.
func (l *Live) Close() error {
	text := Escape(l.held)
	if l.colour {
		text += reset
	}
	_, err := io.WriteString(l.to, text)
	l.held, l.colour = "", false
	return err
}

// next takes one character or sequence off the text; whole is false where more
// must be seen first.
func (l *Live) next(out *strings.Builder, text string) (n int, whole bool) {
	switch c := text[0]; {
	case c == '\r' || c == '\b' || c == '\a':
		out.WriteByte(c)
		return 1, true
	case c == 0x1b:
		return l.sequence(out, text)
	case c < 0x80:
		out.WriteString(Escape(text[:1]))
		return 1, true
	}
	end := 1
	for end < len(text) && end < 4 && text[end]&0xc0 == 0x80 {
		end++
	}
	if end == len(text) && end < 4 && !complete(text) {
		return 0, false
	}
	out.WriteString(Escape(text[:end]))
	return end, true
}

// complete says whether a string that begins with a multi-byte character holds
// all of it.
func complete(text string) bool {
	switch c := text[0]; {
	case c >= 0xf0:
		return len(text) >= 4
	case c >= 0xe0:
		return len(text) >= 3
	case c >= 0xc0:
		return len(text) >= 2
	}
	return true // not the beginning of one
}

// sequence lets an SGR sequence through: ESC [ digits and semicolons m.
func (l *Live) sequence(out *strings.Builder, text string) (n int, whole bool) {
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case i == 1 && c == '[':
		case i > 1 && (c >= '0' && c <= '9' || c == ';') && i < maxSequence:
		case i > 1 && c == 'm':
			out.WriteString(text[:i+1])
			l.colour = text[:i+1] != reset && text[:i+1] != "\x1b[m"
			return i + 1, true
		default:
			out.WriteString(Escape(text[:1]))
			return 1, true
		}
	}
	return 0, false
}
