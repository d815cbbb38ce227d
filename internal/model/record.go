package model

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"proofbox"
)

// Recorder keeps the calls of a box.
type Recorder interface {
	// Usable says why the next call could not be kept.
	Usable() error
	Add(proofbox.Exchange) error
}

// recordable refuses a call that could not be kept.
func (d *Desk) recordable() error {
	if d.Recorder == nil {
		return nil
	}
	if err := d.Recorder.Usable(); err != nil {
		return &failure{http.StatusServiceUnavailable, "api_error", "this run is recorded, and cannot be any more: " + err.Error()}
	}
	return nil
}

// tape takes down an answer as it comes.
type tape struct {
	start  time.Time
	pieces []proofbox.Piece
	rest   []byte // of an event that has not come to its end
	size   int
	kind   string // of the content
	whole  bool   // the answer has been read to its end
	lost   bool   // it was longer than what is kept
}

// maxPiece bounds what is searched for the end of an event.
const maxPiece = 1 << 20

// take takes some bytes of the answer down, where the call is to be kept.
func (c *call) take(p []byte, err error) {
	if c.recorder != nil {
		c.tape.add(p)
		c.tape.whole = err == nil || errors.Is(err, io.EOF)
	}
}

// add takes down some bytes; a piece ends with an empty line, as an event does.
func (t *tape) add(p []byte) {
	if t.size += len(p); t.size > maxAnswer {
		t.lost = true
		return
	}
	t.rest = append(t.rest, p...)
	for {
		end := bytes.Index(t.rest, []byte("\n\n"))
		if crlf := bytes.Index(t.rest, []byte("\r\n\r\n")); crlf >= 0 && (end < 0 || crlf < end) {
			end = crlf + 2
		}
		switch {
		case end >= 0:
			t.cut(end + 2)
		case len(t.rest) > maxPiece:
			t.cut(len(t.rest))
		default:
			return
		}
	}
}

// cut makes a piece of the first n bytes.
func (t *tape) cut(n int) {
	if n == 0 {
		return
	}
	p := proofbox.Piece{After: proofbox.Duration(time.Since(t.start))}
	if utf8.Valid(t.rest[:n]) {
		p.Text = string(t.rest[:n])
	} else {
		p.Bytes = bytes.Clone(t.rest[:n])
	}
	t.pieces, t.rest = append(t.pieces, p), t.rest[n:]
}

// record keeps the call, if there was an answer to it.
func (c *call) record() error {
	if c.recorder == nil || c.status == 0 {
		return nil
	}
	c.tape.cut(len(c.tape.rest))
	e := proofbox.Exchange{
		Number: c.number, Time: c.tape.start.UTC(), Format: c.api.format(), Model: c.Name, Request: c.asked, Status: c.status,
		Type: c.tape.kind, Answer: c.tape.pieces, Charged: c.charge(),
		Complete: c.tape.whole && !c.tape.lost && (c.tape.kind != eventStream || c.report.ended),
	}
	if !bytes.Equal(c.body, c.asked) {
		e.Sent = c.body
	}
	if c.report.known {
		e.Usage = new(proofbox.TokenUsage(c.report.usage))
	}
	if e.Answer == nil {
		e.Answer = []proofbox.Piece{}
	}
	return c.recorder.Add(e)
}
