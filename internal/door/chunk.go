package door

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A file that is written to a box goes as chunks, each with its length before
// it, and ends with an empty one, so that a caller that breaks off is told from
// one that has finished.

// chunkWriter writes chunks.
type chunkWriter struct{ to io.Writer }

func (w *chunkWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), MaxAnswer)
		head := binary.BigEndian.AppendUint32(nil, uint32(n))
		if _, err := w.to.Write(head); err != nil {
			return written, err
		}
		m, err := w.to.Write(p[:n])
		written += m
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

func (w *chunkWriter) end() error {
	_, err := w.to.Write(make([]byte, 4))
	return err
}

// ReadChunks copies chunks to w until the empty one. A stream that ends before
// it is an error.
func ReadChunks(w io.Writer, r io.Reader) error {
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("reading a chunk: %w", noEOF(err))
		}
		n := binary.BigEndian.Uint32(head[:])
		if n == 0 {
			return nil
		}
		if n > MaxAnswer {
			return fmt.Errorf("a chunk of %d bytes is over the limit of %d", n, MaxAnswer)
		}
		if _, err := io.CopyN(w, r, int64(n)); err != nil {
			return fmt.Errorf("reading a chunk: %w", noEOF(err))
		}
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
