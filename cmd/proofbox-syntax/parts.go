package main

import (
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"

	"proofbox/internal/syntax"
)

// classOf sorts chroma's many kinds.
func classOf(t chroma.TokenType) syntax.Class {
	switch {
	case t.InCategory(chroma.Keyword):
		return syntax.Keyword
	case t.InCategory(chroma.Comment):
		return syntax.Comment
	case t.InCategory(chroma.Literal):
		return syntax.Literal
	case t == chroma.NameFunction || t == chroma.NameClass || t == chroma.NameTag || t == chroma.NameDecorator || t == chroma.NameAttribute:
		return syntax.Name
	}
	return syntax.Plain
}

// Bounds of what is looked at: the text is a box's, and a lexer is made for people's.
const (
	maxColoured     = 256 << 10 // bytes of a change
	maxColouredLine = 500       // bytes of a line
	colouring       = time.Second
)

// parts gives the parts of the changed and unchanged lines of hunks, by hunk and
// by line from 1: what it does not know in time, has none.
func parts(o syntax.Order) [][][]syntax.Part {
	total := 0
	for _, h := range o.Hunks {
		total += len(h.Text)
	}
	lexer := lexers.Match(path.Base(string(o.Path)))
	if lexer == nil || total > maxColoured {
		return nil
	}
	deadline := time.Now().Add(colouring)
	found := make([][][]syntax.Part, len(o.Hunks))
	for i, h := range o.Hunks {
		if h.N == 0 {
			continue
		}
		lines := strings.Split(strings.TrimSuffix(string(h.Text), "\n"), "\n")[1:]
		var numbered []string // without what belongs to the line before
		for _, line := range lines {
			if !strings.HasPrefix(line, "\\") {
				numbered = append(numbered, line)
			}
		}
		found[i] = make([][]syntax.Part, len(numbered)+1)
		for _, signs := range []string{" -", " +"} {
			colourSide(lexer, numbered, signs, found[i][1:], deadline)
		}
	}
	return found
}

// colourSide colours one side of a hunk, whose lines have one of the signs.
func colourSide(lexer chroma.Lexer, lines []string, signs string, found [][]syntax.Part, deadline time.Time) {
	var text strings.Builder
	var at []int // the lines of the text
	for i, line := range lines {
		if line == "" || strings.IndexByte(signs, line[0]) < 0 {
			continue
		}
		at = append(at, i)
		if len(line) <= maxColouredLine && utf8.ValidString(line) && !strings.Contains(line, "\r") {
			text.WriteString(line[1:])
		}
		text.WriteByte('\n')
	}
	tokens, err := lexer.Tokenise(&chroma.TokeniseOptions{State: "root"}, text.String())
	if err != nil {
		return
	}
	row, have := 0, 0 // bytes of the row that are in a span
	for token := tokens(); token != chroma.EOF && time.Now().Before(deadline); token = tokens() {
		for part := range strings.Lines(token.Value) {
			body, ended := strings.CutSuffix(part, "\n")
			if row == len(at) {
				return
			}
			if own := &found[at[row]]; body != "" {
				if have == 0 {
					*own = nil
				}
				*own = append(*own, syntax.Part{Bytes: len(body), Class: classOf(token.Type)})
				have += len(body)
			}
			if ended {
				row, have = row+1, 0
			}
		}
	}
}
