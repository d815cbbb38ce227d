package gateway

import (
	"bytes"
	"io"
	"strings"
)

// swap says what is written in the place of what.
type swap struct{ from, to string }

// redactor writes on what is written to it, with each swap's first text replaced
// by its second, also where it comes in pieces. What could be the beginning of
// one is held back until it is known to be none, and nothing else is.
type redactor struct {
	out   io.Writer
	swaps []swap // none with an empty first text
	found map[string]bool
	held  []byte
}

// Write implements [io.Writer].
func (r *redactor) Write(p []byte) (int, error) {
	rest := append(r.held, p...)
	var out bytes.Buffer
	for {
		at, s := first(rest, r.swaps)
		if s == nil {
			break
		}
		out.Write(rest[:at])
		out.WriteString(s.to)
		r.note(s.to)
		rest = rest[at+len(s.from):]
	}
	keep := beginning(rest, r.swaps)
	out.Write(rest[:len(rest)-keep])
	r.held = bytes.Clone(rest[len(rest)-keep:])
	if _, err := r.out.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (r *redactor) note(to string) {
	if r.found == nil {
		r.found = map[string]bool{}
	}
	r.found[to] = true
}

// Close writes what was held back: it is the beginning of nothing.
func (r *redactor) Close() error {
	_, err := r.out.Write(r.held)
	r.held = nil
	return err
}

// first finds the swap that is due first in a text; of two at one place, the
// longer.
func first(text []byte, swaps []swap) (at int, due *swap) {
	for i := range swaps {
		n := bytes.Index(text, []byte(swaps[i].from))
		if n >= 0 && (due == nil || n < at || n == at && len(swaps[i].from) > len(due.from)) {
			at, due = n, &swaps[i]
		}
	}
	return at, due
}

// beginning says how many bytes at the end of a text could be the beginning of
// what is to be replaced.
func beginning(text []byte, swaps []swap) (most int) {
	for _, s := range swaps {
		for n := min(len(s.from)-1, len(text)); n > most; n-- {
			if bytes.HasSuffix(text, []byte(s.from[:n])) {
				most = n
			}
		}
	}
	return most
}

// redacted is a whole text with the swaps made.
func redacted(text string, swaps []swap) string {
	var out strings.Builder
	r := &redactor{out: &out, swaps: swaps}
	_, _ = r.Write([]byte(text)) // a builder takes everything
	_ = r.Close()
	return out.String()
}
