package review

import (
	"embed"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/chroma/v2"
	"github.com/charmbracelet/x/ansi"

	"proofbox"
	"proofbox/internal/terminal"
)

// rules are chroma's lexers, as its package lexers has them. That package reads all
// of its own whenever a program starts that has it, which takes longer than all else
// of a start, so that these are read here, each when it is first needed.
//
//go:embed lexers/*.xml
var rules embed.FS

// languages are the lexers for what names end in, or are as a whole.
var languages = map[string]string{
	".go": "go", ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript", ".ts": "typescript", ".tsx": "typescript", ".mts": "typescript",
	".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hh": "cpp", ".hpp": "cpp", ".cs": "csharp", ".rs": "rust", ".java": "java", ".kt": "kotlin", ".kts": "kotlin", ".rb": "ruby",
	".sh": "bash", ".bash": "bash", ".zsh": "bash", ".bashrc": "bash", ".profile": "bash", ".envrc": "bash", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".css": "css", ".sql": "sql",
	".xml": "xml", ".svg": "xml", ".html": "html", ".htm": "html", ".lua": "lua", ".ini": "ini", ".cfg": "ini", ".gitconfig": "ini", ".editorconfig": "ini", ".tf": "terraform", ".proto": "protocol_buffer",
	"Dockerfile": "docker", "Containerfile": "docker", "Makefile": "makefile", "GNUmakefile": "makefile", ".mk": "makefile", "Rakefile": "ruby", "Gemfile": "ruby", "Cargo.lock": "toml", "poetry.lock": "toml",
}

// within are the lexers that others hand parts of a text to.
var within = map[string][]string{"docker": {"bash", "json"}, "makefile": {"bash"}, "html": {"css", "javascript"}}

// lexers are those that were read. The zero value has none.
type lexers struct {
	mu       sync.Mutex
	registry *chroma.LexerRegistry   // guarded by mu
	loaded   map[string]chroma.Lexer // guarded by mu
}

// of gives the lexer for a file; nil for none.
func (x *lexers) of(name string) chroma.Lexer {
	base := path.Base(name)
	language, ok := languages[base]
	if !ok {
		language, ok = languages[strings.ToLower(path.Ext(base))]
	}
	if !ok {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.registry == nil {
		x.registry, x.loaded = chroma.NewLexerRegistry(), map[string]chroma.Lexer{}
	}
	for _, part := range within[language] {
		x.load(part)
	}
	return x.load(language)
}

// load reads a lexer. The caller holds the lock.
func (x *lexers) load(language string) chroma.Lexer {
	if l, ok := x.loaded[language]; ok {
		return l
	}
	var lexer *chroma.RegexLexer
	var err error
	if language == "go" {
		lexer, err = chroma.NewLexer(&chroma.Config{Name: "Go"}, goRules)
	} else {
		lexer, err = chroma.NewXMLLexer(rules, "lexers/"+language+".xml")
	}
	if err != nil { // a test reads all of them
		x.loaded[language] = nil
		return nil
	}
	x.loaded[language] = x.registry.Register(lexer)
	return x.loaded[language]
}

// goRules are Go's, see "Lexical elements" in its specification. Chroma's are code, in
// the package that is not used here.
func goRules() chroma.Rules {
	return chroma.Rules{"root": {
		{Pattern: `\s+`, Type: chroma.TextWhitespace},
		{Pattern: `//[^\n]*`, Type: chroma.CommentSingle},
		{Pattern: `/\*(?:[^*]|\*(?!/))*(?:\*/|$)`, Type: chroma.CommentMultiline},
		{Pattern: `(?:break|case|chan|const|continue|default|defer|else|fallthrough|for|func|go|goto|if|import|interface|map|package|range|return|select|struct|switch|type|var)\b`, Type: chroma.Keyword},
		{Pattern: `(?:true|false|iota|nil)\b`, Type: chroma.KeywordConstant},
		{Pattern: `(?:any|bool|byte|comparable|complex64|complex128|error|float32|float64|u?int(?:8|16|32|64)?|rune|string|uintptr)\b`, Type: chroma.KeywordType},
		{Pattern: `0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|\d[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?\d+)?i?`, Type: chroma.LiteralNumber},
		{Pattern: "`[^`]*(?:`|$)", Type: chroma.LiteralString},
		{Pattern: `"(?:\\.|[^"\\\n])*"?`, Type: chroma.LiteralString},
		{Pattern: `'(?:\\.|[^'\\\n])*'?`, Type: chroma.LiteralStringChar},
		{Pattern: `[\p{L}_][\p{L}\p{Nd}_]*(?=\()`, Type: chroma.NameFunction},
		{Pattern: `[\p{L}_][\p{L}\p{Nd}_]*`, Type: chroma.Name},
		{Pattern: `[^\s\p{L}\p{Nd}_"'` + "`" + `]`, Type: chroma.Punctuation},
		{Pattern: `.`, Type: chroma.Text},
	}}
}

// class is what a part of a line is.
type class byte

const (
	plain class = iota
	keyword
	comment
	literal
	name
)

// classOf sorts chroma's many kinds.
func classOf(t chroma.TokenType) class {
	switch {
	case t.InCategory(chroma.Keyword):
		return keyword
	case t.InCategory(chroma.Comment):
		return comment
	case t.InCategory(chroma.Literal):
		return literal
	case t == chroma.NameFunction || t == chroma.NameClass || t == chroma.NameTag || t == chroma.NameDecorator || t == chroma.NameAttribute:
		return name
	}
	return plain
}

// span is a part of a line, of so many bytes.
type span struct {
	bytes int
	class class
}

// Bounds of what is looked at to colour it: the text is a box's, and a lexer is made
// for people's.
const (
	maxColoured     = 256 << 10 // bytes of a change
	maxColouredLine = 500       // bytes of a line
	colouring       = time.Second
)

// colours gives the parts of the changed and unchanged lines of hunks, by hunk and
// by line from 1: what it does not know in time, has none.
func (x *lexers) colours(path string, hunks []proofbox.Hunk) [][][]span {
	total := 0
	for _, h := range hunks {
		total += len(h.Text)
	}
	lexer := x.of(path)
	if lexer == nil || total > maxColoured {
		return nil
	}
	deadline := time.Now().Add(colouring)
	found := make([][][]span, len(hunks))
	for i, h := range hunks {
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
		found[i] = make([][]span, len(numbered)+1)
		for _, signs := range []string{" -", " +"} {
			colourSide(lexer, numbered, signs, found[i][1:], deadline)
		}
	}
	return found
}

// colourSide colours one side of a hunk, whose lines have one of the signs.
func colourSide(lexer chroma.Lexer, lines []string, signs string, found [][]span, deadline time.Time) {
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
				*own = append(*own, span{len(body), classOf(token.Type)})
				have += len(body)
			}
			if ended {
				row, have = row+1, 0
			}
		}
	}
}

// styles are escape sequences for the parts of a line that has not changed.
var styles = map[class]string{keyword: "\x1b[35m", comment: "\x1b[2m", literal: "\x1b[33m", name: "\x1b[34m"}

// changedStyles are those for the parts of one that comes or goes, beside the colour
// that says so.
var changedStyles = map[class]string{keyword: "\x1b[1m", comment: "\x1b[2m"}

// cell is a character on the screen. What is dangerous is several, as its escape is.
type cell struct {
	r     rune
	class class
}

// cells gives the characters of a line, whose parts must be all of it but its sign.
func cells(line string, parts []span) ([]cell, bool) {
	at := 1
	row := []cell{{rune(line[0]), plain}}
	for _, p := range parts {
		if at+p.bytes > len(line) {
			return nil, false
		}
		for _, r := range terminal.Escape(line[at : at+p.bytes]) {
			if r != '\t' {
				row = append(row, cell{r, p.class})
				continue
			}
			for range tabStop(len(row)) {
				row = append(row, cell{' ', p.class})
			}
		}
		at += p.bytes
	}
	return row, at == len(line)
}

// painted draws a line with the colours of its parts; ok is false where they are not
// known.
func (l textLine) painted(parts []span, gutter string, shift, width int) (text string, ok bool) {
	if len(parts) == 0 || l.n < 1 || l.text == "" {
		return "", false
	}
	row, ok := cells(l.text, parts)
	if !ok {
		return "", false
	}
	base, style := "", styles
	switch l.text[0] {
	case '+':
		base, style = "\x1b[32m", changedStyles
	case '-':
		base, style = "\x1b[31m", changedStyles
	}
	var out strings.Builder
	out.WriteString(gutter)
	was := class(255)
	row = row[min(shift, len(row)):]
	for _, c := range row[:min(len(row), 2*width)] { // some characters take no column
		if c.class != was {
			out.WriteString("\x1b[0m" + base + style[c.class])
			was = c.class
		}
		out.WriteRune(c.r)
	}
	return ansi.Truncate(out.String(), width, "…") + "\x1b[0m", true
}
