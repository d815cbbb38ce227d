package scan

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"proofbox"
)

// python runs a program in Python, whose libraries share nothing with what is tested, in a folder of its own.
func python(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "python") {
			t.Fatal("python is required, and not there")
		}
		t.Skip("there is no python3")
	}
	dir := t.TempDir()
	cmd := exec.Command(path, "-c", program)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("python3: %v\n%s", err, out)
	}
	return dir
}

const databases = `
import sqlite3, gzip
def make(name, encoding):
    db = sqlite3.connect(name)
    db.executescript(f'''
    PRAGMA synchronous=OFF;
    PRAGMA encoding="{encoding}";
    CREATE TABLE people(id INTEGER PRIMARY KEY, mail TEXT, ssn INTEGER, since DATETIME, notes BLOB);
    CREATE INDEX by_mail ON people(mail);
    CREATE TABLE "odd ""name"(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE VIRTUAL TABLE texts USING fts5(body);
    CREATE TABLE made(a TEXT, b TEXT GENERATED ALWAYS AS (a || '@' || 'web.de') VIRTUAL);
    CREATE VIEW v AS SELECT mail FROM people;
    ''')
    db.execute("INSERT INTO people VALUES (7, 'anna.meier@web.de', 460899847, '2020-01-02 03:04:05', ?)", (gzip.compress(b'{"to":"carla@web.de"}'),))
    db.execute("INSERT INTO people VALUES (8, 'bert@shop.example', NULL, NULL, ?)", (b'dora@web.de',))
    db.execute('''INSERT INTO "odd ""name" VALUES ('x', '{"a":["emil@web.de"]}')''')
    db.execute("INSERT INTO texts VALUES ('write to fritz@web.de')")
    db.execute("INSERT INTO made VALUES ('gerd')")
    db.commit()
    db.close()
make('a.db', 'UTF-8')
make('wide.db', 'UTF-16le')
`

// TestDatabase finds what is in every table of a database, by field, and what hides from tables is a problem.
func TestDatabase(t *testing.T) {
	t.Parallel()
	got := lines(scanned(t, python(t, databases)))
	var want []string
	for _, name := range []string{"a.db", "wide.db"} {
		want = append(
			want,
			name+"!people:1:mail:0 email", name+"!people:1:ssn:0 us-ssn", name+"!people!1!notes!1!notes:1:to:7 email", name+"!people:2:notes:0 email",
			name+`!odd "name:1:value.a[0]:7 email`, name+"!texts_content:1:c0:9 email", name+"!made:1:b:0 email",
		)
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("not found: %s", line)
		}
	}
}

// TestDatabaseHides: what is in no table, or in another place than it seems, is said.
func TestDatabaseHides(t *testing.T) {
	t.Parallel()
	dir := python(t, databases+`
import shutil, os
db = sqlite3.connect('plain.db')
db.execute('CREATE TABLE made(a TEXT)')
db.execute("INSERT INTO made VALUES ('gerd')")
db.commit(); db.close()
def change(name, *sql):
    shutil.copy('plain.db', name)
    db = sqlite3.connect(name, isolation_level=None)
    for s in sql: db.execute(s)
    db.close()
change('deleted.db', "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000) INSERT INTO made SELECT 'x'||i FROM n", "DELETE FROM made")
change('vacuumed.db', "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000) INSERT INTO made SELECT 'x'||i FROM n", "DELETE FROM made", "VACUUM")
change('lost.db', "CREATE TABLE lost(a)", "INSERT INTO lost VALUES ('hugo@web.de')", "PRAGMA writable_schema=1", "DELETE FROM sqlite_schema WHERE name='lost'")
shutil.copy('plain.db', 'log.db')
db = sqlite3.connect('log.db', isolation_level=None)
db.execute('PRAGMA journal_mode=WAL'); db.execute("INSERT INTO made VALUES ('later')")
shutil.copy('log.db', 'copied.db'); shutil.copy('log.db-wal', 'copied.db-wal')
db.close()
data = open('plain.db', 'rb').read()
open('cut.db', 'wb').write(data[:len(data)//2])
open('header.db', 'wb').write(data[:100])
`)
	for name, want := range map[string]string{
		"a.db":       `the table "texts" is a virtual one`,
		"deleted.db": "it has pages of what was deleted; make it anew with VACUUM", "lost.db": "it is not sound: *** in database main ***\nPage",
		"copied.db-wal": "SQLite's log of what is not in the database yet", "cut.db": "SQLite cannot read it: ", "header.db": "SQLite cannot read it: ",
		"vacuumed.db": "", "log.db": "",
	} {
		r := scanned(t, filepath.Join(dir, name))
		if want == "" && len(r.Problems) > 0 || want != "" && (len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Reason, want)) {
			t.Errorf("%s: %+v, want %q", name, r.Problems, want)
		}
	}
}

// TestDatabaseHostile: a database that is one in its first bytes alone, or that computes without end, ends as
// a problem.
func TestDatabaseHostile(t *testing.T) {
	t.Parallel()
	dir := python(t, databases+`
import os, random
db = sqlite3.connect('bomb.db')
db.execute("CREATE TABLE t(a, b GENERATED ALWAYS AS (hex(zeroblob(4000000))) VIRTUAL)")
db.executemany("INSERT INTO t(a) VALUES (?)", [('x',)]*50)
db.commit(); db.close()
db = sqlite3.connect('row.db')
db.execute("CREATE TABLE t(a)")
db.execute("INSERT INTO t VALUES (?)", ('y' * 20000000,))
db.commit(); db.close()
`)
	for name, want := range map[string]string{"bomb.db": "unpacks to more than 200 times", "row.db": "string or blob too big"} {
		if r := scanned(t, filepath.Join(dir, name)); len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Reason, want) {
			t.Errorf("%s: %+v, want %q", name, r.Problems, want)
		}
	}
	whole, err := os.ReadFile(filepath.Join(dir, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	damaged(t, "a.db", whole, 30)
}

// damaged looks at a file with bytes changed and cut off: it must end, and either be read or be a problem.
func damaged(t *testing.T, name string, whole []byte, tries int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range tries {
		data := bytes.Clone(whole)
		if i%2 == 0 {
			data = data[:r.IntN(len(data))]
		} else {
			for range 1 + r.IntN(20) {
				data[16%len(data)+r.IntN(len(data)-16%len(data))] = byte(r.Uint32())
			}
		}
		if _, err := looked(name, data); err != nil {
			t.Fatalf("%s, try %d: %v", name, i, err)
		}
	}
}

// looked scans bytes as a file.
func looked(name string, data []byte) (*Result, error) {
	secrets, err := newSecrets()
	if err != nil {
		return nil, err
	}
	c := &collector{secrets: secrets, kinds: map[string]*proofbox.KindCount{}}
	c.place.File = proofbox.Raw(name)
	left := expansion(int64(len(data)))
	if err := c.member(member{name: name, left: &left}, bytes.NewReader(data), bytes.NewReader(data), int64(len(data))); err != nil {
		c.problem(0, "%v", err)
	}
	c.secrets.flush(c)
	return c.finish(), nil
}

const dumps = `
import sqlite3
db = sqlite3.connect(':memory:')
db.executescript('''
CREATE TABLE people(id INTEGER PRIMARY KEY, mail TEXT, ssn TEXT, notes TEXT, CHECK (id > 0));
CREATE TABLE "orders"("id" INTEGER, "to" TEXT);
''')
db.execute("INSERT INTO people VALUES (1, 'anna.meier@web.de', '460899847', 'it''s her''s; (really), call')")
db.execute("INSERT INTO people VALUES (2, 'bert@web.de', NULL, ?)", ('a\nb\\ c@web.de',))
db.execute("INSERT INTO orders VALUES (1, 'dora@web.de')")
open('lite.sql', 'w').write('\n'.join(db.iterdump()) + '\n')
`

const pgDump = "--\n-- PostgreSQL database dump\n--\nCREATE TABLE public.people (\n    id integer NOT NULL,\n    ssn character varying(20) DEFAULT 'a,b'::character varying,\n" +
	"    mail text,\n    CONSTRAINT x CHECK ((id > 0))\n);\nCOPY public.people (id, ssn, mail) FROM stdin;\n1\t460899847\tanna.meier@web.de\n2\t\\N\ta\\tb\\\\ bert@web.de\n\\.\n\n" +
	"COPY public.people FROM stdin;\n3\t460899847\tc@web.de\n\\.\n-- owner: dora@web.de\n"

const myDump = "-- MySQL dump 10.13\nCREATE TABLE `people` (\n  `id` int NOT NULL,\n  `ssn` varchar(20) DEFAULT NULL,\n  `mail` varchar(99),\n  PRIMARY KEY (`id`),\n  KEY `k` (`mail`)\n);\n" +
	"INSERT INTO `people` VALUES (1,'460899847','O\\'Brien <anna@web.de>'),(2,NULL,_utf8mb4'bert@web.de'),\n(3,'x',concat('c)',',d@web.de'));\nINSERT INTO people (mail, id) VALUES (N'e@web.de', -1.5)\nGO\n" +
	"INSERT INTO people SELECT 'f@web.de';\n"

// TestDumps finds what is in dumps by the names of columns, at its place in the file.
func TestDumps(t *testing.T) {
	t.Parallel()
	dir := python(t, dumps)
	for name, text := range map[string]string{"pg.sql": pgDump, "my": myDump} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]string{
		"lite.sql": {"orders.to email dora@web.de", "people.mail email anna.meier@web.de", "people.ssn us-ssn 460899847", "people.mail email bert@web.de", "people.notes email c@web.de"},
		"pg.sql":   {"people.ssn us-ssn 460899847", "people.mail email anna.meier@web.de", "people.mail email bert@web.de", "people.ssn us-ssn 460899847", "people.mail email c@web.de", " email dora@web.de"},
		"my": {
			"people.ssn us-ssn 460899847", "people.mail email anna@web.de", "people.mail email bert@web.de", "people.mail email d@web.de",
			"people.mail email e@web.de", " email 'f@web.de",
		},
	} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		r := scanned(t, filepath.Join(dir, name))
		for _, f := range r.Findings {
			got = append(got, f.Field+" "+f.Kind+" "+string(data[f.Offset:f.Offset+int64(len(f.Shape))]))
		}
		if diff := cmp.Diff(want, got); diff != "" || len(r.Problems) > 0 {
			t.Errorf("%s: %s%+v", name, diff, r.Problems)
		}
	}
}

// TestBrokenDumps: a dump that is cut off says so, and what is in it is looked at all the same.
func TestBrokenDumps(t *testing.T) {
	t.Parallel()
	dir := set(t, map[string]string{
		"cut.sql":   "INSERT INTO t (a, b) VALUES (1, 'anna@web.de",
		"copy.sql":  "COPY t (a, b) FROM stdin;\n1\tanna@web.de\n",
		"wide.sql":  "INSERT INTO t (a, b) VALUES (1, 'anna@web.de', 3);\nCOPY t (a) FROM stdin;\n1\t2\n\\.\n",
		"quote.sql": "INSERT INTO t (a, b) VALUES ('it\\', 'anna@web.de');\n",
	})
	want := []string{
		"copy.sql:2:t.b:28 email", "quote.sql:2:t.b:37 email", "wide.sql:2:t.b:33 email",
		"copy.sql:2: the rows of COPY do not end", "cut.sql:2: it ends in the middle of a row",
		`wide.sql:2: a row has 3 fields, and the table "t" has 2`, `wide.sql:4: a row has 2 fields, and the table "t" has 1`,
	}
	if diff := cmp.Diff(want, lines(scanned(t, dir))); diff != "" {
		t.Error(diff)
	}
}

// parquetRow is a row of a Parquet file.
type parquetRow struct {
	ID    int64    `parquet:"id"`
	Mail  string   `parquet:"mail,dict"`
	SSN   int32    `parquet:"ssn"`
	Notes []string `parquet:"notes,list"`
	Raw   []byte   `parquet:"raw,optional"`
}

func parquetFile(t testing.TB, rows int, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[parquetRow](&b, options...)
	for i := range rows {
		row := parquetRow{ID: int64(i), Mail: fmt.Sprintf("anna%d@web.de", i%3), SSN: 460899847, Notes: []string{"x", `{"to":"bert@web.de"}`}}
		if i == 1 {
			row.Raw = []byte("\x1f\x8b broken")
		}
		if _, err := w.Write([]parquetRow{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestParquet finds what is in columns, whatever they are packed with.
func TestParquet(t *testing.T) {
	t.Parallel()
	want := []string{
		":1:mail:0 email", ":2:mail:0 email", ":3:mail:0 email", ":1:ssn:0 us-ssn",
		":1:notes.list.element:7 email", ":1:notes.list.element.to:7 email", ":2:notes.list.element:7 email", ":2:notes.list.element.to:7 email",
		":3:notes.list.element:7 email", ":3:notes.list.element.to:7 email", "a.parquet!2!raw:0: unpacking it: unexpected EOF",
	}
	for name, options := range map[string][]parquet.WriterOption{
		"plain": nil, "snappy": {parquet.Compression(&parquet.Snappy)}, "gzip": {parquet.Compression(&parquet.Gzip)},
		"zstd": {parquet.Compression(&parquet.Zstd)}, "lz4": {parquet.Compression(&parquet.Lz4Raw)}, "version 1": {parquet.DataPageVersion(1), parquet.Compression(&parquet.Zstd)},
	} {
		r, err := looked("a.parquet", parquetFile(t, 3, options...))
		if err != nil {
			t.Fatal(err)
		}
		got := lines(r)
		for i := range got {
			got[i] = strings.Replace(got[i], "a.parquet:", ":", 1)
		}
		if diff := cmp.Diff(want, got); diff != "" || r.Records != 3 {
			t.Errorf("%s: %d records\n%s", name, r.Records, diff)
		}
	}
}

// TestForeignParquet reads files that other programs have written.
func TestForeignParquet(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		if r := scanned(t, path); r.Records == 0 || r.Values == 0 || len(r.Problems) > 0 {
			t.Errorf("%s: %d records, %d values, %+v", path, r.Records, r.Values, r.Problems)
		}
	}
}

// TestParquetHostile: what lies about its sizes is a problem, and takes no memory.
func TestParquetHostile(t *testing.T) {
	t.Parallel()
	for _, codec := range []parquet.WriterOption{parquet.Compression(&parquet.Uncompressed), parquet.Compression(&parquet.Lz4Raw), parquet.Compression(&parquet.Zstd)} {
		damaged(t, "a.parquet", parquetFile(t, 50, codec), 400)
	}
	bomb := parquetFile(t, 1, parquet.Compression(&parquet.Gzip))
	r, err := looked("a.parquet", bomb[:len(bomb)-4])
	if err != nil || len(r.Problems) == 0 {
		t.Errorf("cut off: %+v, %v", r.Problems, err)
	}
	for name, data := range map[string]string{
		"a footer larger than the file": "PAR1\x00\x00\x00\x00\xff\xff\xff\x00PAR1",
		"a list without its elements":   "PAR1\x29\xfc\xff\xff\xff\xff\x07\x00\x07\x00\x00\x00PAR1",
	} {
		if r, err := looked("a.parquet", []byte(data)); err != nil || len(r.Problems) == 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// FuzzThrift: what describes a Parquet file is passed over, and never beyond its end.
func FuzzThrift(f *testing.F) {
	f.Add(parquetFile(f, 2)[4:])
	f.Add([]byte("\x15\x00\x29\x2c\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := thriftLength(data); err == nil && (n < 1 || n > len(data)) {
			t.Errorf("%d of %d", n, len(data))
		}
	})
}
