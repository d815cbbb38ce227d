package mask

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/contents/scan"
	"proofbox/internal/contents/tag"
	"proofbox/internal/contents/tree"
)

// finder is what cmd/proofbox-contents gives a masker.
func finder(plan proofbox.MaskPlan) Finder {
	f := scan.Finder{Guide: Guide(plan), Names: plan.Names}
	return func(ctx context.Context, e tree.Entry, give func(Found) error) (string, []proofbox.DataProblem, error) {
		r, err := f.Spans(ctx, e, func(s scan.Span) error { return give(Found(s)) })
		if err != nil || len(r.Sealed) != 1 {
			return "", r.Problems, err
		}
		return r.Sealed[0].SHA256, r.Problems, nil
	}
}

// masked masks files and gives what was written.
func masked(t rapid.TB, secret string, plan proofbox.MaskPlan, files map[string]string) (map[string]string, *Result, error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mask-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for name, text := range files {
		path := filepath.Join(in, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := tag.New([]byte(secret))
	m := Masker{Key: key, Plan: plan, Find: finder(plan)}
	r, err := m.Mask(context.Background(), in, out, filepath.Join(dir, "list"))
	if err != nil {
		return nil, nil, err
	}
	l, err := Load(key, filepath.Join(dir, "list"))
	if err != nil {
		t.Fatal(err)
	}
	if where, err := l.Survivor(context.Background(), out, scan.Locate); where != nil || err != nil {
		t.Fatalf("the list that was saved finds %q: %v", where, err)
	}
	if where, err := l.Survivor(context.Background(), in, scan.Locate); err != nil || r.Values > 0 && where == nil {
		t.Fatalf("the list that was saved finds nothing in the source: %v", err)
	}
	texts := map[string]string{}
	for name := range files {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts, r, nil
}

const secret = "a secret of sixteen bytes"

var names = proofbox.MaskPlan{Version: 1, Fields: []proofbox.MaskField{{Field: "name", Kind: "person"}}}

// person is somebody in a drawn set.
type person struct {
	Name, Mail, Phone, Card, Account string
}

var (
	firsts = []string{"Anna", "Carla", "Jorge", "Ülkü", "Mary-Jane", "Wei"}
	lasts  = []string{"Kowalska", "Diaz", "Long", "O'Brien", "von Berg", "Nuñez"}
)

func people(t *rapid.T) []person {
	var all []person
	for i := range rapid.IntRange(1, 12).Draw(t, "people") {
		n := rapid.IntRange(0, 9999).Draw(t, "number")
		first, last := rapid.SampledFrom(firsts).Draw(t, "first"), rapid.SampledFrom(lasts).Draw(t, "last")
		all = append(all, person{
			Name:    first + " " + last,
			Mail:    fmt.Sprintf("%s.%d@shop%d.com", strings.ToLower(first[:1]+"x"), n, n%3),
			Phone:   fmt.Sprintf("%d12736%04d", 2+i%8, n),
			Card:    card(n),
			Account: fmt.Sprintf("%08d", 10_000_000+n*7919),
		})
	}
	return all
}

// card has a check digit by the definition, not by the maker's code.
func card(n int) string {
	for d := range 10 {
		s := fmt.Sprintf("41111111111%04d%d", n, d)
		sum := 0
		for i, c := range s {
			v := int(c - '0')
			if i%2 == 0 {
				if v *= 2; v > 9 {
					v -= 9
				}
			}
			sum += v
		}
		if sum%10 == 0 {
			return s
		}
	}
	panic("no digit is right")
}

// written writes people in five formats, in other layouts and cases each.
func written(all []person) map[string]string {
	var table, lines, text strings.Builder
	w := csv.NewWriter(&table)
	_ = w.Write([]string{"id", "name", "mail", "phone", "card", "account_number", "amount"})
	for i, p := range all {
		spaced := fmt.Sprintf("+1 (%s) %s-%s", p.Phone[:3], p.Phone[3:6], p.Phone[6:])
		_ = w.Write([]string{fmt.Sprint(i), p.Name, p.Mail, p.Phone, p.Card, p.Account, "12.50"})
		args, _ := json.Marshal(map[string]any{"phone": spaced, "card": p.Card[:4] + " " + p.Card[4:8] + " " + p.Card[8:12] + " " + p.Card[12:]})
		line, _ := json.Marshal(map[string]any{"name": strings.ToUpper(p.Name), "args": string(args), "account_number": p.Account, "n": i})
		lines.Write(line)
		lines.WriteString("\n")
		fmt.Fprintf(&text, "INSERT INTO t VALUES (%d, '%s', 'call %s'); -- %s\n", i, strings.ToUpper(p.Mail), spaced, p.Name)
	}
	w.Flush()
	return map[string]string{"a/table.csv": table.String(), "lines.jsonl": lines.String(), "text.sql": text.String()}
}

// normal is a text without anything but letters and digits, in small letters: the
// tests' own definition, which finds more than the masker's.
func normal(s string) string {
	return strings.ToLower(regexp.MustCompile(`[^\pL\pN]+`).ReplaceAllString(s, ""))
}

// TestMask holds a masked set against its source: nothing of anybody is in it, the same
// value became the same one everywhere, different ones stayed different, layouts
// and all else stayed as they were.
func TestMask(t *testing.T) {
	t.Parallel()
	// A masking compiles nothing, but takes a tenth of a second; so there are few.
	for seed := range 8 {
		all := rapid.Custom(people).Example(seed)
		files := written(all)
		got, _, err := masked(t, secret, names, files)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(got["a/table.csv"])).ReadAll()
		if err != nil || len(rows) != len(all)+1 {
			t.Fatalf("the table has %d rows: %v", len(rows), err)
		}
		lines := strings.Split(got["lines.jsonl"], "\n")
		texts := strings.Split(got["text.sql"], "\n")
		p := pairs{t, map[string]string{}, map[string]string{}}
		for i, one := range all {
			for _, out := range got {
				for _, real := range []string{one.Name, one.Mail, one.Phone, one.Card, one.Account} {
					if strings.Contains(normal(out), normal(real)) {
						t.Fatalf("%q survived in %s", real, out)
					}
				}
			}
			if row := rows[i+1]; row[0] != fmt.Sprint(i) || row[6] != "12.50" {
				t.Fatalf("row %d: what is nobody's changed: %q", i, row)
			}
			p.person(one, rows[i+1], lines[i], texts[i])
		}
		again, _, err := masked(t, secret, names, files)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
			t.Fatalf("the same key gives something else: %v", err)
		}
		other := names
		other.Context = "other"
		for what, f := range map[string]func() (map[string]string, *Result, error){
			"key":     func() (map[string]string, *Result, error) { return masked(t, "another secret of ours", names, files) },
			"context": func() (map[string]string, *Result, error) { return masked(t, secret, other, files) },
		} {
			if m, _, err := f(); err != nil || m["a/table.csv"] == got["a/table.csv"] {
				t.Fatalf("another %s gives the same: %v", what, err)
			}
		}
	}
}

// pairs are values and their replacements.
type pairs struct {
	t             *testing.T
	mapped, owner map[string]string
}

func (p pairs) add(kind, from, to string) {
	from, to = kind+normal(from), kind+normal(to)
	if was, ok := p.mapped[from]; ok && was != to {
		p.t.Fatalf("%q became %q and %q", from, was, to)
	}
	if was, ok := p.owner[to]; ok && was != from {
		p.t.Fatalf("%q and %q became %q", from, was, to)
	}
	p.mapped[from], p.owner[to] = to, from
}

// person holds what became of somebody against each other: the row of a table, the line
// of a document with one in it, and the line of a text.
func (p pairs) person(is person, row []string, line, text string) {
	for i, v := range []string{is.Name, is.Mail, is.Phone, is.Card, is.Account} {
		p.add(fmt.Sprint(i), v, row[i+1])
	}
	var doc struct {
		Name, Args string
		Account    string `json:"account_number"`
	}
	var args struct{ Phone, Card string }
	err := json.Unmarshal([]byte(line), &doc)
	if err = errors.Join(err, json.Unmarshal([]byte(doc.Args), &args)); err != nil {
		p.t.Fatalf("%v: %s", err, line)
	}
	p.add("0", is.Name, doc.Name)
	p.add("3", is.Card, args.Card)
	p.add("4", is.Account, doc.Account)
	if normal(args.Phone) != "1"+row[3] || !regexp.MustCompile(`^\+1 \(\d{3}\) \d{3}-\d{4}$`).MatchString(args.Phone) {
		p.t.Fatalf("the telephone number %q is %q in another layout", row[3], args.Phone)
	}
	if !strings.Contains(text, args.Phone) || !strings.Contains(text, row[1]) || !strings.Contains(strings.ToLower(text), strings.ToLower(row[2])) {
		p.t.Fatalf("the text %q is not of %q", text, row)
	}
}

// TestPlan checks that a field in the plan wins over whatever a scan finds.
func TestPlan(t *testing.T) {
	t.Parallel()
	plan := proofbox.MaskPlan{Version: 1, Fields: []proofbox.MaskField{
		{Field: "owner.name", Kind: "person"}, {Field: "card", Kind: "keep"}, {Field: "ref", Kind: "number"}, {Field: "since", Kind: "date"},
	}}
	in := `{"owner":{"name":"4111111111111111"},"name":"Anna Kowalska","card":"4111-1111-1111-1112 a@b.com","ref":"AB-123456","since":"2024-02-28T10:00:00Z"}`
	got, _, err := masked(t, secret, plan, map[string]string{"a.json": in})
	if err != nil {
		t.Fatal(err)
	}
	out := got["a.json"]
	if !strings.Contains(out, `"card":"4111-1111-1111-1112 a@b.com"`) || !strings.Contains(out, "Anna Kowalska") {
		t.Errorf("what was to be kept is not: %s", out)
	}
	if strings.Contains(out, "AB-123456") || strings.Contains(out, "4111111111111111") || strings.Contains(out, "2024-02-28") {
		t.Errorf("what was to be replaced is not: %s", out)
	}
	if !regexp.MustCompile(`"ref":"[A-Z]{2}-\d{6}","since":"20\d\d-\d\d-\d\dT10:00:00Z"}`).MatchString(out) {
		t.Errorf("the layout is gone: %s", out)
	}
}

// TestMissing checks that a plan which is wrong about a value does not keep it, and
// that no value is none.
func TestMissing(t *testing.T) {
	t.Parallel()
	plan := proofbox.MaskPlan{Version: 1}
	for _, kind := range proofbox.MaskKinds {
		if kind != "keep" && kind != "text" && kind != "date" {
			plan.Fields = append(plan.Fields, proofbox.MaskField{Field: kind, Kind: kind})
		}
	}
	for _, f := range plan.Fields {
		got, _, err := masked(t, secret, plan, map[string]string{"a.csv": f.Field + ",x\nn/a,1\n-,2\nQuite 12345 something 9876,3\n"})
		if err != nil {
			t.Errorf("%s: %v", f.Field, err)
			continue
		}
		if out := got["a.csv"]; !strings.Contains(out, "\nn/a,1\n-,2\n") || strings.Contains(out, "12345") || strings.Contains(out, "something") {
			t.Errorf("%s: %s", f.Field, out)
		}
	}
}

// TestElsewhere checks that what only one field says is found everywhere, however it is
// written there.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a.csv":    "name\nAnna Kowalska\nJosé Nuñez\n",
		"b.txt":    "anna  kowalska, KOWALSKA and Nuñez rang; may i ask whether kowalski is one\n",
		"c.json":   `{"t":"x\nAnna Kowalska\nx","u":"Jos\u00e9 Nu\u00f1ez","v":"{\"w\":\"\\nKowalska\"}"}`,
		"long.txt": strings.Repeat("x ", piece/2-5) + "Anna Kowalska" + strings.Repeat(" y", piece),
	}
	got, r, err := masked(t, secret, names, files)
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range got {
		if regexp.MustCompile(`(?i)kowalska|nuñez|nu\\u00f1ez|anna\b`).MatchString(out) {
			t.Errorf("%s: somebody is still there: %.300s", name, out)
		}
		if filepath.Ext(name) == ".json" && !json.Valid([]byte(out)) {
			t.Errorf("%s is no JSON any more: %s", name, out)
		}
	}
	if !strings.Contains(got["b.txt"], "may i ask whether kowalski is one") {
		t.Errorf("what is nobody's changed: %s", got["b.txt"])
	}
	if r.Repaired == 0 {
		t.Error("nothing was found by the list alone")
	}
}

// TestPrivateKey checks that a secret of several lines is replaced as a whole.
func TestPrivateKey(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 20 {
		lines = append(lines, strings.Repeat(fmt.Sprintf("Ab%dZ", i), 16)[:64])
	}
	text := "before\n-----BEGIN RSA PRIVATE KEY-----\n" + strings.Join(lines, "\n") + "\n-----END RSA PRIVATE KEY-----\nafter\n"
	got, _, err := masked(t, secret, names, map[string]string{"key.txt": text})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if strings.Contains(got["key.txt"], line) {
			t.Errorf("a line of the key survived: %s", line)
		}
	}
	if !strings.HasPrefix(got["key.txt"], "before\n") || !strings.HasSuffix(got["key.txt"], "\nafter\n") {
		t.Errorf("what is around it changed: %s", got["key.txt"])
	}
}

// zipped is an archive with one file.
func zipped(name, text string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if w, err := z.Create(name); err == nil {
		_, _ = w.Write([]byte(text))
	}
	_ = z.Close()
	return b.String()
}

// TestRefused checks that what cannot be masked as a whole is not masked, and named.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, text, want string }{
		"an archive":     {"a.gz", "\x1f\x8b\x08\x00", "a.gz"},
		"a whole one":    {"a.zip", zipped("b.csv", "id,mail\n1,anna@web.de\n"), "can be looked into and not be written anew"},
		"no UTF-8":       {"a.txt", "a\n\xff\xfe\x00", "a.txt"},
		"Latin-1":        {"a.csv", "name\nJos\xe9\n", "not UTF-8"},
		"an open quote":  {"a.csv", "id,name\n1,\"Anna\n", "the quote is not closed"},
		"a broken table": {"a.csv", "id,name\n1,2,3\n", "row 2 has 3 fields"},
		"no JSON":        {"a.json", `{"a": `, "EOF from here on"},
		"a day":          {"a.json", `{"since":"some time ago"}`, `record 1, field "since"`},
	} {
		plan := names
		plan.Fields = append(plan.Fields[:1:1], proofbox.MaskField{Field: "since", Kind: "date"})
		if _, _, err := masked(t, secret, plan, map[string]string{c.file: c.text}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, _, err := masked(t, secret, names, map[string]string{"empty.csv": "", "b.txt": "x"}); err != nil || got["empty.csv"] != "" {
		t.Errorf("an empty file: %v", err)
	}
}

// TestDump: a dump is masked by its columns, and is one that a database takes in, with what was masked in it.
func TestDump(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "python") {
			t.Fatal("python is required, and not there")
		}
		t.Skip("there is no python3")
	}
	dump := "CREATE TABLE people(id INTEGER, name TEXT, mail TEXT, note TEXT);\n" +
		"INSERT INTO people VALUES (1,'Sinéad O''Brien','s.obrien@web.de','it''s for O''Brien, 10''000');\n" +
		"INSERT INTO people VALUES (2,'Carla Diaz',NULL,'called (212) 736-5000');\n"
	got, _, err := masked(t, secret, names, map[string]string{"a.sql": dump, "b.csv": "\xef\xbb\xbfname,mail\nCarla Diaz,c@web.de\n"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", "import sqlite3, sys\ndb = sqlite3.connect(':memory:')\ndb.executescript(sys.stdin.read())\n"+
		"for r in db.execute('SELECT * FROM people'): print('|'.join(str(v) for v in r))")
	cmd.Stdin = strings.NewReader(got["a.sql"])
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, got["a.sql"])
	}
	rows := strings.Split(strings.TrimSpace(string(out)), "\n")
	carla := strings.Split(rows[1], "|")[1]
	if len(rows) != 2 || !strings.HasSuffix(rows[0], ", 10'000") || !strings.Contains(rows[0], ".example|it's for ") || !strings.HasPrefix(rows[1], "2|") {
		t.Errorf("%q", rows)
	}
	if !strings.HasPrefix(got["b.csv"], "\xef\xbb\xbfname,mail\n"+carla+",") || strings.Contains(got["b.csv"], "web.de") {
		t.Errorf("%q, and she is %s", got["b.csv"], carla)
	}
}

// TestList holds the search against one that has the values in plain text.
func TestList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := tag.New([]byte(secret))
		value := rapid.StringMatching(`[a-z]{2,5}[0-9]{4,6}|[0-9]{6,12}|[a-z]{6,9}`).Draw(t, "value")
		l := newList(key)
		if err := l.add("x", value); err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		text.WriteString(rapid.StringMatching(`[ a-z0-9.]{0,20} `).Draw(t, "before"))
		start := text.Len()
		for i := range len(value) {
			text.WriteByte(value[i])
			if i+1 < len(value) && value[i] <= '9' && value[i+1] <= '9' {
				text.WriteString(rapid.SampledFrom([]string{"", "", " ", "-", ") "}).Draw(t, "between"))
			}
		}
		end := text.Len()
		text.WriteString(rapid.StringMatching(`( [ a-z0-9.]{0,20})?`).Draw(t, "after"))
		found := false
		err := l.survivors(bytes.NewReader(bytes.ToUpper(text.Bytes())), func(s survivor) error {
			found = found || int(s.start) <= start && int(s.end) >= end
			return nil
		})
		if err != nil || !found {
			t.Fatalf("%q was not found in %q: %v", value, text.String(), err)
		}
		if normal(text.String()[:start]+" "+text.String()[end:]) == "" {
			return
		}
		err = newList(key).survivors(&text, func(survivor) error { return fmt.Errorf("an empty list finds something") })
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestTagsByChance: a real value that has our tag by chance is real, wherever it stands.
func TestTagsByChance(t *testing.T) {
	t.Parallel()
	key := tag.New([]byte(secret))
	value := ""
	for n := 10_000_000; value == "" || !key.Tagged("number", value); n++ {
		value = fmt.Sprint(n)
	}
	plan := proofbox.MaskPlan{Version: 1, Fields: []proofbox.MaskField{{Field: "ref", Kind: "number"}}}
	got, r, err := masked(t, secret, plan, map[string]string{
		"a.jsonl": `{"ref":"` + value + `"}` + "\n", "b.txt": "they said " + value + " and left\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Values != 1 || strings.Contains(got["a.jsonl"]+got["b.txt"], value) {
		t.Errorf("%q: %d values, %q", value, r.Values, got)
	}
}
