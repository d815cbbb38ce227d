package scan

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
	"modernc.org/sqlite/vfs"
)

// Bounds of a database.
const (
	maxRow    = 16 << 20 // bytes
	maxTables = 100_000
)

// databaseReader reads a SQLite database, table by table. SQLite sees the one file, read only, through
// its own descriptor: no journal, no log and no temporary file is opened or made. Nothing of the
// schema is run but what columns are computed by, which calls no function that reaches out of the
// database.
type databaseReader struct {
	c    *collector
	m    member
	conn *sql.Conn
}

// database looks at a SQLite database.
func (c *collector) database(m member, r io.ReaderAt, size int64) error {
	name, files, err := vfs.New(oneFile{io.NewSectionReader(r, 0, size)})
	if err != nil {
		return fmt.Errorf("opening it: %w", err)
	}
	db, err := sql.Open("sqlite", "file:db?immutable=1&mode=ro&vfs="+name+
		"&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)&_pragma=mmap_size(0)&_pragma=temp_store(2)&_pragma=cache_size(-8192)")
	if err != nil {
		return errors.Join(fmt.Errorf("opening it: %w", err), files.Close())
	}
	err = c.opened(m, db)
	return errors.Join(err, db.Close(), files.Close())
}

// opened looks at a database by one connection. What SQLite says of it is a problem of the file.
func (c *collector) opened(m member, db *sql.DB) error {
	ctx := context.Background() // the program ends with who asked
	conn, err := db.Conn(ctx)
	if err == nil {
		defer conn.Close()
		_, err = sqlite.Limit(conn, sqlite3.SQLITE_LIMIT_LENGTH, maxRow)
	}
	d := databaseReader{c: c, m: m, conn: conn}
	if err == nil {
		err = d.sound(ctx)
	}
	if err == nil {
		err = d.tables(ctx)
	}
	if err != nil && !errors.Is(err, errBomb) {
		c.problem(0, "SQLite cannot read it: %v", err)
		return nil
	}
	return err
}

// sound says what could hide bytes from who reads the tables: pages of what was deleted, pages of
// nothing, and an index that has other values than its table.
func (d *databaseReader) sound(ctx context.Context) error {
	var answer string
	if err := d.conn.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&answer); err != nil {
		return err
	}
	if answer != "ok" {
		d.c.problem(0, "it is not sound: %s", outlined(answer))
	}
	var free int64
	if err := d.conn.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&free); err != nil {
		return err
	}
	if free > 0 {
		d.c.problem(0, "it has pages of what was deleted; make it anew with VACUUM")
	}
	return nil
}

// outlined is what a library says of hostile bytes, short.
func outlined(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), 200)], "")
}

// tables looks at what the schema says, and at every table that has rows of its own; virtual tables keep
// theirs in such.
func (d *databaseReader) tables(ctx context.Context) error {
	rows, err := d.conn.QueryContext(ctx, "SELECT type, name, coalesce(sql, ''), coalesce(rootpage, 0) FROM sqlite_schema")
	if err != nil {
		return err
	}
	names := []string{"sqlite_schema"}
	for rows.Next() {
		var kind, name, text string
		var page int64
		if err := rows.Scan(&kind, &name, &text, &page); err != nil {
			return errors.Join(err, rows.Close())
		}
		switch {
		case kind == "table" && page > 0:
			names = append(names, name)
		case kind == "table": // beside one, SQLite does not look for pages of nothing
			d.c.problem(0, "the table %q is a virtual one, whose index cannot be looked into; drop it", outlined(name))
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if len(names) > maxTables {
		return fmt.Errorf("it has %d tables, more than %d", len(names), maxTables)
	}
	for _, name := range names {
		if err := d.c.part(name, func() error { return d.table(ctx, name) }); err != nil {
			return err
		}
	}
	return nil
}

// table looks at the rows of a table, field by field. Indexes are not used: they may have other values.
func (d *databaseReader) table(ctx context.Context, name string) error {
	columns, err := d.columns(ctx, name)
	if err != nil {
		return err
	}
	var list strings.Builder
	for i, column := range columns {
		if i > 0 {
			list.WriteString(", ")
		}
		list.WriteString("+" + quoted(column)) // without its declared type, which would make of text a time
	}
	rows, err := d.conn.QueryContext(ctx, "SELECT "+list.String()+" FROM "+quoted(name)+" NOT INDEXED")
	if err != nil {
		return err
	}
	defer rows.Close()
	fields := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range fields {
		into[i] = &fields[i]
	}
	for record := int64(1); rows.Next(); record++ {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		d.c.result.Records++
		for i, v := range fields {
			if err := d.field(record, columns[i], v); err != nil {
				return err
			}
		}
	}
	d.c.place.Record, d.c.place.Field = 0, ""
	return rows.Err()
}

// columns are the names of a table's columns, with those that are computed.
func (d *databaseReader) columns(ctx context.Context, table string) ([]string, error) {
	rows, err := d.conn.QueryContext(ctx, "SELECT name, hidden FROM pragma_table_xinfo(?)", table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var name string
		var hidden int
		if err := rows.Scan(&name, &hidden); err != nil {
			return nil, err
		}
		if hidden != 1 { // of a virtual table
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return nil, errors.Join(rows.Err(), errors.New("the table has no columns"))
	}
	return list, rows.Err()
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// field looks at one value of a row.
func (d *databaseReader) field(record int64, field string, v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return d.c.cell(d.m, record, field, v)
	case []byte:
		return d.c.blob(d.m, record, field, v)
	case int64:
		return d.c.cell(d.m, record, field, strconv.FormatInt(v, 10))
	case float64:
		return d.c.cell(d.m, record, field, decimal(v))
	}
	return fmt.Errorf("a value of type %T", v)
}

// decimal writes a number as people do.
func decimal(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e18 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// cell looks at the value of a field that has no place in the file's bytes: offsets are in the value. It
// counts as unpacked.
func (c *collector) cell(m member, record int64, field, text string) error {
	if *m.left -= int64(len(text)) + 1; *m.left < 0 {
		return errBomb
	}
	if len(field) > maxField {
		field = strings.ToValidUTF8(field[:maxField], "")
	}
	if !utf8.ValidString(text) {
		c.place.Record, c.place.Field = record, field
		c.problem(0, "it is not UTF-8; what is not ASCII in it was not understood")
	}
	for start, seen := 0, 0; start < len(text); {
		end := min(start+maxText, len(text))
		c.take(value{record: record, field: field, text: text[start:end], place: position{base: int64(start)}, seen: seen})
		if end == len(text) {
			break
		}
		start, seen = end-pieceOverlap, pieceOverlap
	}
	return nil
}

// blob looks at bytes in a field: as text if they are, else as a file.
func (c *collector) blob(m member, record int64, field string, data []byte) error {
	if utf8.Valid(data) && bytes.IndexByte(data, 0) < 0 {
		return c.cell(m, record, field, string(data))
	}
	return c.inner(m, fmt.Sprintf("%d!%s", record, field[:min(len(field), maxField)]), bytes.NewReader(data))
}

// oneFile is a file system that has one file, of any name that is no journal's.
type oneFile struct{ data *io.SectionReader }

func (f oneFile) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, "-journal") || strings.HasSuffix(name, "-wal") {
		return nil, fs.ErrNotExist
	}
	return openFile{io.NewSectionReader(f.data, 0, f.data.Size())}, nil
}

// openFile is that file, opened.
type openFile struct{ *io.SectionReader }

func (f openFile) Close() error               { return nil }
func (f openFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f openFile) Name() string               { return "db" }
func (f openFile) Mode() fs.FileMode          { return 0o400 }
func (f openFile) ModTime() time.Time         { return time.Time{} }
func (f openFile) IsDir() bool                { return false }
func (f openFile) Sys() any                   { return nil }
