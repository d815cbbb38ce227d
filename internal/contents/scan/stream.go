package scan

import (
	"bufio"
	"bytes"
	"errors"
	"io"
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
	r  *bufio.Reader
	at int64 // bytes read
	// scratch is where a value is put together; who takes one gives it back.
	scratch []byte
	// broken is where the first byte is that is not UTF-8, or -1.
	broken int64
}

func newStream(r io.Reader) *stream {
	return &stream{r: bufio.NewReaderSize(r, streamBuffer), broken: -1}
}

// next reads a byte.
func (s *stream) next() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		s.at++
	}
	return b, err
}

func (s *stream) back() {
	if s.r.UnreadByte() == nil {
		s.at--
	}
}

// keep takes scratch space back, unless a long value has made it large.
func (s *stream) keep(buf []byte) {
	if cap(buf) <= streamBuffer {
		s.scratch = buf[:0]
	}
}

// until reads up to the first of the bytes, which is not read, and at most n
// bytes. It gives fewer only at one of them or at the end.
func (s *stream) until(stop string, n int, into []byte) ([]byte, error) {
	for n > 0 {
		if s.r.Buffered() == 0 {
			if _, err := s.r.Peek(1); err != nil {
				return into, err
			}
		}
		part, _ := s.r.Peek(min(n, s.r.Buffered()))
		i := bytes.IndexAny(part, stop)
		if i >= 0 {
			part = part[:i]
		}
		into = append(into, part...)
		_, _ = s.r.Discard(len(part))
		s.at += int64(len(part))
		n -= len(part)
		if i >= 0 {
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

// line looks at a line; io.EOF means that there was none. A line that is
// longer than a piece is looked at in several.
func (c *collector) line(in *stream, record int64) error {
	start, seen := in.at, 0
	buf := in.scratch[:0]
	defer func() { in.keep(buf) }()
	for {
		var err error
		buf, err = in.until("\n", maxText-len(buf), buf)
		if err != nil && (!errors.Is(err, io.EOF) || len(buf) == 0) {
			return err
		}
		in.check(buf, start)
		if len(buf) > seen {
			c.take(value{record: record, text: string(buf), place: position{base: start}, seen: seen})
		}
		if len(buf) < maxText {
			_, _ = in.next() // the end of the line, or of the file
			return nil
		}
		start += int64(len(buf) - pieceOverlap)
		buf, seen = append([]byte(nil), buf[len(buf)-pieceOverlap:]...), pieceOverlap
	}
}
