package synth

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// formats are what sets are written in, by the ends of their files' names.
var formats = []string{"jsonl", "csv", "json"}

// writer writes records to a file.
type writer struct {
	file   *os.File
	buf    *bufio.Writer
	format string
	table  *csv.Writer
	text   bytes.Buffer
	rows   int64
}

func newWriter(path, format string) (*writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	w := &writer{file: f, buf: bufio.NewWriterSize(f, 1<<16), format: format}
	if format == "csv" {
		w.table = csv.NewWriter(w.buf)
	}
	return w, nil
}

func (w *writer) write(r record) error {
	defer func() { w.rows++ }()
	if w.table != nil {
		return w.row(r)
	}
	switch {
	case w.format == "json" && w.rows == 0:
		_, _ = w.buf.WriteString("[\n") // an error stays, and Flush gives it
	case w.format == "json":
		_, _ = w.buf.WriteString(",\n")
	case w.rows > 0:
		_ = w.buf.WriteByte('\n')
	}
	w.text.Reset()
	object(&w.text, r)
	_, err := w.buf.Write(w.text.Bytes())
	return err
}

func (w *writer) row(r record) error {
	var names, values []string
	for _, f := range r {
		names, values = append(names, f.name), append(values, f.text)
	}
	if w.rows == 0 {
		if err := w.table.Write(names); err != nil {
			return err
		}
	}
	return w.table.Write(values)
}

// object writes a record in JSON on one line, in the order of its fields.
func object(out *bytes.Buffer, r record) {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	quoted := func(s string) {
		if err := enc.Encode(s); err != nil {
			panic(fmt.Sprintf("synth: encoding a string: %v", err)) // there is no such string
		}
		out.Truncate(out.Len() - 1) // the new line
	}
	out.WriteByte('{')
	for i, f := range r {
		if i > 0 {
			out.WriteByte(',')
		}
		quoted(f.name)
		out.WriteByte(':')
		switch {
		case f.text == "":
			out.WriteString("null")
		case f.bare():
			out.WriteString(f.text)
		default:
			quoted(f.text)
		}
	}
	out.WriteByte('}')
}

// close ends the file; it is on the disk afterwards.
func (w *writer) close() error {
	var err error
	if w.table != nil {
		w.table.Flush()
		err = w.table.Error()
	} else if w.format == "json" {
		_, err = w.buf.WriteString("\n]\n")
	} else {
		err = w.buf.WriteByte('\n')
	}
	return errors.Join(err, w.buf.Flush(), w.file.Sync(), w.file.Close())
}
