package scan

import (
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// Bounds of what is held of one file, in bytes.
const (
	streamBuffer = 64 << 10
	maxText      = 1 << 20 // of one field; a longer one is looked at in pieces
	pieceOverlap = 256     // of two pieces, so that what lies across is seen
)

// stream reads a file and knows where it is.
type stream struct {
	r      io.Reader
	space  []byte
	lo, hi int   // what of it was read and not given yet
	failed error // of the reader, which is told once all before it was given
	at     int64 // bytes given
	// scratch is where a value is put together; who takes one gives it back.
	scratch []byte
	texts   strings.Builder // values, which share space
	// broken is where the first byte is that is not UTF-8, or -1.
	broken int64
}

func newStream(r io.Reader) *stream {
	return &stream{r: r, space: make([]byte, streamBuffer), broken: -1}
}

// textStream reads a text.
func textStream(text string) *stream {
	return &stream{space: []byte(text), hi: len(text), failed: io.EOF, broken: -1}
}

// maxEmpty is how often a reader may give nothing.
const maxEmpty = 100

// fill reads on until there are some bytes. It moves what is there to the beginning of its space.
func (s *stream) fill(n int) {
	have := copy(s.space, s.ahead())
	for empty := 0; have < n && s.failed == nil; empty++ {
		read, err := s.r.Read(s.space[have:])
		if have, s.failed = have+read, err; read > 0 {
			empty = 0
		} else if empty == maxEmpty {
			s.failed = io.ErrNoProgress
		}
	}
	s.lo, s.hi = 0, have
}

// ahead is what was read and not given yet.
func (s *stream) ahead() []byte { return s.space[s.lo:s.hi] }

// peek gives the next bytes, at most n of at most [streamBuffer]. Where there are fewer, the error says why.
func (s *stream) peek(n int) ([]byte, error) {
	if s.hi-s.lo < n && s.failed == nil {
		s.fill(min(n, len(s.space)))
	}
	if s.hi-s.lo < n {
		return s.ahead(), s.failed
	}
	return s.space[s.lo : s.lo+n], nil
}

// skip passes over bytes that were peeked at.
func (s *stream) skip(n int) {
	s.lo += n
	s.at += int64(n)
}

// next reads a byte.
func (s *stream) next() (byte, error) {
	if s.lo == s.hi {
		if _, err := s.peek(1); err != nil {
			return 0, err
		}
	}
	b := s.space[s.lo]
	s.skip(1)
	return b, nil
}

// back gives the last byte that [stream.next] gave once more. Nothing was peeked at since.
func (s *stream) back() { s.skip(-1) }

// keep takes scratch space back, unless a long value has made it large.
func (s *stream) keep(buf []byte) {
	if cap(buf) <= streamBuffer {
		s.scratch = buf[:0]
	}
}

// text makes a text of bytes. Short ones share space, because most values are short.
func (s *stream) text(b []byte) string {
	if len(b) > sharedText/8 {
		return string(b)
	}
	if s.texts.Cap()-s.texts.Len() < len(b) {
		s.texts = strings.Builder{}
		s.texts.Grow(max(len(b), min(sharedText, len(s.space))))
	}
	n := s.texts.Len()
	s.texts.Write(b)
	return s.texts.String()[n:]
}

// sharedText is how many bytes of texts share space.
const sharedText = 16 << 10

// stop is a set of bytes that end something.
type stop [256]bool

func stopAt(bytes string) *stop {
	var s stop
	for i := range len(bytes) {
		s[bytes[i]] = true
	}
	return &s
}

// length is how many bytes come before the first that is in the set; all where none is.
func (s *stop) length(text []byte) int {
	for i, c := range text {
		if s[c] {
			return i
		}
	}
	return len(text)
}

// until reads up to the first byte of a set, which is not read, and at most n
// bytes. It gives fewer only at one of them or at the end.
func (s *stream) until(at *stop, n int, into []byte) ([]byte, error) {
	for n > 0 {
		if _, err := s.peek(1); err != nil {
			return into, err
		}
		part := s.space[s.lo:min(s.lo+n, s.hi)]
		i := at.length(part)
		into = append(into, part[:i]...)
		s.skip(i)
		n -= i
		if i < len(part) {
			return into, nil
		}
	}
	return into, nil
}

// check notes where a text that began at a place is not UTF-8.
func (s *stream) check(text []byte, at int64) {
	if s.broken >= 0 || utf8.Valid(text) {
		return
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			s.broken = at + int64(i)
			return
		}
		i += n
	}
}

// text looks at a file line by line, from where the stream is.
func (c *collector) text(in *stream, record int64) error {
	for {
		record++
		if err := c.line(in, record); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		c.result.Records++
	}
}

var atLineEnd = stopAt("\n")

// line looks at a line; io.EOF means that there was none. A line that is
// longer than a piece is looked at in several.
func (c *collector) line(in *stream, record int64) error {
	start, seen := in.at, 0
	buf := in.scratch[:0]
	defer func() { in.keep(buf) }()
	for {
		var err error
		buf, err = in.until(atLineEnd, maxText-len(buf), buf)
		if err != nil && (!errors.Is(err, io.EOF) || len(buf) == 0) {
			return err
		}
		in.check(buf, start)
		if len(buf) > seen {
			c.take(value{record: record, text: in.text(buf), place: position{base: start}, seen: seen})
		}
		if len(buf) < maxText {
			_, _ = in.next() // the end of the line, or of the file
			return nil
		}
		start += int64(len(buf) - pieceOverlap)
		buf, seen = append([]byte(nil), buf[len(buf)-pieceOverlap:]...), pieceOverlap
	}
}
