package scan

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// maxColumns bounds the names that are remembered of a table's columns.
const maxColumns = 4096

// tableReader reads CSV as RFC 4180 has it, and whatever else is called so,
// one field at a time. A quote that is not closed cannot make it hold more.
type tableReader struct {
	c         *collector
	in        *stream
	separator byte
	stop      *stop // the separator, and the end of a line
	names     []string
	record    int64
	ended     bool // the field ended its record
}

// table looks at a file of CSV. The first row names the columns if none of its
// fields has a digit or an @.
func (c *collector) table(in *stream) error {
	t := &tableReader{c: c, in: in, separator: separatorOf(in)}
	t.stop = stopAt(string([]byte{t.separator, '\n'}))
	for {
		if _, err := in.peek(1); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		t.record++
		c.result.Records++
		if err := t.row(); err != nil {
			return err
		}
	}
}

// separatorOf guesses what separates fields, from the first line.
func separatorOf(in *stream) byte {
	head, _ := in.peek(4096)
	line, _, _ := strings.Cut(string(head), "\n")
	best := byte(',')
	for _, s := range []byte(",;\t|") {
		if strings.Count(line, string(s)) > strings.Count(line, string(best)) {
			best = s
		}
	}
	return best
}

func (t *tableReader) row() error {
	var first []value
	columns := 0
	for t.ended = false; !t.ended; columns++ {
		column := columns
		err := t.field(func(v value) {
			if t.record == 1 && column < maxColumns {
				first = append(first, v)
				return
			}
			v.field, v.record = t.column(column), t.record
			t.c.take(v)
		})
		if err != nil {
			return err
		}
	}
	if t.record == 1 {
		t.heading(first)
	} else if columns > len(t.names) && (columns > 1 || len(t.names) > 0) {
		t.c.place.Record = t.record
		t.c.problem(t.in.at, "row %d has %d fields, and the first row %d", t.record, columns, len(t.names))
	}
	return nil
}

// heading takes the first row for the columns' names, or as a row.
func (t *tableReader) heading(row []value) {
	heads := true
	for _, v := range row {
		heads = heads && !strings.ContainsAny(v.text, "@") && len(identify("", v.text)) == 0 && len(v.text) <= maxField
	}
	for i, v := range row {
		t.names = append(t.names, strconv.Itoa(i+1))
		if heads && v.text != "" {
			t.names[i] = v.text
		}
	}
	for i, v := range row {
		v.field, v.record, v.heading = t.names[i], 1, heads
		t.c.take(v)
	}
}

func (t *tableReader) column(i int) string {
	if i < len(t.names) {
		return t.names[i]
	}
	return strconv.Itoa(i + 1)
}

// field reads one field and gives it in pieces.
func (t *tableReader) field(give func(value)) error {
	if head, _ := t.in.peek(1); len(head) == 1 && head[0] == '"' {
		_, _ = t.in.next()
		return t.quoted(give)
	}
	return t.pieces(give, t.stop, func(buf []byte) ([]byte, bool, error) {
		b, err := t.in.next()
		t.ended = err != nil || b == '\n'
		return bytes.TrimSuffix(buf, []byte("\r")), true, nil
	})
}

var atQuote = stopAt(`"`)

// quoted reads the rest of a field in quotes. What follows the closing quote
// still belongs to the field.
func (t *tableReader) quoted(give func(value)) error {
	line := t.in.at
	return t.pieces(give, atQuote, func(buf []byte) ([]byte, bool, error) {
		if _, err := t.in.next(); err != nil {
			t.ended = true
			t.c.place.Record = t.record
			t.c.problem(line, "the quote is not closed")
			return buf, true, nil
		}
		b, err := t.in.next()
		switch {
		case err != nil || b == '\n':
			t.ended = true
		case b == t.separator:
		case b == '"':
			return append(buf, '"'), false, nil
		case b == '\r':
			end, err := t.in.next()
			if t.ended = err != nil || end == '\n'; !t.ended {
				return append(buf, '"', '\r', end), false, nil
			}
		default:
			t.c.place.Record = t.record
			t.c.problem(t.in.at-1, "a quote stands in the middle of a field")
			return append(buf, '"', b), false, nil
		}
		return buf, true, nil
	})
}

// pieces reads up to one of the bytes, asks what follows, and goes on until
// that says that the field is whole.
func (t *tableReader) pieces(give func(value), at *stop, after func([]byte) ([]byte, bool, error)) error {
	start, seen := t.in.at, 0
	buf := t.in.scratch[:0]
	defer func() { t.in.keep(buf) }()
	var jumps []jump
	for {
		var err error
		buf, err = t.in.until(at, maxText-len(buf), buf)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		t.in.check(buf[min(seen, len(buf)):], start)
		if len(buf) >= maxText {
			give(value{text: t.in.text(buf), place: position{base: start, jumps: jumps}, seen: seen})
			start, seen = t.in.at-pieceOverlap, pieceOverlap
			buf, jumps = append([]byte(nil), buf[len(buf)-pieceOverlap:]...), nil
			continue
		}
		whole := false
		buf, whole, err = after(buf)
		if err != nil {
			return err
		}
		if whole {
			give(value{text: t.in.text(buf), place: position{base: start, jumps: jumps}, seen: seen})
			return nil
		}
		jumps = append(jumps, jump{len(buf), t.in.at - start - int64(len(buf))})
	}
}
