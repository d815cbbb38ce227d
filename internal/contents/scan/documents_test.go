package scan

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// offices makes Office files as the standards' simplest are, with Python's ZIP files.
const offices = `
import zipfile
TYPES = '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
def make(name, **parts):
    with zipfile.ZipFile(name, 'w', zipfile.ZIP_DEFLATED) as z:
        for part, text in parts.items():
            z.writestr(part.replace('__', '/').replace('_DOT_', '.').replace('TYPES', '[Content_Types].xml'), text)
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
make('a.docx', TYPES=TYPES, word__document_DOT_xml=f'''<w:document {W}><w:body>
<w:p><w:r><w:t>Write to anna.mei</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>er@web.de</w:t></w:r><w:r><w:tab/><w:t>today</w:t></w:r></w:p>
<w:p><w:r><w:t>call</w:t></w:r><w:r><w:br/></w:r><w:r><w:t>(212) 736-5000</w:t></w:r></w:p></w:body></w:document>''',
  word__comments_DOT_xml=f'<w:comments {W}><w:comment w:author="bert@web.de"><w:p><w:r><w:t>ok</w:t></w:r></w:p></w:comment></w:comments>',
  word___rels__document_DOT_xml_DOT_rels='<Relationships><Relationship Id="r1" Type="http://x/hyperlink" Target="mailto:carla@web.de"/></Relationships>')
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
make('a.xlsx', TYPES=TYPES,
  xl__workbook_DOT_xml=f'<workbook {S}><sheets><sheet name="People &amp; more" sheetId="1" r:id="rId7"/></sheets></workbook>',
  xl___rels__workbook_DOT_xml_DOT_rels='<Relationships><Relationship Id="rId7" Target="worksheets/sheet1.xml"/></Relationships>',
  xl__sharedStrings_DOT_xml=f'<sst {S}><si><t>mail</t></si><si><t>SSN</t></si><si><r><t>anna@</t></r><r><t>web.de</t></r></si><si><t>gone@web.de</t></si></sst>',
  xl__worksheets__sheet1_DOT_xml=f'''<worksheet {S}><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>
<row r="4"><c r="A4" t="s"><v>2</v></c><c r="B4"><v>4.60899847E8</v></c><c r="C4" t="inlineStr"><is><t>bert@web.de</t></is></c><c r="D4"><f>HYPERLINK("mailto:c@web.de")</f><v>x</v></c></row></sheetData></worksheet>''')
make('a.pptx', TYPES=TYPES, ppt__slides__slide1_DOT_xml='<p:sld xmlns:p="p" xmlns:a="a"><a:p><a:r><a:t>to anna@</a:t></a:r><a:r><a:t>web.de</a:t></a:r></a:p></p:sld>')
make('a.odt', mimetype='application/vnd.oasis.opendocument.text', content_DOT_xml='<office:document-content xmlns:office="o" xmlns:text="t"><text:p>to <text:span>anna@</text:span>web.de</text:p></office:document-content>')
make('shot.docx', TYPES=TYPES, word__media__image1_DOT_png=b'\x89PNG\r\n')
make('entities.docx', TYPES=TYPES, word__document_DOT_xml='<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><a>&b;</a>')
make('latin.docx', TYPES=TYPES, word__document_DOT_xml='<?xml version="1.0" encoding="ISO-8859-1"?><a>x</a>')
make('deep.docx', TYPES=TYPES, word__document_DOT_xml='<a>' * 300)
make('cut.docx', TYPES=TYPES, word__document_DOT_xml='<a><p>anna@web.de')
make('long.docx', TYPES=TYPES, word__document_DOT_xml='<a>' + 'x' * (20 << 20) + '</a>')
make('lost.xlsx', TYPES=TYPES, xl__worksheets__sheet1_DOT_xml='<a><row><c r="A1" t="s"><v>9</v></c></row></a>')
`

// TestOffice finds what is in Office files, by paragraph and by cell, also where it is split, and where a cell
// no longer has it.
func TestOffice(t *testing.T) {
	t.Parallel()
	want := []string{
		"a.docx!word/document.xml:1::9 email", "a.docx!word/document.xml:2::5 phone", "a.docx!word/comments.xml:0:author:0 email",
		"a.docx!word/_rels/document.xml.rels:0:Target:7 email", "a.odt!content.xml:1::3 email", "a.pptx!ppt/slides/slide1.xml:1::3 email",
		"a.xlsx!People & more:4:A4 mail:0 email", "a.xlsx!People & more:4:B4 SSN:0 us-ssn", "a.xlsx!People & more:4:C4:0 email",
		"a.xlsx!People & more:4:D4:18 email", "a.xlsx!xl/sharedStrings.xml:4::0 email",
		"cut.docx!word/document.xml:1::0 email",
		"cut.docx!word/document.xml:1: it is no XML that can be read: XML syntax error on line 1: unexpected EOF",
		"deep.docx!word/document.xml:0: it is no XML that can be read: it is deeper than 256",
		"entities.docx!word/document.xml:0: it is no XML that can be read: XML syntax error on line 1: invalid character entity &b;",
		`latin.docx!word/document.xml:0: it is no XML that can be read: xml: opening charset "ISO-8859-1": it is "ISO-8859-1", and not UTF-8`,
		"long.docx:0: it unpacks to more than 200 times its size; unpack it, if it is meant",
		"lost.xlsx!xl/worksheets/sheet1.xml:1: the cell A1 has a text that is not there",
		"shot.docx!word/media/image1.png:0: it is a picture, which this version of proofbox cannot look into",
	}
	got := lines(scanned(t, python(t, offices)))
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTokens: what one token of XML takes is bounded, however much there is.
func TestTokens(t *testing.T) {
	t.Parallel()
	d := newTokens(strings.NewReader("<a>" + strings.Repeat("x", 2*maxRow) + "</a>"))
	for {
		if _, err := d.next(); errors.Is(err, errToken) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// pdfFile writes a PDF file of the objects, the first of which is the root.
func pdfFile(objects ...string) string {
	var b strings.Builder
	b.WriteString("%PDF-1.4\n")
	at := make([]int, 0, len(objects))
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R /Info << /Author (info@web.de) >> >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.String()
}

// packedStream is a stream, compressed.
func packedStream(dict, text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return fmt.Sprintf("<< %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream", dict, b.Len(), b.String())
}

// onePage is a PDF file of one page that shows something, in fonts F1 and F2.
func onePage(content, extra string, more ...string) string {
	return pdfFile(append([]string{
		"<< /Type /Catalog /Pages 2 0 R " + extra + " >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Annots [<< /Subtype /Link /A << /URI (mailto:link@web.de) >> >>] " +
			"/Resources << /Font << /F1 5 0 R /F2 6 0 R /F3 7 0 R >> /XObject << /X1 8 0 R /X2 9 0 R >> >> >>",
		packedStream("", content),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
		"<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [<< >>] >>",
		"<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [<< /DW 600 >>] /ToUnicode 10 0 R >>",
		packedStream("/Type /XObject /Subtype /Form", "BT /F1 10 Tf (form@web.de) Tj ET"),
		"<< /Type /XObject /Subtype /Image /Length 0 >>\nstream\n\nendstream",
		packedStream("", "/CIDInit /ProcSet findresource begin 12 dict begin begincmap 1 begincodespacerange <0000> <ffff> endcodespacerange\n"+
			"1 beginbfrange <0000> <00ff> <0020> endbfrange endcmap"),
	}, more...)...)
}

// wide writes a text in the font F3, whose letters are numbered from the space on.
func wide(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, "%04x", text[i]-' ')
	}
	return b.String()
}

// TestPDF finds what pages show, however it is put there, and what is around them; what has no text is a problem.
func TestPDF(t *testing.T) {
	t.Parallel()
	const info, link = "a.pdf:0::0 email", "a.pdf:1::7 email"
	for name, c := range map[string]struct {
		content, extra string
		want           []string
	}{
		"a text":         {"BT /F1 12 Tf 72 700 Td (write to anna@web.de) Tj ET", "", []string{"a.pdf:1::9 email"}},
		"in pieces":      {"BT /F1 10 Tf 1 0 0 1 72 700 Tm [(anna) 20 (@we) -30 (b.de)] TJ ET", "", []string{"a.pdf:1::0 email"}},
		"letter by one":  {"BT /F1 10 Tf 72 700 Td (anna@) Tj 25 0 Td (web) Tj 15 0 Td (.de) Tj ET", "", []string{"a.pdf:1::0 email"}},
		"two words":      {"BT /F1 10 Tf 72 700 Td (anna@web.de) Tj 80 0 Td (bert@web.de) Tj 0 -14 Td (carla@web.de) Tj ET", "", []string{"a.pdf:1::0 email", "a.pdf:1::12 email", "a.pdf:1::0 email"}},
		"by its codes":   {"BT /F3 10 Tf 72 700 Td <" + wide("to anna@web.de") + "> Tj ET", "", []string{"a.pdf:1::3 email"}},
		"a form within":  {"/X1 Do", "", []string{"a.pdf:1::0 email"}},
		"a form to fill": {"", "/AcroForm << /Fields [<< /T (mail) /Kids [<< /V (field@web.de) >>] >>] >>", []string{"a.pdf:0::0 email"}},
		"a picture":      {"/X2 Do", "", []string{"a.pdf:1: it has a picture, which no text can be got from"}},
		"inside":         {"BI /W 1 ID x EI", "", []string{"a.pdf:1: it has a picture, which no text can be got from"}},
		"no letters":     {"BT /F2 10 Tf (ab) Tj ET", "", []string{"a.pdf:1: it has a font that does not say what its letters are, which no text can be got from"}},
		"a file within":  {"", "/Names << /EmbeddedFiles << >> >>", []string{"a.pdf:0: it has files within it, which no text can be got from"}},
	} {
		r, err := looked("a.pdf", []byte(onePage(c.content, c.extra)))
		if err != nil {
			t.Fatal(err)
		}
		want := append(c.want, info, link)
		got := lines(r)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestPDFHostile: what is PDF in its first bytes alone ends as a problem, and within its time.
func TestPDFHostile(t *testing.T) {
	t.Parallel()
	whole := onePage("BT /F1 12 Tf 72 700 Td (write to anna@web.de) Tj ET", "")
	damaged(t, "a.pdf", []byte(whole), 300)
	for name, text := range map[string]string{
		"pages in a circle":   strings.Replace(whole, "/Kids [3 0 R]", "/Kids [2 0 R]", 1),
		"a form in itself":    strings.Replace(whole, "/X1 8 0 R /X2 9 0 R >> >> >>", "/X1 8 0 R /X2 9 0 R >> >> /AcroForm 1 0 R >>", 1),
		"many pages":          strings.Replace(whole, "/Kids [3 0 R]", "/Kids ["+strings.Repeat("3 0 R ", maxPDFPages+9)+"]", 1),
		"parents in a circle": strings.NewReplacer("/Parent 2 0 R", "/Parent 3 0 R", "/Resources", "/Other").Replace(whole),
		"encrypted":           strings.Replace(whole, "/Info <<", "/Encrypt << /Filter /Standard /V 1 /R 2 /O (12345678901234567890123456789012) /U (12345678901234567890123456789012) /P 0 >> /ID [(1) (1)] /Info <<", 1),
	} {
		r, err := looked("a.pdf", []byte(text))
		if err != nil || len(r.Problems) == 0 && !strings.HasSuffix(name, "itself") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestUnwritable: a masker is told of each format that it cannot write.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	zipped, tarred := packed(t, "b.csv", "id,mail\n1,anna@web.de\n")
	for name, data := range map[string]string{
		"a.zip": zipped, "a.tgz": tarred, "a.parquet": string(parquetFile(t, 1)), "a.pdf": onePage("BT /F1 12 Tf (anna@web.de) Tj ET", ""),
		"a.txt": "\xff\xfea\x00@\x00",
	} {
		dir := set(t, map[string]string{name: data})
		if problems, n := spansOf(t, dir); n > 0 || len(problems) == 0 || !strings.Contains(problems[0].Reason, "can be look") {
			t.Errorf("%s: %d spans, %+v", name, n, problems)
		}
	}
	for _, program := range []string{databases, offices} {
		if problems, n := spansOf(t, python(t, program)); n > 0 || len(problems) == 0 {
			t.Errorf("%d spans, %+v", n, problems)
		}
	}
}
