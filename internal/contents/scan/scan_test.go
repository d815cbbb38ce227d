package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/contents/tree"
)

// set writes a data set and gives its folder.
func set(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func scanned(t testing.TB, path string) *Result {
	t.Helper()
	r, err := Path(context.Background(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines gives findings and problems as text.
func lines(r *Result) []string {
	var list []string
	for _, f := range r.Findings {
		mark := ""
		if f.Synthetic != "" {
			mark = " (" + f.Synthetic + ")"
		}
		list = append(list, fmt.Sprintf("%s:%d:%s:%d %s%s", f.File, f.Record, f.Field, f.Offset, f.Kind, mark))
	}
	for _, p := range r.Problems {
		list = append(list, fmt.Sprintf("%s:%d: %s", p.File, p.Record, p.Reason))
	}
	return list
}

// kinds are values of every kind, with the field in which they stand.
var kindValues = []struct{ kind, field, value, reserved string }{
	{"email", "", "write to anna.meier@web.de today", ""},
	{"email", "", "write to anna@shop.example today", "RFC 6761"},
	{"email", "", "write to anna@mail.example.org.", "RFC 2606"},
	{"email", "", "anna@example.org.evil.com", ""},
	{"card", "", "my card is 4532 0151 1283 0366, thanks", ""},
	{"card", "payment", "4242424242424242", "published test card"},
	{"iban", "", "to DE89 3704 0044 0532 0130 00 please", ""},
	{"iban", "", "to gb29nwbk60161331926819 please", ""},
	{"iban", "", "to XX83 1234 5678 9012 3456", "ISO 3166: no country's code"},
	{"us-ssn", "", "SSN: 460-89-9847", ""},
	{"us-ssn", "ssn", "460899847", ""},
	{"us-ssn", "", "his number is 912-34-5678", "SSA: never issued"},
	{"us-ssn", "", "078-05-1120 was printed in wallets", ""},
	{"us-itin", "", "ITIN 912-78-1234", ""},
	{"uk-nhs", "", "NHS no 943 476 5919", ""},
	{"uk-nhs", "nhs_number", "9990000018", "NHS: test range"},
	{"ip", "", "from 8.8.4.4:443 again", ""},
	{"ip", "", "from 203.0.113.9.", "RFC 5737"},
	{"ip", "", "at 2001:db8::7 now", "RFC 3849"},
	{"ip", "", "at 2a00:1450:4001:82a::200e now", ""},
	{"mac", "", "if 3c:22:fb:01:02:03 up", ""},
	{"mac", "", "if 00-00-5E-00-53-AF up", "RFC 7042"},
	{"phone", "", "call +49 30 901820", ""},
	{"phone", "", "call (212) 736-5000", ""},
	{"phone", "", "call 212-555-0123", "NANPA: fictional use"},
	{"phone", "", "call +44 7700 900123", "Ofcom: drama"},
	{"phone", "", "call +49 30 23125 123", "Bundesnetzagentur: films"},
	{"phone", "", "call 0221 4710123", "Bundesnetzagentur: films"},
	{"phone", "", "call +33 6 39 98 12 34", "ARCEP: films"},
	{"phone", "", "call 01 99 00 12 34", "ARCEP: films"},
	{"br-cpf", "", "CPF 529.982.247-25", ""},
	{"br-cnpj", "", "CNPJ 11.222.333/0001-81", ""},
	{"pl-pesel", "pesel", "44051401359", ""},
	{"fr-nir", "", "sécu 2 55 08 14 168 025 38", ""},
	{"es-dni", "", "DNI 12345678Z", ""},
	{"it-codice-fiscale", "", "RSSMRA85T10A562S", ""},
	{"de-steuer-id", "steuer_id", "86095742719", ""},
	{"nl-bsn", "bsn", "111222333", ""},
	{"se-personnummer", "", "811228-9874", ""},
	{"fi-hetu", "", "131052-308T", ""},
	{"be-rijksregister", "", "85.07.30-033.28", ""},
	{"no-fodselsnummer", "fnr", "01010750160", ""},
	{"ch-ahv", "", "756.9217.0769.85", ""},
	{"tr-tckn", "tckn", "10000000146", ""},
	{"sg-nric", "", "S1234567D", ""},
	{"in-aadhaar", "aadhaar", "2341 2341 2346", ""},
	{"in-pan", "", "PAN ABCPE1234F", ""},
	{"uk-nino", "", "NI number AB 12 34 56 C", ""},
	{"ca-sin", "", "SIN 046 454 286", ""},
	{"au-tfn", "tfn", "123 456 782", ""},
	{"za-id", "", "South African identity 8001015009087", ""},
	{"passport", "", "passport C01X00T47", ""},
	{"date-of-birth", "", "born 2/8/1935 in", ""},
	{"date-of-birth", "dob", "12 March 1990", ""},
	{"coordinates", "", "at 52.520008, 13.404954", ""},
	{"coordinate", "latitude", "52.5200", ""},
	{"record-number", "mrn", "00412345", ""},
	{"account-number", "", "account number 12345678", ""},
}

// TestKinds finds one value of each kind, and nothing else in it.
func TestKinds(t *testing.T) {
	t.Parallel()
	for _, k := range kindValues {
		hits := identify(k.field, k.value)
		if len(hits) != 1 || hits[0].kind != k.kind || hits[0].synthetic != k.reserved {
			t.Errorf("%s %q gives %+v, not one %s %q", k.field, k.value, hits, k.kind, k.reserved)
		}
	}
}

// TestNothing: what people write that looks like identifiers, and is none.
func TestNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"2024-03-01 12:30:45.123456 INFO started in 1234 ms", "order 100200300400 shipped", "version 1.2.3.4.5 of it",
		"total: 1,234,567.89 EUR", "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"id 550e8400-e29b-41d4-a716-446655440000", "ISBN 978-3-16-148410-0", "@param name the name", "a@b", "x = y[3:7] @ z.T",
		"4532 0151 1283 0367", "GB30NWBK60161331926819", "std::vector<int>::iterator", "12:34:56", "1234567890123456",
		"10.5281/zenodo.1234567", "see RFC 2616, pages 100-200", "99.99% of 1000000000",
	} {
		if hits := identify("", text); len(hits) > 0 {
			t.Errorf("%q gives %+v", text, hits)
		}
	}
}

// TestPlaces: each format says record, field and offset, and the offset is that
// of the value in the file.
func TestPlaces(t *testing.T) {
	t.Parallel()
	const mail = "anna.meier@web.de"
	files := map[string]string{
		"a.txt":   "one\ntwo " + mail + "\n",
		"b.jsonl": `{"a":1}` + "\n" + `{"who":{"mails":["x","a\tb\u00e9 ` + mail + `"]}}` + "\n",
		"c.json":  `[{"n":1}, {"arguments":"{\"to\": \"` + mail + `\"}"}]`,
		"d.csv":   "name;contact\nAnna;\"say \"\"hi\"\" to " + mail + "\"\r\n",
	}
	r := scanned(t, set(t, files))
	want := map[string]string{"a.txt": "2:", "b.jsonl": "2:who.mails[1]", "c.json": "2:arguments.to", "d.csv": "2:contact"}
	seen := map[string]bool{}
	for _, f := range r.Findings {
		name := string(f.File)
		if f.File == "c.json" && f.Field == "arguments" {
			continue // the string as a whole has it, too
		}
		seen[name] = true
		if got := fmt.Sprintf("%d:%s", f.Record, f.Field); got != want[name] {
			t.Errorf("%s: found at %s, want %s", name, got, want[name])
		}
		if got := files[name][f.Offset:]; !strings.HasPrefix(got, mail) {
			t.Errorf("%s: at %d there is %q", name, f.Offset, got)
		}
	}
	if len(seen) != len(files) || len(r.Problems) > 0 {
		t.Errorf("found in %v, with problems %v", seen, r.Problems)
	}
}

// TestSecrets: gitleaks' rules see a value with its name, also in JSON, and no
// comment turns them off.
func TestSecrets(t *testing.T) {
	t.Parallel()
	token := "ghp_" + "0A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r"
	r := scanned(t, set(t, map[string]string{
		"a.go":    "x := \"" + token + "\" // gitleaks:allow\n",
		"b.jsonl": `{"github_token":"` + token + `"}`,
	}))
	want := []string{"a.go:1::6 secret:github-pat", "b.jsonl:1:github_token:17 secret:github-pat"}
	if diff := cmp.Diff(want, lines(r)); diff != "" {
		t.Error(diff)
	}
}

func packed(t testing.TB, name, text string) (zipped, tarred string) {
	t.Helper()
	var z, g bytes.Buffer
	zw := zip.NewWriter(&z)
	w, err := zw.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	gz := gzip.NewWriter(&g)
	tw := tar.NewWriter(gz)
	for _, err := range []error{
		second(w.Write([]byte(text))), zw.Close(),
		tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}), second(tw.Write([]byte(text))), tw.Close(), gz.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return z.String(), g.String()
}

func second(_ int, err error) error { return err }

func TestArchives(t *testing.T) {
	t.Parallel()
	zipped, tarred := packed(t, "in/b.csv", "id,mail\n1,anna@web.de\n")
	_, nested := packed(t, "x.zip", zipped)
	r := scanned(t, set(t, map[string]string{"a.zip": zipped, "b.tar.gz": tarred, "c.tgz": nested}))
	want := []string{
		"a.zip!in/b.csv:2:mail:10 email", "b.tar.gz!b.tar!in/b.csv:2:mail:10 email",
		"c.tgz!c.tar!x.zip!in/b.csv:2:mail:10 email",
	}
	if diff := cmp.Diff(want, lines(r)); diff != "" {
		t.Error(diff)
	}
}

// TestBadInput: what cannot be read is named with its place, and what can be is
// looked at all the same.
func TestBadInput(t *testing.T) {
	t.Parallel()
	bomb, _ := packed(t, "zeros.txt", strings.Repeat("0", 24<<20))
	dir := set(t, map[string]string{
		"bomb.zip":   bomb,
		"broken.gz":  "\x1f\x8b not gzip at all",
		"cut.json":   `{"a": "anna@web.de", "b": `,
		"latin.txt":  "caf\xe9 anna@web.de\n",
		"nul.bin":    "a\x00b",
		"pdf.pdf":    "%PDF-1.7 …",
		"quotes.csv": "a,b\n1,\"anna@web.de\n2,bert@web.de\n",
		"wide.csv":   "a,b\n1,2,3\n",
		"empty":      "",
	})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"cut.json:1:a:7 email", "latin.txt:1::5 email", "quotes.csv:2:b:7 email", "quotes.csv:2:b:21 email",
		"bomb.zip:0: it unpacks to more than 200 times its size; unpack it, if it is meant",
		"broken.gz:0: unpacking it: gzip: invalid header",
		"cut.json:1: EOF from here on; the rest was looked at as text",
		"latin.txt:0: it is not UTF-8; what is not ASCII in it was not understood",
		"link:0: it is a symbolic link; put a copy of what it leads to in its place",
		"nul.bin:0: it is no text, and no format that is known",
		"pdf.pdf:0: it does not read as PDF: not a PDF file: invalid header",
		"quotes.csv:2: the quote is not closed",
		"wide.csv:2: row 2 has 3 fields, and the first row 2",
	}
	if diff := cmp.Diff(want, lines(scanned(t, dir))); diff != "" {
		t.Error(diff)
	}
}

// TestPieces finds what lies across the pieces in which a long value is looked
// at, once.
func TestPieces(t *testing.T) {
	t.Parallel()
	for _, format := range []struct{ name, before, after string }{
		{"a.txt", "", "\n"}, {"a.json", `{"v":"`, `"}`}, {"a.csv", "id,v\n1,\"", "\"\n"},
	} {
		for _, shift := range []int{-10, 0, 200} {
			text := strings.Repeat("x ", maxText/2+shift/2) + "anna.meier@web.de" + strings.Repeat(" y", maxText)
			r := scanned(t, set(t, map[string]string{format.name: format.before + text + format.after}))
			at := int64(len(format.before) + strings.Index(text, "anna"))
			if len(r.Findings) != 1 || r.Findings[0].Offset != at {
				t.Errorf("%s at %d: %v, want one at %d", format.name, shift, lines(r), at)
			}
		}
	}
}

// TestReserved: whatever is made up in a reserved space is known to be, however
// it is written.
func TestReserved(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.Map(rapid.StringMatching(`[a-z]{1,8}@([a-z]{2,6}\.)?example\.(com|net|org)`), func(s string) string { return s }),
			rapid.Map(rapid.StringMatching(`[2-9]\d{2}-555-01\d{2}`), func(s string) string { return "call " + s }),
			rapid.Map(rapid.StringMatching(`9\d{2}-[0-4][1-9]-\d{3}[1-9]`), func(s string) string { return "ssn " + s }),
			rapid.StringMatching(`from (192\.0\.2|198\.51\.100|203\.0\.113)\.[1-9]\d?`),
		).Draw(t, "text")
		hits := identify("", text)
		if len(hits) != 1 || hits[0].synthetic == "" {
			t.Fatalf("%q gives %+v", text, hits)
		}
	})
}

// TestShape: a report does not repeat what it found.
func TestShape(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"Änna.M-1@web.de": "aaaa.a-9@aaa.aa", "460-89-9847": "999-99-9999"} {
		if got := outline(value); got != want {
			t.Errorf("%q has the shape %q, want %q", value, got, want)
		}
	}
}

// FuzzMember: no file makes a scan fail to end, panic or place a finding outside
// itself.
func FuzzMember(f *testing.F) {
	zipped, tarred := packed(f, "b.json", `{"a":"anna@web.de"}`)
	for _, seed := range []string{
		`{"a":["x\u00e9\ud83d\ude00",{"b":4532015112830366}]}`, "a,b\n\"x\"\"y\",460-89-9847\r\n", "\xff\xfea\x00@\x00b\x00.\x00d\x00e\x00",
		"::1 1.2.3.4 +44 7700 900123", zipped, tarred, "\"\\u12", "[[[[[[", "\xef\xbb\xbfa;b\n",
	} {
		for _, name := range []string{"a.json", "a.csv", "a.txt"} {
			f.Add(name, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		secrets, err := newSecrets()
		if err != nil {
			t.Fatal(err)
		}
		c := &collector{secrets: secrets, kinds: map[string]*proofbox.KindCount{}}
		left := int64(1 << 20)
		_ = c.member(member{name: name, left: &left}, bytes.NewReader(data), bytes.NewReader(data), int64(len(data)))
		c.secrets.flush(c)
		for _, found := range c.finish().Findings {
			if found.Offset < 0 || found.Record < 0 {
				t.Errorf("a finding at %d", found.Offset)
			}
		}
	})
}

// BenchmarkReject scans text that has nothing to find.
func BenchmarkReject(b *testing.B) {
	line := "The quick brown fox jumps over the lazy dog, and then some more of what nobody would call personal.\n"
	benchmark(b, "a.txt", strings.Repeat(line, 1<<16))
}

// BenchmarkRecords scans JSON lines, of which every fourth has an address.
func BenchmarkRecords(b *testing.B) {
	var text strings.Builder
	for i := range 1 << 16 {
		fmt.Fprintf(&text, `{"id":%d,"status":"shipped","amount":"%d.50","note":"left at the door, nobody was there"}`+"\n", i, i%900)
	}
	benchmark(b, "a.jsonl", text.String())
}

// BenchmarkProse scans text as people write it, with the words that rules for secrets need and nothing that they
// find.
func BenchmarkProse(b *testing.B) {
	text := "They said that the key to the office is with the secretary, who has access after nine. Authors of the\n" +
		"internal newsletter discuss a token of thanks; passwords were not mentioned. Linear growth, square metres,\n" +
		"and an API for reports. Ask Sonja's colleague: she keeps the notes. Nobody likes meetings at seven.\n"
	benchmark(b, "a.txt", strings.Repeat(text, 1<<15))
}

// BenchmarkTable scans a table of what is no identifier.
func BenchmarkTable(b *testing.B) {
	var text strings.Builder
	text.WriteString("id,placed,status,amount,currency,city,note\n")
	for i := range 1 << 16 {
		fmt.Fprintf(&text, "%d,2024-%02d-%02d,shipped,%d.50,EUR,Utrecht,left at the door\n", i, i%12+1, i%28+1, i%900)
	}
	benchmark(b, "a.csv", text.String())
}

func benchmark(b *testing.B, name, text string) {
	dir := set(b, map[string]string{name: text})
	b.SetBytes(int64(len(text)))
	before := processor(b)
	for b.Loop() {
		scanned(b, dir)
	}
	b.ReportMetric(float64(len(text))*float64(b.N)/1e6/(processor(b)-before).Seconds(), "MB/s-of-a-core")
}

// processor is the time that processors have spent on this program: beside others, a clock says little.
func processor(b *testing.B) time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// spansOf gives what a finder cannot read of a set, and how many spans it gives.
func spansOf(t testing.TB, dir string) (problems []proofbox.DataProblem, n int) {
	t.Helper()
	f := Finder{Guide: func(string) (string, bool) { return "", false }}
	err := tree.Walk(context.Background(), dir, func(e tree.Entry) error {
		r, err := f.Spans(context.Background(), e, func(Span) error { n++; return nil })
		if err == nil {
			problems = append(problems, r.Problems...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return problems, n
}
