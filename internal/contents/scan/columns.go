package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// columnReader reads a Parquet file, one column after the other, so that it holds one page and one
// dictionary.
type columnReader struct {
	c    *collector
	m    member
	r    io.ReaderAt
	size int64
}

// columns looks at a Parquet file. What its library thinks of hostile bytes, a panic too, is a problem of the
// file.
func (c *collector) columns(m member, r io.ReaderAt, size int64) (err error) {
	if c.spans != nil {
		c.problem(0, "it is Parquet, which can be looked into and not be written anew; export it as text")
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			c.problem(0, "it does not read as Parquet: %s", outlined(fmt.Sprint(p)))
		}
	}()
	x := columnReader{c: c, m: m, r: r, size: size}
	if err := x.read(); errors.Is(err, errBomb) {
		return err
	} else if err != nil {
		c.problem(0, "it does not read as Parquet: %s", outlined(err.Error()))
	}
	return nil
}

func (x *columnReader) read() error {
	if err := x.footer(); err != nil {
		return err
	}
	f, err := parquet.OpenFile(x.r, x.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return err
	}
	for _, kv := range f.Metadata().KeyValueMetadata {
		if err := x.c.cell(x.m, 0, kv.Key, kv.Value); err != nil {
			return err
		}
	}
	names := f.Schema().Columns()
	var record int64
	for i, group := range f.RowGroups() {
		for j, chunk := range group.ColumnChunks() {
			if err := x.pages(&f.Metadata().RowGroups[i].Columns[j].MetaData); err != nil {
				return err
			}
			if err := x.column(chunk, strings.Join(names[j], "."), record); err != nil {
				return err
			}
		}
		record += group.NumRows()
	}
	x.c.result.Records += record
	return nil
}

// footer holds what describes the file against its bounds, before the library believes it.
func (x *columnReader) footer() error {
	var tail [8]byte
	if x.size < 12 {
		return io.ErrUnexpectedEOF
	}
	if _, err := x.r.ReadAt(tail[:], x.size-8); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > x.size-12 || n > maxFooter {
		return fmt.Errorf("it says that it is described by %d bytes", n)
	}
	data := make([]byte, n)
	if _, err := x.r.ReadAt(data, x.size-8-n); err != nil {
		return err
	}
	_, err := thriftLength(data)
	return err
}

// column looks at the values of one column of some rows, of which the first is behind a record.
func (x *columnReader) column(chunk parquet.ColumnChunk, field string, record int64) error {
	pages := chunk.Pages()
	defer pages.Close()
	write := writer(chunk.Type())
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		record, err = x.page(page, field, write, record)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

// page looks at the values of a page. A value like the one before it is looked at once.
func (x *columnReader) page(page parquet.Page, field string, write func(parquet.Value) (string, bool), record int64) (int64, error) {
	values := page.Values()
	buf := make([]parquet.Value, 256)
	last := ""
	for {
		n, err := values.ReadValues(buf)
		for _, v := range buf[:n] {
			if v.RepetitionLevel() == 0 {
				record++
			}
			if *x.m.left--; *x.m.left < 0 {
				return record, errBomb
			}
			if v.IsNull() {
				continue
			}
			text, ok := write(v)
			if text == last && ok {
				continue
			}
			last = text
			if err := x.value(record, field, text, ok); err != nil {
				return record, err
			}
		}
		if errors.Is(err, io.EOF) {
			return record, nil
		}
		if err != nil || n == 0 {
			return record, errors.Join(err, io.ErrNoProgress)
		}
	}
}

func (x *columnReader) value(record int64, field, text string, known bool) error {
	if known {
		return x.c.cell(x.m, record, field, text)
	}
	return x.c.blob(x.m, record, field, []byte(text))
}

// writer says how people write the values of a type. Bytes of which nobody said what they are have no such way.
func writer(t parquet.Type) func(parquet.Value) (text string, known bool) {
	var logical any
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	switch l := logical.(type) {
	case *format.DateType:
		return func(v parquet.Value) (string, bool) {
			return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly), true
		}
	case *format.TimestampType:
		return func(v parquet.Value) (string, bool) { return moment(v.Int64(), l.Unit).Format(time.RFC3339Nano), true }
	case *format.TimeType:
		return func(v parquet.Value) (string, bool) { return "", true }
	case *format.UUIDType:
		return func(v parquet.Value) (string, bool) { return fmt.Sprintf("%x", v.Bytes()), true }
	case *format.DecimalType:
		return func(v parquet.Value) (string, bool) { return scaled(v, int(l.Scale)), true }
	}
	return plain
}

func moment(n int64, unit format.TimeUnit) time.Time {
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		return time.UnixMilli(n).UTC()
	case *format.MicroSeconds:
		return time.UnixMicro(n).UTC()
	}
	return time.Unix(0, n).UTC()
}

// scaled writes a decimal number.
func scaled(v parquet.Value, scale int) string {
	n := new(big.Int)
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default:
		b := v.ByteArray()
		n.SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	digits := n.String()
	if scale <= 0 || scale > 100 || len(digits) <= scale {
		return digits
	}
	return digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

func plain(v parquet.Value) (text string, known bool) {
	switch v.Kind() {
	case parquet.Boolean:
		return "", true
	case parquet.Int32:
		return strconv.FormatInt(int64(v.Int32()), 10), true
	case parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10), true
	case parquet.Int96:
		return "", true // a time, as old programs write it
	case parquet.Float:
		return decimal(float64(v.Float())), true
	case parquet.Double:
		return decimal(v.Double()), true
	}
	return string(v.ByteArray()), false
}
