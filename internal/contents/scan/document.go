package scan

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a document.
const (
	maxDepth = 200
	maxField = 512 // bytes of a field's name
)

// documentReader reads JSON (RFC 8259), one value after another, as a file of
// JSON and one of JSON lines have them, and takes every scalar as a value. It
// holds one string at a time. A record is a value, or an element where the
// value is a list.
type documentReader struct {
	c      *collector
	in     *stream
	record int64
	outer  *position // where the document is a string of another one
	paths  map[[2]string]string
	names  map[string]string // of fields, as they are written
}

var errDocument = errors.New("it is not JSON")

// documents looks at a file of JSON. With strict set, the file claims to be
// JSON and what is not is a problem; what follows is looked at as text in any
// case.
func (c *collector) documents(in *stream, strict bool) error {
	d := &documentReader{c: c, in: in}
	for {
		b, err := d.skip()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if b == '[' {
			d.in.skip(1)
			err = d.list()
		} else {
			err = d.one()
		}
		if errors.Is(err, errDocument) || errors.Is(err, io.EOF) {
			c.place.Record = d.record
			if strict {
				c.problem(in.at, "%v from here on; the rest was looked at as text", err)
			}
			return c.text(in, d.record)
		}
		if err != nil {
			return err
		}
	}
}

// one reads a value as a record.
func (d *documentReader) one() error {
	d.record++
	d.c.result.Records++
	return d.value("", 0)
}

// list reads the elements of a list at the top as records.
func (d *documentReader) list() error {
	for {
		b, err := d.skip()
		if err != nil {
			return err
		}
		if b == ']' || b == ',' {
			d.in.skip(1)
		}
		if b == ']' {
			return nil
		}
		if b != ',' {
			if err := d.one(); err != nil {
				return err
			}
		}
	}
}

// skip passes over white space, and gives the first byte behind it, which is still to be read.
func (d *documentReader) skip() (byte, error) {
	for {
		for i, b := range d.in.ahead() {
			if b != ' ' && b != '\n' && b != '\r' && b != '\t' {
				d.in.skip(i)
				return b, nil
			}
		}
		d.in.skip(len(d.in.ahead()))
		if _, err := d.in.peek(1); err != nil {
			return 0, err
		}
	}
}

// mark reads the byte that [documentReader.skip] gives, and says which it is.
func (d *documentReader) mark() (byte, error) {
	b, err := d.skip()
	if err == nil {
		d.in.skip(1)
	}
	return b, err
}

// value reads one value.
func (d *documentReader) value(field string, depth int) error {
	b, err := d.skip()
	if err != nil {
		return err
	}
	switch {
	case depth > maxDepth:
		return fmt.Errorf("%w: it is deeper than %d", errDocument, maxDepth)
	case b == '-' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z':
		return d.scalar(field)
	}
	d.in.skip(1)
	switch b {
	case '{':
		return d.object(field, depth)
	case '[':
		return d.elements(field, depth)
	case '"':
		return d.text(field)
	}
	return errDocument
}

func (d *documentReader) object(field string, depth int) error {
	for {
		b, err := d.mark()
		switch {
		case err != nil:
			return err
		case b == '}':
			return nil
		case b == ',':
			continue
		case b != '"':
			return errDocument
		}
		name, err := d.name()
		if err != nil {
			return err
		}
		if b, err = d.mark(); err != nil || b != ':' {
			return errors.Join(err, errDocument)
		}
		if err := d.value(d.path(field, name), depth+1); err != nil {
			return err
		}
	}
}

// path is that of a field in another, put together once.
func (d *documentReader) path(field, name string) string {
	if field == "" {
		return below(field, name)
	}
	k := [2]string{field, name}
	path, ok := d.paths[k]
	if !ok {
		path = below(field, name)
		if d.paths == nil || len(d.paths) >= maxColumns {
			d.paths = map[[2]string]string{}
		}
		d.paths[k] = path
	}
	return path
}

// below is the path of a field in another.
func below(field, name string) string {
	if field != "" {
		name = field + "." + name
	}
	if len(name) > maxField {
		return strings.ToValidUTF8(name[len(name)-maxField:], "")
	}
	return name
}

func (d *documentReader) elements(field string, depth int) error {
	for i := 0; ; i++ {
		b, err := d.skip()
		if err != nil {
			return err
		}
		if b == ']' || b == ',' {
			d.in.skip(1)
		}
		if b == ']' {
			return nil
		}
		if b == ',' {
			i--
			continue
		}
		if err := d.value(field+"["+strconv.Itoa(i)+"]", depth+1); err != nil {
			return err
		}
	}
}

// name reads a field's name. What is in it is looked at as well: a document may
// have addresses for keys.
func (d *documentReader) name() (string, error) {
	ahead := d.in.ahead()
	if i := inString.length(ahead); i < len(ahead) && ahead[i] == '"' {
		if name, ok := d.names[string(ahead[:i])]; ok { // which has nothing to look at
			d.in.skip(i + 1)
			return name, nil
		}
	}
	var name string
	looked := false
	err := d.pieces(func(v value) {
		if name == "" {
			name = v.text[:min(len(v.text), maxField)]
		}
		if strings.ContainsAny(v.text, "0123456789@") {
			looked = true
			d.take("", v)
		}
	})
	if err == nil && !looked && len(name) < maxField {
		name = strings.Clone(name)
		if d.names == nil || len(d.names) >= maxColumns {
			d.names = map[string]string{}
		}
		d.names[name] = name
	}
	return name, err
}

// What ends a part of a string, and a number or a word.
var (
	inString = stopAt("\"\\\n")
	inScalar = stopAt(" \n\r\t,]}:\"")
)

func (d *documentReader) text(field string) error {
	return d.pieces(func(v value) { d.take(field, v) })
}

func (d *documentReader) take(field string, v value) {
	v.field, v.record, v.place.outer = field, d.record, d.outer
	d.c.take(v)
}

// scalar reads a number or a word.
func (d *documentReader) scalar(field string) error {
	start := d.in.at
	text, err := d.word()
	if err != nil {
		return err
	}
	switch {
	case text == "true" || text == "false" || text == "null":
		return nil
	case text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') || len(text) == maxScalar:
		return errDocument
	}
	d.take(field, value{text: text, place: position{base: start}})
	return nil
}

// maxScalar is how long a number may be, in bytes.
const maxScalar = 400

// word reads up to what ends a number or a word.
func (d *documentReader) word() (string, error) {
	if ahead := d.in.ahead(); len(ahead) > maxScalar {
		i := inScalar.length(ahead[:maxScalar])
		text := d.in.text(ahead[:i])
		d.in.skip(i)
		return text, nil
	}
	word, err := d.in.until(inScalar, maxScalar, d.in.scratch[:0])
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	d.in.keep(word)
	return d.in.text(word), nil
}

// pieces reads the rest of a string and gives it, decoded, in pieces.
func (d *documentReader) pieces(give func(value)) error {
	if ahead := d.in.ahead(); len(ahead) < maxText {
		if i := inString.length(ahead); i < len(ahead) && ahead[i] == '"' { // it is there as a whole, without an escape
			start, text := d.in.at, d.in.text(ahead[:i])
			d.in.check(ahead[:i], start)
			d.in.skip(i + 1)
			give(value{text: text, place: position{base: start}})
			return nil
		}
	}
	start, seen := d.in.at, 0
	buf := d.in.scratch[:0]
	defer func() { d.in.keep(buf) }()
	var jumps []jump
	for {
		var err error
		buf, err = d.in.until(inString, maxText-len(buf), buf)
		if err != nil {
			return err
		}
		d.in.check(buf[seen:], start+int64(seen))
		if len(buf) >= maxText {
			give(value{text: d.in.text(buf), place: position{base: start, jumps: jumps}, seen: seen})
			start, seen = d.in.at-pieceOverlap, pieceOverlap
			buf, jumps = append([]byte(nil), buf[len(buf)-pieceOverlap:]...), nil
			continue
		}
		switch b, _ := d.in.next(); b {
		case '"':
			give(value{text: d.in.text(buf), place: position{base: start, jumps: jumps}, seen: seen})
			return nil
		case '\\':
			if buf, err = d.escape(buf); err != nil {
				return err
			}
			jumps = append(jumps, jump{len(buf), d.in.at - start - int64(len(buf))})
		default:
			return errDocument // a line may not end in a string
		}
	}
}

// escape reads what follows a backslash.
func (d *documentReader) escape(buf []byte) ([]byte, error) {
	b, err := d.in.next()
	if err != nil {
		return buf, err
	}
	if i := strings.IndexByte(`"\/bfnrt`, b); i >= 0 {
		return append(buf, "\"\\/\b\f\n\r\t"[i]), nil
	}
	if b != 'u' {
		return buf, errDocument
	}
	r, err := d.hex()
	if err != nil {
		return buf, err
	}
	if utf16.IsSurrogate(r) {
		if next, _ := d.in.peek(2); string(next) == `\u` {
			_, _ = d.in.next()
			_, _ = d.in.next()
			low, err := d.hex()
			if err != nil {
				return buf, err
			}
			r = utf16.DecodeRune(r, low)
		}
	}
	return utf8.AppendRune(buf, r), nil
}

func (d *documentReader) hex() (rune, error) {
	var digits [4]byte
	for i := range digits {
		b, err := d.in.next()
		if err != nil {
			return 0, err
		}
		digits[i] = b
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return 0, errDocument
	}
	return rune(n), nil
}
