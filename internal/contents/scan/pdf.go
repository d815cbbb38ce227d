package scan

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/ledongthuc/pdf"
)

// Bounds of a PDF file.
const (
	maxPDF      = 64 << 20 // bytes
	maxPDFPages = 20_000
	maxPDFWait  = 30 * time.Second // for one page, on which a library may go round in circles
	maxPDFDepth = 32
	maxPDFNodes = 200_000
)

// pages looks at the text of a PDF file, page by page, at what its forms and notes say, and names what
// no text can be got from: pictures, fonts without letters, files within.
func (c *collector) pages(m member, r io.ReaderAt, size int64) error {
	if c.spans != nil {
		c.problem(0, "it is PDF, which can be looked into and not be written anew; export it as text")
		return nil
	}
	if size > maxPDF {
		c.problem(0, "it is a PDF file of more than %d MiB; split it", maxPDF>>20)
		return nil
	}
	p := pdfReader{c: c, m: m}
	err := p.patiently(func() (err error) {
		p.doc, err = pdf.NewReader(r, size)
		return err
	})
	if err != nil {
		c.problem(0, "it does not read as PDF: %s", outlined(err.Error()))
		return nil
	}
	return p.read()
}

// pdfReader reads one PDF file.
type pdfReader struct {
	c   *collector
	m   member
	doc *pdf.Reader
}

var errPatience = fmt.Errorf("it took longer than %v", maxPDFWait)

// patiently does something that may panic or never end, by what a file says. What does not end is left behind: the
// program soon ends.
func (p *pdfReader) patiently(do func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if x := recover(); x != nil {
				done <- fmt.Errorf("%v", x)
			}
		}()
		done <- do()
	}()
	timer := time.NewTimer(maxPDFWait)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errPatience
	}
}

// pdfPart is what a part of a file says, and what cannot be read of it.
type pdfPart struct {
	text     string
	problems []string
}

// read looks at what is around the pages, and at each page. The library's work is done apart from the
// collector, which what is left behind must not touch.
func (p *pdfReader) read() error {
	var pages []pdf.Value
	var around pdfPart
	err := p.patiently(func() (err error) {
		around = readAround(p.doc.Trailer())
		pages, err = leaves(nil, p.doc.Trailer().Key("Root").Key("Pages"), 0)
		return err
	})
	if err == nil {
		err = p.part(0, around)
	}
	for i := 0; err == nil && i < len(pages); i++ {
		var page pdfPart
		err = p.patiently(func() error { page = readPage(pages[i]); return nil })
		if err != nil {
			err = fmt.Errorf("page %d: %w", i+1, err)
		} else {
			p.c.result.Records++
			err = p.part(int64(i+1), page)
		}
	}
	if err != nil && !errors.Is(err, errBomb) {
		p.c.place.Record = 0
		p.c.problem(0, "it does not read as PDF: %s", outlined(err.Error()))
		return nil
	}
	return err
}

// leaves gives the pages of a tree of them. The library's own way round it may have no end.
func leaves(list []pdf.Value, v pdf.Value, depth int) ([]pdf.Value, error) {
	if depth > maxPDFDepth || len(list) > maxPDFPages {
		return nil, fmt.Errorf("its pages lie deeper than %d, or are more than %d", maxPDFDepth, maxPDFPages)
	}
	kids := v.Key("Kids")
	if kids.Kind() != pdf.Array {
		return append(list, v), nil
	}
	var err error
	for i := 0; err == nil && i < kids.Len(); i++ {
		list, err = leaves(list, kids.Index(i), depth+1)
	}
	return list, err
}

// part looks at what was read of a page.
func (p *pdfReader) part(number int64, part pdfPart) error {
	p.c.place.Record, p.c.place.Field = number, ""
	for _, problem := range part.problems {
		p.c.problem(0, "%s", problem)
	}
	for line := range strings.Lines(part.text) {
		if err := p.c.cell(p.m, number, "", strings.TrimRight(line, "\n")); err != nil {
			return err
		}
	}
	return nil
}

// readAround reads what is on no page: what the file says of itself, its forms, its contents.
func readAround(trailer pdf.Value) pdfPart {
	w := &pdfWriter{seen: map[string]bool{}}
	info, root := trailer.Key("Info"), trailer.Key("Root")
	for _, key := range info.Keys() {
		w.line(info.Key(key).Text())
	}
	if meta := root.Key("Metadata"); meta.Kind() == pdf.Stream {
		data, err := io.ReadAll(io.LimitReader(meta.Reader(), maxText))
		if err != nil {
			w.problem("broken notes about itself")
		}
		w.line(string(data))
	}
	form := root.Key("AcroForm")
	w.fields(form.Key("Fields"), 0)
	for _, part := range []struct {
		name string
		v    pdf.Value
	}{
		{"files within it", root.Key("Names").Key("EmbeddedFiles")},
		{"files attached to it", root.Key("AF")},
		{"a folder of files", root.Key("Collection")},
		{"a form in XML (XFA)", form.Key("XFA")},
		{"a program within it", root.Key("Names").Key("JavaScript")},
		{"a program that starts when it is opened", root.Key("OpenAction").Key("JS")},
	} {
		if !part.v.IsNull() {
			w.problem(part.name)
		}
	}
	outline := root.Key("Outlines").Key("First")
	for range maxPDFNodes {
		if outline.IsNull() {
			break
		}
		w.line(outline.Key("Title").Text())
		next := outline.Key("First")
		for up, n := outline, 0; next.IsNull() && n < maxPDFDepth; up, n = up.Key("Parent"), n+1 {
			next = up.Key("Next")
		}
		outline = next
	}
	return w.done()
}

// readPage reads a page and the notes on it.
func readPage(p pdf.Value) pdfPart {
	w := &pdfWriter{seen: map[string]bool{}}
	if p.Kind() != pdf.Dict {
		w.problem("a page that is not there")
		return w.done()
	}
	if contents := p.Key("Contents"); !contents.IsNull() {
		w.show(contents, inherited(p, "Resources"), 0)
	}
	if !p.Key("Thumb").IsNull() {
		w.problem("a picture")
	}
	notes := p.Key("Annots")
	for i := range min(notes.Len(), maxPDFNodes) {
		note := notes.Index(i)
		for _, key := range []string{"Contents", "T", "V", "DV", "RC", "Subj"} {
			w.line(note.Key(key).Text())
		}
		w.line(note.Key("A").Key("URI").RawString())
		if look := note.Key("AP").Key("N"); look.Kind() == pdf.Stream {
			w.show(look, look.Key("Resources"), 0)
		}
		if note.Key("Subtype").Name() == "FileAttachment" {
			w.problem("files attached to it")
		}
	}
	return w.done()
}

// inherited is what a page says, or what is above it.
func inherited(v pdf.Value, key string) pdf.Value {
	for range maxPDFDepth {
		if own := v.Key(key); !own.IsNull() {
			return own
		}
		v = v.Key("Parent")
	}
	return pdf.Value{}
}

// pdfWriter puts text together, as it is shown.
type pdfWriter struct {
	out      strings.Builder
	problems []string
	seen     map[string]bool // problems
	nodes    int
	font     *pdfFont
	size     float64
	// The line's place and scale, how far text has come on it, and where text ended last.
	x, y, scale, along, leading float64
	endX, endY                  float64
}

func (w *pdfWriter) done() pdfPart { return pdfPart{w.out.String(), w.problems} }

func (w *pdfWriter) problem(text string) {
	if !w.seen[text] {
		w.seen[text] = true
		w.problems = append(w.problems, "it has "+text+", which no text can be got from")
	}
}

// line takes a text that stands for itself.
func (w *pdfWriter) line(text string) {
	if text == "" {
		return
	}
	if w.out.Len() > maxPDF {
		panic("it says more than can be looked at")
	}
	w.out.WriteString(text + "\n")
}

// fields reads a form: its fields' names and values.
func (w *pdfWriter) fields(list pdf.Value, depth int) {
	if w.nodes++; depth > maxPDFDepth || w.nodes > maxPDFNodes {
		panic("a form with more fields than can be looked at")
	}
	for i := range list.Len() {
		f := list.Index(i)
		for _, key := range []string{"T", "TU", "V", "DV", "RV"} {
			w.line(f.Key(key).Text())
		}
		w.fields(f.Key("Kids"), depth+1)
	}
}

// pdfFont is a font, and how wide its letters are.
type pdfFont struct {
	pdf.Font
	enc    pdf.TextEncoding
	wide   bool // two bytes for a letter
	widths map[int]float64
	usual  float64
}

// fontOf gets a font ready. One that nobody can read is a problem.
func (w *pdfWriter) fontOf(resources pdf.Value, name string) *pdfFont {
	f := &pdfFont{Font: pdf.Font{V: resources.Key("Font").Key(name)}}
	f.wide = f.V.Key("Subtype").Name() == "Type0"
	encoding, letters := f.V.Key("Encoding"), f.V.Key("ToUnicode").Kind() == pdf.Stream
	switch {
	case f.V.IsNull():
		w.problem("a font that is not there")
	case f.wide && encoding.Name() != "UniGB-UCS2-H" && (!letters || encoding.Name() != "Identity-H"):
		w.problem("a font that does not say what its letters are")
	case encoding.Kind() == pdf.Dict && unnamed(encoding.Key("Differences")):
		w.problem("a font that does not say what its letters are")
	}
	f.enc = f.Encoder()
	f.measure()
	return f
}

// measure reads how wide letters are, in thousandths of the font's size.
func (f *pdfFont) measure() {
	f.widths, f.usual = map[int]float64{}, 500
	if !f.wide {
		list, first := f.V.Key("Widths"), f.FirstChar()
		for i := range min(list.Len(), 256) {
			f.widths[first+i] = list.Index(i).Float64()
		}
		return
	}
	inner := f.V.Key("DescendantFonts").Index(0)
	if f.usual = inner.Key("DW").Float64(); f.usual == 0 {
		f.usual = 1000
	}
	list := inner.Key("W") // c [w w …], or from, to, w
	for i := 0; i+1 < list.Len() && len(f.widths) < 1<<17; {
		first := int(list.Index(i).Int64())
		if run := list.Index(i + 1); run.Kind() == pdf.Array {
			for j := range min(run.Len(), 1<<16) {
				f.widths[first+j] = run.Index(j).Float64()
			}
			i += 2
			continue
		}
		for code := first; code <= min(int(list.Index(i+1).Int64()), first+1<<16); code++ {
			f.widths[code] = list.Index(i + 2).Float64()
		}
		i += 3
	}
}

// width is how wide a text is, in sizes of the font.
func (f *pdfFont) width(raw string) float64 {
	step, sum := 1, 0.
	if f.wide {
		step = 2
	}
	for i := 0; i+step <= len(raw); i += step {
		code := int(raw[i])
		if f.wide {
			code = code<<8 | int(raw[i+1])
		}
		if w, ok := f.widths[code]; ok {
			sum += w
		} else {
			sum += f.usual
		}
	}
	return sum / 1000
}

// unnamed says whether glyphs are only numbered.
func unnamed(differences pdf.Value) bool {
	for i := range differences.Len() {
		name := differences.Index(i).Name()
		stem := strings.TrimRight(name, "0123456789")
		if name != stem && len(stem) <= len("index") && stem != "uni" && stem != "u" && !strings.ContainsAny(stem, ".") {
			return true
		}
	}
	return false
}

// show reads a stream of drawing orders.
func (w *pdfWriter) show(stream, resources pdf.Value, depth int) {
	if w.nodes++; depth > maxPDFDepth || w.nodes > maxPDFNodes {
		panic("it draws more than can be looked at")
	}
	fonts := map[string]*pdfFont{}
	w.move(0, 0, 1)
	pdf.Interpret(stream, func(stack *pdf.Stack, op string) {
		args := make([]pdf.Value, stack.Len())
		for i := len(args) - 1; i >= 0; i-- {
			args[i] = stack.Pop()
		}
		switch op {
		case "Tf":
			name := argument(args, 0).Name()
			if fonts[name] == nil {
				fonts[name] = w.fontOf(resources, name)
			}
			w.font, w.size = fonts[name], argument(args, 1).Float64()
		case "Do":
			w.draw(resources.Key("XObject").Key(argument(args, 0).Name()), resources, depth)
		case "BI":
			w.problem("a picture")
		default:
			w.order(op, args)
		}
	})
	w.line("\n")
}

// draw draws something that has a name.
func (w *pdfWriter) draw(object, resources pdf.Value, depth int) {
	if object.Key("Subtype").Name() != "Form" {
		w.problem("a picture")
		return
	}
	if own := object.Key("Resources"); !own.IsNull() {
		resources = own
	}
	w.show(object, resources, depth+1)
}

func argument(args []pdf.Value, i int) pdf.Value {
	if i < len(args) {
		return args[i]
	}
	return pdf.Value{}
}

// order follows an order about text: where it goes, and what it says.
func (w *pdfWriter) order(op string, args []pdf.Value) {
	number := func(i int) float64 { return argument(args, i).Float64() }
	switch op {
	case "BT":
		w.move(0, 0, 1)
	case "TL":
		w.leading = number(0)
	case "Td", "TD":
		if op == "TD" {
			w.leading = -number(1)
		}
		w.move(w.x+number(0)*w.scale, w.y+number(1)*w.scale, w.scale)
	case "Tm":
		w.move(number(4), number(5), max(abs(number(0)), abs(number(1))))
	case "T*":
		w.move(w.x, w.y-w.leading*w.scale, w.scale)
	case "Tj":
		w.text(argument(args, 0).RawString())
	case "'", "\"":
		w.move(w.x, w.y-w.leading*w.scale, w.scale)
		w.text(argument(args, len(args)-1).RawString())
	case "TJ":
		for i := range argument(args, 0).Len() {
			if part := args[0].Index(i); part.Kind() == pdf.String {
				w.text(part.RawString())
			} else {
				w.along -= part.Float64() / 1000 * w.size * w.scale
			}
		}
	}
}

func abs(f float64) float64 { return max(f, -f) }

// move begins a line at a place.
func (w *pdfWriter) move(x, y, scale float64) {
	w.x, w.y, w.scale, w.along = x, y, scale, 0
}

// text shows text where the line has come to. What is far from the text before is apart from it.
func (w *pdfWriter) text(raw string) {
	if w.font == nil || raw == "" {
		return
	}
	if w.out.Len() > maxPDF {
		panic("it says more than can be looked at")
	}
	text := w.font.enc.Decode(raw)
	if strings.ContainsFunc(text, func(r rune) bool { return r == unicode.ReplacementChar || unicode.Is(unicode.Co, r) }) {
		w.problem("a font that does not say what its letters are")
	}
	size := max(abs(w.size*w.scale), 1e-6)
	x := w.x + w.along
	switch {
	case abs(w.y-w.endY) > size*.4:
		w.out.WriteByte('\n')
	case x-w.endX > size*.16 || w.endX-x > size*2:
		w.out.WriteByte(' ')
	}
	w.out.WriteString(strings.ReplaceAll(text, "\n", " "))
	w.along += w.font.width(raw) * w.size * w.scale
	w.endX, w.endY = w.x+w.along, w.y
}
