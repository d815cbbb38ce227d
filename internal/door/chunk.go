package door

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A file that is written to a box, and the changes that come out of one, go as
// chunks, each with its length before it, and end with an empty one, so that
// who breaks off is told from who has finished.

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

// WriteChunks gives fill a writer whose bytes go to w as chunks, and ends them
// unless fill fails.
func WriteChunks(w io.Writer, fill func(io.Writer) error) error {
	chunks := &chunkWriter{to: w}
	if err := fill(chunks); err != nil {
		return err
	}
	return chunks.end()
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

// chunkReader gives the bytes of chunks. Its end is io.EOF only after the empty
// one.
type chunkReader struct {
	from  io.ReadCloser
	stop  func() bool // called when it is closed
	left  uint32      // of the chunk that is being read
	ended bool        // the empty chunk has come
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if r.left == 0 && !r.ended {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	if r.ended {
		return 0, io.EOF
	}
	n, err := r.from.Read(p[:min(len(p), int(r.left))])
	r.left -= uint32(n)
	return n, noEOF(err)
}

// next reads the length of a chunk.
func (r *chunkReader) next() error {
	var head [4]byte
	if _, err := io.ReadFull(r.from, head[:]); err != nil {
		return fmt.Errorf("reading a chunk: %w", noEOF(err))
	}
	if r.left = binary.BigEndian.Uint32(head[:]); r.left > MaxAnswer {
		return fmt.Errorf("a chunk of %d bytes is over the limit of %d", r.left, MaxAnswer)
	}
	r.ended = r.left == 0
	return nil
}

func (r *chunkReader) Close() error {
	r.stop()
	return r.from.Close()
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
