package scan

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is remembered of a dump's tables.
const (
	maxDumpTables = 10_000
	maxPrefix     = 8 // bytes before a string's quote: E, N, _utf8
)

// dumpReader reads a dump of a database, as pg_dump, mysqldump and sqlite3 write them: the rows of INSERT
// and COPY field by field, by the columns' names, and everything else as text.
type dumpReader struct {
	c       *collector
	in      *stream
	record  int64 // rows, and lines of other text
	columns map[string][]string
}

// dumped says whether a text without a name begins as a dump does.
func dumped(head []byte) bool {
	start := bytes.ToUpper(head[:min(len(head), headSize)])
	for _, sign := range []string{"-- POSTGRESQL DATABASE DUMP", "-- MYSQL DUMP", "-- MARIADB DUMP", "PRAGMA FOREIGN_KEYS=OFF;", "INSERT INTO ", "CREATE TABLE "} {
		if bytes.HasPrefix(start, []byte(sign)) || bytes.Contains(start, []byte("\n"+sign)) {
			return true
		}
	}
	return false
}

// dump looks at a dump, statement by statement.
func (c *collector) dump(in *stream) error {
	d := &dumpReader{c: c, in: in, columns: map[string][]string{}}
	for {
		err := d.statement()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// statement reads a line that begins none, or one that does. What a statement begins with decides.
func (d *dumpReader) statement() error {
	head, err := d.in.peek(headSize)
	if len(head) == 0 {
		return err
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	words := strings.Fields(strings.ToUpper(string(line[:min(len(line), 64)])))
	switch {
	case len(words) > 2 && (words[0] == "INSERT" || words[0] == "REPLACE"):
		return d.insert()
	case len(words) > 1 && words[0] == "COPY":
		return d.copy(string(line))
	case len(words) > 2 && words[0] == "CREATE":
		d.create(head)
	}
	return d.line()
}

// line looks at a line as text.
func (d *dumpReader) line() error {
	d.record++
	if err := d.c.line(d.in, d.record); err != nil {
		return err
	}
	d.c.result.Records++
	return nil
}

// create remembers the columns of a table whose definition a text begins with. What it says is looked at
// as text, too.
func (d *dumpReader) create(head []byte) {
	before, body, ok := strings.Cut(string(head), "(")
	words := strings.Fields(before)
	if !ok || len(words) < 3 || !strings.EqualFold(words[1], "TABLE") && !strings.EqualFold(words[2], "TABLE") || len(d.columns) >= maxDumpTables {
		return
	}
	d.columns[plainName(words[len(words)-1])] = definitions(body)
}

// definitions are the first words of what stands between commas, until the parentheses close.
func definitions(body string) []string {
	var list []string
	depth, first := 0, true
	for i := 0; i < len(body) && depth >= 0; i++ {
		switch c := body[i]; {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			first = true
		case c == '\'':
			if end := strings.IndexByte(body[i+1:], '\''); end >= 0 {
				i += end + 1
			}
		case first && strings.IndexByte(" \t\r\n", c) < 0:
			name, n := leadingName(body[i:])
			i += max(n-1, 0)
			first = false
			if !constraint(name) {
				list = append(list, name)
			}
		}
	}
	return list
}

func constraint(word string) bool {
	switch strings.ToUpper(word) {
	case "PRIMARY", "KEY", "UNIQUE", "CONSTRAINT", "FOREIGN", "CHECK", "INDEX", "FULLTEXT", "EXCLUDE", "LIKE":
		return true
	}
	return false
}

// leadingName is the name that a text begins with, without its quotes, and its length with them.
func leadingName(s string) (string, int) {
	closing := map[byte]byte{'"': '"', '`': '`', '[': ']'}
	if end, ok := closing[s[0]]; ok {
		i := strings.IndexByte(s[1:], end)
		if i < 0 {
			return "", len(s)
		}
		return s[1 : i+1], i + 2
	}
	n := strings.IndexAny(s, " \t\r\n,()")
	if n < 0 {
		n = len(s)
	}
	return s[:n], n
}

// plainName is a table's name without its schema's and without quotes.
func plainName(s string) string {
	s = s[strings.LastIndexByte(s, '.')+1:]
	return strings.ToLower(strings.Trim(s, "\"`[]"))
}

// nameList splits a list of columns.
func nameList(s string) []string {
	var list []string
	for part := range strings.SplitSeq(s, ",") {
		list = append(list, strings.Trim(strings.TrimSpace(part), "\"`[]"))
	}
	return list
}

// column is the name of a table's field.
func column(table string, names []string, i int) string {
	if i < len(names) && names[i] != "" {
		return below(table, names[i])
	}
	return below(table, strconv.Itoa(i+1))
}

// copy reads COPY … FROM stdin of PostgreSQL: a line for each row, with tabs between fields, until one with
// \. alone.
func (d *dumpReader) copy(line string) error {
	before, rest, ok := strings.Cut(line, "(")
	list, after, closed := strings.Cut(rest, ")")
	if !ok {
		after, closed = before, true
	}
	upper := strings.ToUpper(after)
	words := strings.Fields(before)
	if !closed || !strings.Contains(upper, "FROM STDIN") || strings.Contains(upper, "CSV") || strings.Contains(upper, "BINARY") {
		return d.line()
	}
	table := plainName(words[1])
	names := d.columns[table]
	if ok {
		names = nameList(list)
	}
	if err := d.line(); err != nil {
		return err
	}
	for {
		if head, err := d.in.peek(2); len(head) == 0 {
			d.c.place.Record = d.record
			d.c.problem(d.in.at, "the rows of COPY do not end")
			return err
		} else if string(head) == `\.` {
			return d.line()
		}
		if err := d.copied(table, names); err != nil {
			return err
		}
	}
}

// copied reads one row of COPY.
func (d *dumpReader) copied(table string, names []string) error {
	d.record++
	d.c.result.Records++
	for i := 0; ; i++ {
		field := column(table, names, i)
		p := pieces{d: d, field: field, start: d.in.at}
		ended, err := p.copied()
		if ended || err != nil {
			if err == nil && len(names) > 0 && i+1 != len(names) {
				d.c.place.Record = d.record
				d.c.problem(d.in.at, "a row has %d fields, and the table %q has %d", i+1, table, len(names))
			}
			return err
		}
	}
}

// insert reads INSERT INTO … VALUES. What has another form is looked at as text, from where it has.
func (d *dumpReader) insert() error {
	start := d.in.at
	head, table, names := d.target()
	if head == "" {
		return d.line()
	}
	d.record++
	d.c.take(value{record: d.record, text: head, place: position{base: start}})
	for {
		b, err := d.in.next()
		switch {
		case err != nil:
			return err
		case b == '(':
			if err := d.row(table, names); err != nil {
				return err
			}
		case b == ';':
			return d.rest()
		case b == '\n' && d.ends():
			return nil
		case strings.IndexByte(", \t\r\n", b) < 0:
			d.in.back()
			return d.line() // ON CONFLICT, RETURNING
		}
	}
}

// rest passes over the end of a statement's line.
func (d *dumpReader) rest() error {
	for {
		b, err := d.in.next()
		if err != nil || b == '\n' {
			return err
		}
		if strings.IndexByte(" \t\r", b) < 0 {
			d.in.back()
			return nil
		}
	}
}

// ends says whether what follows the end of a line does not go on with rows.
func (d *dumpReader) ends() bool {
	head, _ := d.in.peek(1)
	return len(head) == 0 || strings.IndexByte("(, \t\r\n;", head[0]) < 0
}

// target reads up to the first row: the table and its columns. It gives nothing where there is none.
func (d *dumpReader) target() (head, table string, names []string) {
	text, _ := d.in.peek(32 << 10)
	end := valuesEnd(text)
	if stop := bytes.IndexAny(text, ";'"); end < 0 || stop >= 0 && stop < end {
		return "", "", nil
	}
	head = string(text[:end])
	d.in.skip(end)
	before, list, listed := strings.Cut(head, "(")
	words := strings.Fields(before)
	at := 1 + slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, "INTO") })
	if at == 0 {
		at = 1 // SQL Server needs none
	}
	if at < len(words) {
		table = plainName(words[at])
		names = d.columns[table]
	}
	if list, _, closed := strings.Cut(list, ")"); listed && closed {
		names = nameList(list)
	}
	return head, table, names
}

// valuesEnd is where VALUES ends that a row follows, or -1.
func valuesEnd(text []byte) int {
	upper := bytes.ToUpper(text)
	for from := 0; ; {
		i := bytes.Index(upper[from:], []byte("VALUES"))
		if i < 0 {
			return -1
		}
		from += i + len("VALUES")
		if bytes.HasPrefix(bytes.TrimLeft(upper[from:], " \t\r\n"), []byte("(")) {
			return from
		}
	}
}

// row reads the values between parentheses; the opening one was read.
func (d *dumpReader) row(table string, names []string) error {
	d.record++
	d.c.result.Records++
	for i := 0; ; {
		b, err := d.in.next()
		if err != nil {
			return d.open(err)
		}
		p := pieces{d: d, field: column(table, names, i), start: d.in.at}
		switch {
		case b == ',':
			i++
		case b == ')':
			if len(names) > 0 && i+1 != len(names) {
				d.c.place.Record, d.c.place.Field = d.record, ""
				d.c.problem(d.in.at, "a row has %d fields, and the table %q has %d", i+1, table, len(names))
			}
			return nil
		case b == '\'' || b == '"':
			err = p.quoted(b)
		case strings.IndexByte(" \t\r\n", b) < 0:
			d.in.back()
			p.start--
			err = p.bare()
		}
		if err != nil {
			return d.open(err)
		}
	}
}

// open says that a statement ends in the middle.
func (d *dumpReader) open(err error) error {
	if errors.Is(err, io.EOF) {
		d.c.place.Record = d.record
		d.c.problem(d.in.at, "it ends in the middle of a row")
	}
	return err
}

// pieces takes a value in pieces of bounded size, with the places of its escapes.
type pieces struct {
	d     *dumpReader
	field string
	start int64
	seen  int
	buf   []byte
	jumps []jump
}

func (p *pieces) give() {
	p.d.in.check(p.buf, p.start)
	p.d.c.take(value{
		record: p.d.record, field: p.field, text: p.d.in.text(p.buf), seen: p.seen,
		place: position{base: p.start, jumps: p.jumps},
	})
}

// What ends a part of a value: one in quotes, one without, one of COPY.
var (
	quotes      = map[byte]*stop{'\'': stopAt(`'\`), '"': stopAt(`"\`)}
	atBareEnd   = stopAt(`,)('"`)
	atCopiedEnd = stopAt("\t\n\\")
)

// until reads to one of the bytes. A piece that is full is looked at, and its end is kept.
func (p *pieces) until(at *stop) (err error) {
	for {
		p.buf, err = p.d.in.until(at, maxText-len(p.buf), p.buf)
		if err != nil || len(p.buf) < maxText {
			return err
		}
		p.give()
		p.start, p.seen = p.d.in.at-pieceOverlap, pieceOverlap
		p.buf, p.jumps = append([]byte(nil), p.buf[len(p.buf)-pieceOverlap:]...), nil
	}
}

// escape puts what an escape means, and notes that the file has more bytes.
func (p *pieces) escape(meant ...byte) {
	p.buf = append(p.buf, meant...)
	p.jumps = append(p.jumps, jump{len(p.buf), p.d.in.at - p.start - int64(len(p.buf))})
}

// quoted reads the rest of a string. A quote is written twice in it, or after a backslash, which stands for
// itself where the standard holds and before no quote.
func (p *pieces) quoted(quote byte) error {
	for {
		if err := p.until(quotes[quote]); err != nil {
			return err
		}
		b, err := p.d.in.next()
		if err != nil {
			return err
		}
		next, _ := p.d.in.peek(2)
		switch {
		case b == quote && len(next) > 0 && next[0] == quote:
			_, _ = p.d.in.next()
			p.escape(quote)
		case b == quote:
			p.give()
			return nil
		case len(next) > 1 && next[0] == quote && closes(next[1]):
			p.buf = append(p.buf, b) // C:\', and the value ends
		case len(next) > 0:
			_, _ = p.d.in.next()
			p.escape(unescaped(b, next[0])...)
		}
	}
}

// closes says whether a byte behind a quote ends a value.
func closes(c byte) bool { return c == ',' || c == ')' }

// unescaped is what a backslash and a letter mean to those for whom they mean something.
func unescaped(backslash, c byte) []byte {
	switch c {
	case 'n':
		return []byte{'\n'}
	case 't':
		return []byte{'\t'}
	case 'r':
		return []byte{'\r'}
	case '0':
		return []byte{' '}
	case '\'', '"', '\\':
		return []byte{c}
	}
	return []byte{backslash, c}
}

// bare reads a number, a word, a call, or a string that letters stand before: E'…', N'…', _utf8'…'.
func (p *pieces) bare() error {
	depth, quote := 0, byte(0)
	for {
		if err := p.until(atBareEnd); err != nil {
			return err
		}
		b, err := p.d.in.next()
		if err != nil {
			return err
		}
		switch {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case depth == 0 && (b == ',' || b == ')'):
			p.d.in.back()
			p.word()
			return nil
		case depth == 0 && b == '\'' && len(p.buf) <= maxPrefix:
			p.buf, p.start = nil, p.d.in.at
			return p.quoted(b)
		case b == '(':
			depth++
		case b == ')':
			depth--
		case b == '\'' || b == '"':
			quote = b
		}
		p.buf = append(p.buf, b)
	}
}

// word gives what stands without quotes, but for NULL.
func (p *pieces) word() {
	p.buf = bytes.TrimRight(p.buf, " \t\r\n")
	if !strings.EqualFold(string(p.buf), "NULL") {
		p.give()
	}
}

// copied reads a field of COPY, and says whether it ended its row.
func (p *pieces) copied() (ended bool, err error) {
	for {
		if err := p.until(atCopiedEnd); err != nil && !errors.Is(err, io.EOF) {
			return true, err
		}
		b, err := p.d.in.next()
		if err != nil || b != '\\' {
			if string(p.buf) != "" {
				p.give()
			}
			return err != nil || b == '\n', nil
		}
		if b, err = p.d.in.next(); err != nil {
			continue
		}
		switch i := strings.IndexByte("bfnrtv", b); {
		case b == 'N' && len(p.buf) == 0: // no value
		case i >= 0:
			p.escape("\b\f\n\r\t\v"[i])
		default:
			p.escape(b)
		}
	}
}
