package mask

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// survivor is a real value in what was written.
type survivor struct {
	start, end int64 // bytes of the file
	line       int64
	kind       string
	text       string
}

// token is a run of letters or of digits in a text.
type token struct {
	start, end   int32 // bytes of the text
	first, last  int32 // in the normal form
	line         int32 // of the text
	joined       bool  // to the one before: what is between can stand within one value
	digits, name bool  // name: it begins with a capital
}

// tokens is a text taken apart. Its space is used again for the next one.
type tokens struct {
	list   []token
	normal []byte
}

// Bounds of a search.
const (
	piece     = 128 << 10 // bytes that are looked at in one go
	overlap   = 2 << 10   // of two pieces
	maxGap    = 6         // bytes between two parts of one value
	maxTokens = 24        // parts of one value
)

// survivors looks for values of the list in a text, in any layout: whatever stands
// between their letters and digits, in capitals or not, and with the escapes of JSON. It
// knows nothing of formats and fields, and shares nothing with the scan.
func (l *List) survivors(r io.Reader, found func(survivor) error) error {
	in := bufio.NewReaderSize(r, piece)
	buf := make([]byte, 0, piece+overlap)
	var base, line, done int64 = 0, 1, 0
	for {
		n, err := io.ReadFull(in, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		keep := len(buf)
		if !last {
			keep = len(buf) - overlap
		}
		if err := l.search(buf, keep, base, line, &done, found); err != nil || last {
			return err
		}
		for _, b := range buf[:keep] {
			if b == '\n' {
				line++
			}
		}
		base += int64(keep)
		buf = append(buf[:0], buf[keep:]...)
	}
}

// search looks for values that begin in the first bytes of a text. Of those that
// overlap the first and longest is given.
func (l *List) search(text []byte, most int, base, line int64, done *int64, found func(survivor) error) error {
	l.parts.take(text)
	list, normal := l.parts.list, l.parts.normal
	for i := range list {
		t := &list[i]
		if int(t.start) >= most {
			return nil
		}
		if base+int64(t.start) < *done || !l.mayBegin(normal[t.first:]) {
			continue
		}
		end, kind := l.longestAt(list[i:], normal)
		if end < 0 {
			continue
		}
		last := list[i+end]
		*done = base + int64(last.end)
		s := survivor{base + int64(t.start), *done, line + int64(t.line), l.kinds[kind], string(text[t.start:last.end])}
		if err := found(s); err != nil {
			return err
		}
	}
	return nil
}

// longestAt gives the last token of the longest value that begins with the first of
// the tokens, or -1.
func (l *List) longestAt(tokens []token, normal []byte) (end int, kind uint8) {
	end = -1
	t := tokens[0]
	run := 1
	for run < len(tokens) && run < maxTokens && tokens[run].joined && tokens[run].first-t.first < maxNormal {
		run++
	}
	all := normal[t.first:tokens[run-1].last]
	if n := t.last - t.first; n >= minName && n < anchor && t.name && l.begins(l.beginning(all[:n])) {
		if k, ok := l.values[l.whole.Sum(all[:n])]; ok && l.kinds[k] == "person" {
			end, kind = 0, k
		}
	}
	if len(all) < anchor || !l.begins(l.beginning(all)) {
		return end, kind
	}
	digits := true
	for i := range run {
		digits = digits && tokens[i].digits
		n := int(tokens[i].last - t.first)
		if n < anchor {
			continue
		}
		k, ok := l.values[l.whole.Sum(all[:min(n, maxNormal)])]
		if ok && (l.kinds[k] != "person" || t.name || i > 0) && !(digits && tokens[i].line != t.line) {
			end, kind = i, k
		}
	}
	return end, kind
}

// take takes a text apart. A letter after a backslash may be an escape, so a token
// ends behind it; \u and four digits are the letter that they stand for.
func (p *tokens) take(text []byte) {
	p.list, p.normal = p.list[:0], p.normal[:0]
	last, lastClass, escaped := 0, 0, false // the end of the last token; what it is of
	line := int32(0)
	for i := 0; i < len(text); {
		r, n := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(text[i:])
		}
		slash := r == '\\'
		if slash && i+5 < len(text) && text[i+1] == 'u' {
			if v, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 32); err == nil {
				r, n, slash = rune(v), 6, false
			}
		}
		class := classOf(r)
		if class == 0 {
			if r == '\n' {
				line++
			}
			lastClass, escaped = 0, slash
			i += n
			continue
		}
		if class != lastClass || i != last {
			p.list = append(p.list, token{
				start: int32(i), first: int32(len(p.normal)), joined: len(p.list) > 0 && i-last <= maxGap, line: line,
				digits: class == 2, name: unicode.IsUpper(r),
			})
		}
		p.normal = appendSmall(p.normal, r)
		i += n
		lastClass = class
		if escaped { // n of \n is a token, and so is what follows it
			lastClass, escaped = 0, false
		} else {
			i += p.rest(text[i:], class)
		}
		t := &p.list[len(p.list)-1]
		t.end, t.last, last = int32(i), int32(len(p.normal)), i
	}
}

// rest takes what of ASCII goes on with a token, and says how much.
func (p *tokens) rest(text []byte, class int) int {
	n := 0
	for n < len(text) && int(ascii[text[n]].class) == class {
		p.normal = append(p.normal, ascii[text[n]].small)
		n++
	}
	return n
}

// ascii says of each byte what it is of, 0 for those beyond ASCII, and its small letter.
var ascii = func() (table [256]struct{ class, small byte }) {
	for c := range byte(utf8.RuneSelf) {
		table[c].class, table[c].small = byte(classOf(rune(c))), appendSmall(nil, rune(c))[0]
	}
	return table
}()

// classOf is 1 for letters, 2 for digits and 0 for the rest.
func classOf(r rune) int {
	switch {
	case r >= '0' && r <= '9':
		return 2
	case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
		return 1
	case r < utf8.RuneSelf:
		return 0
	case unicode.IsLetter(r):
		return 1
	case unicode.IsDigit(r):
		return 2
	}
	return 0
}

func appendSmall(to []byte, r rune) []byte {
	if r >= 'A' && r <= 'Z' {
		return append(to, byte(r-'A'+'a'))
	}
	if r < utf8.RuneSelf {
		return append(to, byte(r))
	}
	return utf8.AppendRune(to, unicode.ToLower(r))
}
