package scan

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// Bounds of a Parquet file. Its library takes what a file says of its own sizes for true.
const (
	maxFooter     = 16 << 20 // bytes of what describes the file
	maxPage       = 64 << 20 // bytes of a page, packed or not
	maxPageHeader = 64 << 10
	maxPageValues = 8 << 20
	maxElements   = 1 << 20 // of the lists in a description
)

// pages holds the pages of a part of a column against their bounds, and what they unpack to against what they
// say.
func (x *columnReader) pages(meta *format.ColumnMetaData) error {
	at := meta.DataPageOffset
	if d := meta.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	end := at + meta.TotalCompressedSize
	if at < 4 || meta.TotalCompressedSize < 0 || end > x.size || end < at {
		return errors.New("a column lies outside of the file")
	}
	for values := int64(0); at < end && values < meta.NumValues; {
		h, n, err := x.pageHeader(at, end)
		if err != nil {
			return err
		}
		at += n
		count := int64(h.DataPageHeader.V.NumValues) + int64(h.DataPageHeaderV2.V.NumValues)
		if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || h.CompressedPageSize > maxPage || h.UncompressedPageSize > maxPage ||
			count < 0 || count+int64(h.DictionaryPageHeader.V.NumValues) > maxPageValues || at+int64(h.CompressedPageSize) > end {
			return fmt.Errorf("a page says that it has %d values and %d bytes, %d packed", count, h.UncompressedPageSize, h.CompressedPageSize)
		}
		if err := x.unpacks(h, meta.Codec, at); err != nil {
			return err
		}
		at += int64(h.CompressedPageSize)
		values += count
	}
	return nil
}

func (x *columnReader) pageHeader(at, end int64) (*format.PageHeader, int64, error) {
	data := make([]byte, min(maxPageHeader, end-at))
	if _, err := x.r.ReadAt(data, at); err != nil {
		return nil, 0, err
	}
	n, err := thriftLength(data)
	if err != nil {
		return nil, 0, err
	}
	var h format.PageHeader
	err = thrift.Unmarshal(new(thrift.CompactProtocol), data[:n], &h)
	return &h, int64(n), err
}

// unpacks says whether a page unpacks to no more than it says.
func (x *columnReader) unpacks(h *format.PageHeader, codec format.CompressionCodec, at int64) error {
	levels := int64(h.DataPageHeaderV2.V.DefinitionLevelsByteLength) + int64(h.DataPageHeaderV2.V.RepetitionLevelsByteLength)
	packed, most := int64(h.CompressedPageSize)-levels, int64(h.UncompressedPageSize)-levels
	if levels < 0 || packed < 0 || most < 0 {
		return fmt.Errorf("a page of %d bytes has levels of %d", h.CompressedPageSize, levels)
	}
	if h.DataPageHeaderV2.Valid && h.DataPageHeaderV2.V.IsCompressed.Valid && !h.DataPageHeaderV2.V.IsCompressed.V || packed == 0 {
		return nil
	}
	r := io.NewSectionReader(x.r, at+levels, packed)
	switch codec {
	case format.Uncompressed:
		return nil
	case format.Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		return expands(z, most)
	case format.Zstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage))
		if err != nil {
			return err
		}
		defer z.Close()
		return expands(z, most)
	case format.Snappy, format.Lz4Raw:
		data := make([]byte, packed)
		if _, err := io.ReadFull(r, data); err != nil {
			return err
		}
		return block(codec, data, most)
	}
	return fmt.Errorf("it is packed with %v, which this version of proofbox cannot unpack", codec)
}

// block checks formats that are unpacked at once.
func block(codec format.CompressionCodec, data []byte, most int64) error {
	if codec == format.Snappy {
		if n, m := binary.Uvarint(data); m <= 0 || n > uint64(most) {
			return errPage
		}
		return nil
	}
	n, err := lz4.UncompressBlock(data, make([]byte, most))
	if err == nil && int64(n) != most {
		err = errPage
	}
	return err
}

var errPage = errors.New("a page unpacks to more than it says")

func expands(r io.Reader, most int64) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, most+1))
	if err == nil && n > most {
		err = errPage
	}
	return err
}

// thriftLength is how many bytes a struct in Thrift's compact form has. It is an error where a list says that
// it has more elements than the bytes left can hold.
func thriftLength(data []byte) (int, error) {
	s := thriftSkipper{data: data, elements: maxElements}
	if !s.fields(0) {
		return 0, errors.New("its description is cut off or lies about its size")
	}
	return len(data) - len(s.data), nil
}

// thriftSkipper passes over values. Its methods say whether that went well.
type thriftSkipper struct {
	data     []byte
	elements uint64 // that may still come
}

// Types of Thrift's compact form.
const (
	thriftTrue = iota + 1
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

func (s *thriftSkipper) fields(depth int) bool {
	for depth < 64 {
		b, ok := s.byte()
		if !ok || b == 0 {
			return ok
		}
		if b>>4 == 0 { // the field's number follows
			if _, ok := s.varint(); !ok {
				return false
			}
		}
		if kind := b & 15; kind > thriftFalse && !s.value(kind, depth) {
			return false
		}
	}
	return false
}

func (s *thriftSkipper) value(kind byte, depth int) bool {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return s.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, ok := s.varint()
		return ok
	case thriftDouble:
		return s.skip(8)
	case thriftBinary:
		n, ok := s.varint()
		return ok && s.skip(n)
	case thriftList, thriftSet:
		return s.list(depth)
	case thriftStruct:
		return s.fields(depth + 1)
	}
	return false // Parquet has no maps
}

func (s *thriftSkipper) list(depth int) bool {
	b, ok := s.byte()
	n := uint64(b >> 4)
	if n == 15 {
		n, ok = s.varint()
	}
	if !ok || n > uint64(len(s.data)) || n > s.elements {
		return false
	}
	s.elements -= n
	for range n {
		if !s.value(b&15, depth+1) {
			return false
		}
	}
	return true
}

func (s *thriftSkipper) byte() (byte, bool) {
	if len(s.data) == 0 {
		return 0, false
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b, true
}

func (s *thriftSkipper) varint() (uint64, bool) {
	n, size := binary.Uvarint(s.data)
	if size <= 0 {
		return 0, false
	}
	s.data = s.data[size:]
	return n, true
}

func (s *thriftSkipper) skip(n uint64) bool {
	if n > uint64(len(s.data)) {
		return false
	}
	s.data = s.data[n:]
	return true
}
