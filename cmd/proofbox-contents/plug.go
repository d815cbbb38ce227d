package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
	"unicode/utf8"

	"proofbox/internal/contents"
	"proofbox/internal/contents/names"
	"proofbox/internal/contents/scan"
)

// question is what a plug is asked, and reply what it says; see docs/contents.md.
type (
	question struct {
		Field string `json:"field,omitempty"`
		Text  string `json:"text"`
	}
	reply struct {
		Spans []struct {
			Start int    `json:"start"` // bytes of the text, as UTF-8
			End   int    `json:"end"`
			Kind  string `json:"kind"`
		} `json:"spans"`
	}
)

// Bounds of a plug, which could say anything.
const (
	maxReply  = 1 << 20 // bytes
	maxSpans  = 10_000
	replyTime = 2 * time.Minute
)

// plugged finds names by asking the program at the other ends of two descriptors.
func plugged(digest string) *scan.Namer {
	p := &plug{to: json.NewEncoder(os.NewFile(contents.Questions, "questions")), from: bufio.NewScanner(os.NewFile(contents.Answers, "answers"))}
	p.from.Buffer(nil, maxReply)
	return &scan.Namer{Version: digest, Find: func(field, text string) ([]names.Span, error) {
		found, err := p.find(field, text)
		if err != nil {
			return nil, fmt.Errorf("asking what finds names, which PROOFBOX_NAMES names: %w", err)
		}
		return found, nil
	}}
}

type plug struct {
	to   *json.Encoder
	from *bufio.Scanner
}

func (p *plug) find(field, text string) ([]names.Span, error) {
	if err := p.to.Encode(question{field, legible(text)}); err != nil {
		return nil, err
	}
	line, err := p.line()
	if err != nil {
		return nil, err
	}
	var r reply
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, fmt.Errorf("its answer is not as docs/contents.md describes it: %w", err)
	}
	if len(r.Spans) > maxSpans {
		return nil, fmt.Errorf("it has found %d names in a text, more than %d", len(r.Spans), maxSpans)
	}
	var found []names.Span
	for _, s := range r.Spans {
		if !slices.Contains(names.Kinds, s.Kind) {
			return nil, fmt.Errorf("it has found %.40q, which is none of %v", s.Kind, names.Kinds)
		}
		if s.Start < 0 || s.End <= s.Start || s.End > len(text) || !begins(text, s.Start) || !begins(text, s.End) {
			return nil, fmt.Errorf("it has found something from byte %d to %d, where a text of %d bytes has no such part", s.Start, s.End, len(text))
		}
		found = append(found, names.Span{Start: s.Start, End: s.End, Kind: s.Kind})
	}
	return found, nil
}

// line waits for an answer, but not for ever.
func (p *plug) line() ([]byte, error) {
	came := make(chan bool, 1)
	go func() { came <- p.from.Scan() }() // if it is late, this process ends
	select {
	case ok := <-came:
		switch err := p.from.Err(); {
		case ok:
			return p.from.Bytes(), nil
		case errors.Is(err, bufio.ErrTooLong):
			return nil, fmt.Errorf("its answer is longer than %d bytes", maxReply)
		case err != nil:
			return nil, err
		}
		return nil, fmt.Errorf("it has ended without an answer: %w", io.ErrUnexpectedEOF)
	case <-time.After(replyTime):
		return nil, fmt.Errorf("it has not answered for %v", replyTime)
	}
}

// begins says whether a character of a text begins, or the text ends, at a byte.
func begins(text string, at int) bool { return at == len(text) || utf8.RuneStart(text[at]) }

// legible gives a text as JSON can have it: what is no UTF-8 is a question mark for each
// byte, so that all else is where it was.
func legible(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	out := []byte(text)
	for i := 0; i < len(out); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			out[i] = '?'
		}
		i += n
	}
	return string(out)
}
