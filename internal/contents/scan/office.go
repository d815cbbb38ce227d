package scan

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Bounds of an Office file.
const (
	maxXMLDepth = 256
	maxShared   = 48 << 20 // bytes of the strings that a workbook's cells share
	maxSheets   = 10_000
)

// sharedStrings is the part of a workbook whose strings its cells share: they are looked at where a cell has
// them.
const sharedStrings = "xl/sharedStrings.xml"

// office is an Office file: a ZIP file of XML, as ECMA-376 (docx, xlsx, pptx) and ISO/IEC 26300
// (odt, ods, odp) have it. Every part of it is looked at: the text of documents by paragraph, with what is
// split into runs put together, that of sheets by cell, and in what is neither every text and attribute.
type office struct {
	parts  []*zip.File
	sheets map[string]string // names by parts
	shared []string          // of a workbook
	used   []bool
}

// officeOf gives an Office file where a ZIP file is one.
func officeOf(z *zip.Reader) *office {
	for i, f := range z.File {
		if f.Name == "[Content_Types].xml" || i == 0 && f.Name == "mimetype" {
			return &office{parts: z.File, sheets: map[string]string{}}
		}
	}
	return nil
}

// part gives a part by its name.
func (o *office) part(name string) *zip.File {
	i := slices.IndexFunc(o.parts, func(f *zip.File) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return o.parts[i]
}

func (c *collector) office(m member, o *office) error {
	if c.spans == nil {
		if err := c.workbook(m, o); err != nil {
			return err
		}
	}
	for _, f := range o.parts {
		if err := c.officePart(m, o, f); err != nil {
			return err
		}
	}
	return c.unused(m, o)
}

// officePart looks at one part. A sheet has the name that people see.
func (c *collector) officePart(m member, o *office, f *zip.File) error {
	if f.FileInfo().IsDir() || f.Name == sharedStrings {
		return nil
	}
	name := f.Name
	if sheet, ok := o.sheets[name]; ok {
		name = sheet
	}
	r, err := f.Open()
	if err != nil {
		c.problem(0, "%s cannot be unpacked: %v", f.Name, err)
		return nil
	}
	defer r.Close()
	switch strings.ToLower(path.Ext(f.Name)) {
	case ".xml", ".rels", ".vml":
	default:
		return c.inner(m, f.Name, r)
	}
	return c.part(name, func() error {
		x := markup{c: c, m: m, d: newTokens(&bounded{r, m.left})}
		err := x.read(o, f.Name)
		if rest := x.flush(); rest != nil {
			return rest
		}
		if err != nil && !errors.Is(err, errBomb) {
			return fmt.Errorf("it is no XML that can be read: %s", outlined(err.Error()))
		}
		return err
	})
}

// tokens reads XML with bounds on what it holds. It knows no entities but XML's own, so none can grow.
type tokens struct {
	d     *xml.Decoder
	r     io.Reader
	since int // bytes read for the token
	depth int
}

var (
	errDeep  = fmt.Errorf("it is deeper than %d", maxXMLDepth)
	errToken = fmt.Errorf("it has a text or an element of more than %d MiB", maxRow>>20)
)

func newTokens(r io.Reader) *tokens {
	t := &tokens{r: r}
	t.d = xml.NewDecoder(t)
	t.d.CharsetReader = func(label string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("it is %q, and not UTF-8", outlined(label))
	}
	return t
}

func (t *tokens) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if t.since += n; t.since > maxRow {
		return n, errToken
	}
	return n, err
}

func (t *tokens) next() (xml.Token, error) {
	t.since = 0
	token, err := t.d.Token()
	switch token.(type) {
	case xml.StartElement:
		t.depth++
	case xml.EndElement:
		t.depth--
	}
	if err == nil && t.depth > maxXMLDepth {
		err = errDeep
	}
	return token, err
}

// workbook reads what a workbook's sheets are called, and the strings that they share.
func (c *collector) workbook(m member, o *office) error {
	targets := map[string]string{}
	err := o.elements(m, "xl/_rels/workbook.xml.rels", func(e xml.StartElement, _ *tokens) error {
		if e.Name.Local == "Relationship" {
			targets[attribute(e, "Id")] = path.Join("xl", attribute(e, "Target"))
		}
		return nil
	})
	if err == nil {
		err = o.elements(m, "xl/workbook.xml", func(e xml.StartElement, _ *tokens) error {
			if e.Name.Local == "sheet" && len(o.sheets) < maxSheets {
				o.sheets[targets[attribute(e, "id")]] = attribute(e, "name")
			}
			return nil
		})
	}
	if err == nil {
		err = o.elements(m, sharedStrings, o.share())
	}
	if err != nil && !errors.Is(err, errBomb) {
		c.problem(0, "%v", err)
		return nil
	}
	o.used = make([]bool, len(o.shared))
	return err
}

// share gathers shared strings, each of which is in an element of its own.
func (o *office) share() func(xml.StartElement, *tokens) error {
	size := 0
	return func(e xml.StartElement, d *tokens) error {
		if e.Name.Local != "si" {
			return nil
		}
		text, err := within(d, "t")
		if size += len(text) + 16; size > maxShared {
			return fmt.Errorf("its cells share more than %d MiB of text; export it as CSV", maxShared>>20)
		}
		o.shared = append(o.shared, text)
		return err
	}
}

// elements visits the elements of a part, if it is there.
func (o *office) elements(m member, name string, visit func(xml.StartElement, *tokens) error) error {
	f := o.part(name)
	if f == nil {
		return nil
	}
	r, err := f.Open()
	if err != nil {
		return fmt.Errorf("%s cannot be unpacked: %w", name, err)
	}
	defer r.Close()
	d := newTokens(&bounded{r, m.left})
	for {
		t, err := d.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if e, ok := t.(xml.StartElement); ok {
			if err := visit(e, d); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
}

// within puts the text in an element together: of those of a name, or all where it is empty. The element's
// beginning was read.
func within(d *tokens, name string) (string, error) {
	var text strings.Builder
	for depth, inside := 1, 0; depth > 0; {
		t, err := d.next()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			if t.Name.Local == name {
				inside++
			}
		case xml.EndElement:
			depth--
			if t.Name.Local == name && inside > 0 {
				inside--
			}
		case xml.CharData:
			if name == "" || inside > 0 {
				text.Write(t)
			}
			if text.Len() > maxText {
				return "", fmt.Errorf("a cell of more than %d bytes", maxText)
			}
		}
	}
	return text.String(), nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// unused looks at the shared strings that no cell has: a program that cleared a cell may have left its.
func (c *collector) unused(m member, o *office) error {
	if len(o.used) == 0 {
		return nil
	}
	return c.part(sharedStrings, func() error {
		for i, text := range o.shared {
			if !o.used[i] {
				if err := c.cell(m, int64(i+1), "", text); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// markup looks at one part of an Office file. A record is a paragraph, or a row.
type markup struct {
	c      *collector
	m      member
	d      *tokens
	record int64
	text   []strings.Builder // of the paragraphs that are open, one in another
	head   map[string]string // a sheet's first row, by columns
}

func (x *markup) read(o *office, name string) error {
	for {
		t, err := x.d.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if cell(t, name) {
				err = x.cell(o, t)
			} else {
				err = x.open(t)
			}
		case xml.EndElement:
			err = x.close(t)
		case xml.CharData:
			err = x.write(t)
		case xml.Comment:
			err = x.c.cell(x.m, x.record, "comment", string(t))
		}
		if err != nil {
			return err
		}
	}
}

// paragraph says whether an element is a unit of text: a paragraph, a heading, a shared string.
func paragraph(name string) bool { return name == "p" || name == "h" || name == "si" }

// cell says whether an element is a cell of an ECMA-376 sheet.
func cell(e xml.StartElement, part string) bool {
	return e.Name.Local == "c" && strings.HasPrefix(part, "xl/worksheets/")
}

// open takes the beginning of an element: its attributes are looked at, and what moves on the line is a space.
func (x *markup) open(e xml.StartElement) error {
	switch name := e.Name.Local; {
	case name == "row":
		x.record++
		if n, err := strconv.ParseInt(attribute(e, "r"), 10, 64); err == nil && n > 0 {
			x.record = n
		}
		x.c.result.Records++
	case paragraph(name):
		x.record++
		x.c.result.Records++
		x.text = append(x.text, strings.Builder{})
	case len(x.text) > 0 && (name == "tab" || name == "br" || name == "cr" || name == "s" || name == "line-break"):
		x.text[len(x.text)-1].WriteByte(' ')
	}
	for _, a := range e.Attr {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" || !strings.ContainsAny(a.Value, "0123456789@") {
			continue
		}
		if err := x.attribute(a.Name.Local, a.Value); err != nil {
			return err
		}
	}
	return nil
}

// attribute looks at an attribute that says something: one with an @, or a word before a number. The
// format's own numbers, of places and sizes and revisions, say nothing.
func (x *markup) attribute(name, text string) error {
	if !strings.Contains(text, "@") && !strings.ContainsAny(text, " :+-.") {
		return nil
	}
	return x.c.cell(x.m, x.record, name, text)
}

func (x *markup) close(e xml.EndElement) error {
	if !paragraph(e.Name.Local) || len(x.text) == 0 {
		return nil
	}
	last := len(x.text) - 1
	text := x.text[last].String()
	x.text = x.text[:last]
	return x.c.cell(x.m, x.record, "", text)
}

// write takes text: in a paragraph it is gathered, elsewhere it stands for itself.
func (x *markup) write(text []byte) error {
	if last := len(x.text) - 1; last >= 0 {
		if x.text[last].Len()+len(text) > maxRow {
			return fmt.Errorf("a paragraph of more than %d MiB", maxRow>>20)
		}
		x.text[last].Write(text)
		return nil
	}
	if s := strings.TrimSpace(string(text)); s != "" {
		return x.c.cell(x.m, x.record, "", s)
	}
	return nil
}

// flush looks at paragraphs that were not closed.
func (x *markup) flush() error {
	for i := range x.text {
		if err := x.c.cell(x.m, x.record, "", x.text[i].String()); err != nil {
			return err
		}
	}
	return nil
}

// cell looks at a cell of a sheet: its value, and its formula. The field is the cell's reference and what
// the first row says of its column.
func (x *markup) cell(o *office, e xml.StartElement) error {
	value, formula, err := x.content()
	if err != nil {
		return err
	}
	if attribute(e, "t") == "s" {
		i, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || i < 0 || i >= len(o.shared) {
			x.c.place.Record = x.record
			x.c.problem(0, "the cell %s has a text that is not there", outlined(attribute(e, "r")))
			return nil
		}
		o.used[i] = true
		value = o.shared[i]
	} else if f, err := strconv.ParseFloat(value, 64); err == nil && strings.ContainsAny(value, "eE") {
		value = decimal(f)
	}
	at := outlined(attribute(e, "r"))
	column := strings.TrimRight(at, "0123456789")
	if x.head == nil {
		x.head = map[string]string{}
	}
	if x.record == 1 && len(x.head) < maxColumns && len(value) <= maxField && len(identify("", value)) == 0 {
		x.head[column] = value
	}
	field := strings.TrimSpace(at + " " + x.head[column])
	if x.record == 1 {
		field = at
	}
	if err := x.c.cell(x.m, x.record, field, value); err != nil {
		return err
	}
	return x.c.cell(x.m, x.record, field, formula)
}

// content reads a cell to its end.
func (x *markup) content() (value, formula string, err error) {
	for {
		t, err := x.d.next()
		if err != nil {
			return "", "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			name := map[bool]string{true: "t"}[t.Name.Local == "is"]
			text, err := within(x.d, name)
			if err != nil {
				return "", "", err
			}
			if t.Name.Local == "f" {
				formula = text
			} else {
				value += text
			}
		case xml.EndElement:
			return value, formula, nil
		}
	}
}
