package synth

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/contents/scan"
)

// makes makes a set and gives its path.
func makes(t testing.TB, r proofbox.SynthRequest, name string) (string, proofbox.Synthesised) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "") // a property makes several
	if err != nil {
		t.Fatal(err)
	}
	r.Out = filepath.Join(dir, name)
	made, err := Make(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return r.Out, made
}

// TestSameBytes: the bytes are those of every other machine, until Version says
// that they are not.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	for mess, want := range map[string]string{
		"none":  "ee2817b1810a18ba9c047f78cabb91bf218b3c09518b7ffc1f9d0811b1b25fec",
		"heavy": "23d743ebdedbb33a09bc849ed16f911303aa0688a0dacad918caf70277b2a01c",
	} {
		path, _ := makes(t, proofbox.SynthRequest{Plan: "shop", Rows: 60, Seed: 7, Mess: mess}, "set")
		h := sha256.New()
		for _, name := range allTables {
			data, err := os.ReadFile(filepath.Join(path, name+".jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			h.Write(data)
		}
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
			t.Errorf("mess %s: the set has the digest %s, want %s; if that is meant, change Version", mess, got, want)
		}
	}
}

// TestNobodys: the scan that seals finds no identifier that may be somebody's,
// however dirty the set is and however it is written.
func TestNobodys(t *testing.T) {
	t.Parallel()
	for i, c := range []struct{ plan, mess, out string }{
		{"shop", "none", "set"}, {"shop", "heavy", "set"}, {"customers", "heavy", "set.csv"}, {"tickets", "usual", "set.json"}, {"transactions", "heavy", "set.csv"},
	} {
		t.Run(c.plan+" "+c.mess, func(t *testing.T) {
			t.Parallel()
			path, _ := makes(t, proofbox.SynthRequest{Plan: c.plan, Rows: 300, Seed: uint64(i) + 11, Mess: c.mess}, c.out)
			found, err := scan.Path(t.Context(), path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range found.Problems {
				t.Errorf("%+v", p)
			}
			proven := int64(0)
			for _, k := range found.Kinds {
				proven += k.Synthetic
			}
			if found.Unproven > 0 || proven < 300 {
				t.Errorf("%d identifiers may be somebody's, %d are nobody's; the first is %+v", found.Unproven, proven, found.Findings[0])
			}
		})
	}
}

// table reads a table of JSON lines: texts by their fields' names.
func table(t testing.TB, path string) []map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]string
	for line := range bytes.Lines(data) {
		var raw map[string]json.RawMessage
		if err := json.Unmarshal(line, &raw); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		r := map[string]string{}
		for name, value := range raw {
			text := string(value)
			if text == "null" {
				text = ""
			} else if text[0] == '"' {
				if err := json.Unmarshal(value, &text); err != nil {
					t.Fatal(err)
				}
			}
			r[name] = text
		}
		list = append(list, r)
	}
	return list
}

func cents(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.Replace(s, ".", "", 1))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// by gives records by their IDs, of which there is one each.
func by(t testing.TB, list []map[string]string) map[string]map[string]string {
	t.Helper()
	m := map[string]map[string]string{}
	for _, r := range list {
		if m[r["id"]] != nil {
			t.Fatalf("two records are %s", r["id"])
		}
		m[r["id"]] = r
	}
	return m
}

// TestRelations: what records of a clean set say of each other agrees.
func TestRelations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		path, _ := makes(t, proofbox.SynthRequest{Plan: "shop", Rows: rapid.Int64Range(1, 20).Draw(r, "rows"), Seed: rapid.Uint64().Draw(r, "seed")}, "set")
		read := func(name string) []map[string]string { return table(t, filepath.Join(path, name+".jsonl")) }
		customers, orders, products := by(t, read("customers")), by(t, read("orders")), by(t, read("brand"))
		mails := map[string]bool{}
		for _, c := range customers {
			if mails[c["email"]] {
				r.Fatalf("two customers are %s", c["email"])
			}
			mails[c["email"]] = true
			checkCustomer(r, c)
		}
		for _, o := range orders {
			if c := customers[o["customer"]]; c == nil || c["email"] != o["email"] || c["city"] != o["city"] || o["recipient"] != c["first_name"]+" "+c["last_name"] || o["placed"][:10] < c["since"] {
				r.Fatalf("order %v is not of its customer %v", o, c)
			}
			checkOrder(t, r, o, products)
		}
		for _, s := range append(read("tickets"), read("documents")...) {
			o := orders[s["order"]]
			if o == nil || o["customer"] != s["customer"] || s["opened"] != "" && s["opened"] < o["placed"] || s["answered"] != "" && s["answered"] < s["opened"] || s["closed"] != "" && s["closed"] < s["answered"] {
				r.Fatalf("%v does not fit order %v", s, o)
			}
		}
		balances := map[string]int{}
		for _, b := range read("transactions") {
			after := cents(t, b["balance"])
			if before, ok := balances[b["iban"]]; ok && before+cents(t, b["amount"]) != after || customers[b["customer"]]["iban"] != b["iban"] {
				r.Fatalf("%v does not follow from a balance of %d", b, before)
			}
			balances[b["iban"]] = after
		}
		for _, c := range read("campaigns") {
			if products[c["product"]] == nil || c["ends"] < c["starts"] || cents(t, c["spent"]) > cents(t, c["budget"]) {
				r.Fatalf("%v", c)
			}
		}
	})
}

func checkCustomer(r *rapid.T, c map[string]string) {
	local, _, _ := strings.Cut(c["email"], "@")
	if !strings.Contains(local, ascii(c["last_name"])) || !strings.Contains(local, ascii(c["first_name"])[:1]) {
		r.Fatalf("%s does not fit %s %s", c["email"], c["first_name"], c["last_name"])
	}
	fits := false
	for _, p := range localeNamed(c["locale"]).places {
		beginning, _, _ := strings.Cut(p.postcode, "#")
		fits = fits || p.city == c["city"] && p.region == c["region"] && strings.HasPrefix(c["postcode"], beginning)
	}
	if !fits || c["updated"] < c["since"] || c["birth_date"] >= c["since"] {
		r.Fatalf("%v", c)
	}
}

func checkOrder(t testing.TB, r *rapid.T, o map[string]string, products map[string]map[string]string) {
	var lines []struct {
		SKU, Name  string
		Quantity   int
		Price, Sum json.Number
	}
	if err := json.Unmarshal([]byte(o["lines"]), &lines); err != nil {
		r.Fatal(err)
	}
	goods := 0
	for _, l := range lines {
		if p := products[l.SKU]; p == nil || p["name"] != l.Name || p["price"] != l.Price.String() || cents(t, l.Price.String())*l.Quantity != cents(t, l.Sum.String()) {
			r.Fatalf("%v is not of %v", l, p)
		}
		goods += cents(t, l.Sum.String())
	}
	if goods != cents(t, o["goods"]) || goods-cents(t, o["discount"])+cents(t, o["freight"])+cents(t, o["tax"]) != cents(t, o["total"]) {
		r.Fatalf("%v does not add up", o)
	}
	last := ""
	for _, step := range []string{"placed", "paid", "shipped", "delivered"} {
		if at := o[step]; at != "" {
			if at < last {
				r.Fatalf("%v: %s is too early", o, step)
			}
			last = at
		}
	}
}

// TestTruth: the log tells every defect, so that undoing it from its end gives
// the clean set.
func TestTruth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		want := proofbox.SynthRequest{Plan: rapid.SampledFrom(Builtin()).Draw(r, "plan"), Rows: rapid.Int64Range(1, 25).Draw(r, "rows"), Seed: rapid.Uint64().Draw(r, "seed")}
		clean, _ := makes(t, want, "set")
		want.Mess = rapid.SampledFrom([]string{"light", "usual", "heavy"}).Draw(r, "mess")
		dirty, made := makes(t, want, "set")
		tables := map[string][]map[string]string{}
		for _, m := range made.Tables {
			name := strings.TrimSuffix(m.Name, ".jsonl")
			tables[name] = table(t, filepath.Join(dirty, m.Name))
			if len(tables[name]) != int(m.Rows) {
				r.Fatalf("%s has %d records, and is said to have %d", m.Name, len(tables[name]), m.Rows)
			}
		}
		undo(t, r, TruthFile(dirty), tables, made.Defects)
		for _, m := range made.Tables {
			if diff := cmp.Diff(table(t, filepath.Join(clean, m.Name)), tables[strings.TrimSuffix(m.Name, ".jsonl")]); diff != "" {
				r.Fatalf("%s: what is undone is not what was:\n%s", m.Name, diff)
			}
		}
	})
}

// undo takes back what a log tells.
func undo(t testing.TB, r *rapid.T, path string, tables map[string][]map[string]string, counts map[string]int) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var log []Defect
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var d Defect
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		log = append(log, d)
	}
	got := map[string]int{}
	for i := len(log) - 1; i >= 0; i-- {
		d := log[i]
		got[d.Kind]++
		list := tables[d.Table]
		switch {
		case d.Kind == "duplicate":
			tables[d.Table] = append(list[:d.Record-1], list[d.Record:]...)
		case list[d.Record-1][d.Field] != d.After || d.Before == d.After:
			r.Fatalf("the log says %+v, and there is %q", d, list[d.Record-1][d.Field])
		default:
			list[d.Record-1][d.Field] = d.Before
		}
	}
	if diff := cmp.Diff(got, counts); diff != "" {
		r.Fatalf("the counts are not those of the log:\n%s", diff)
	}
}

// TestCompany: errors come in company: a record that has one has more of them
// than chance would give it.
func TestCompany(t *testing.T) {
	t.Parallel()
	path, made := makes(t, proofbox.SynthRequest{Plan: "customers", Rows: 2000, Seed: 3, Mess: "usual"}, "set")
	data, err := os.ReadFile(TruthFile(path))
	if err != nil {
		t.Fatal(err)
	}
	perRecord := map[int64]int{}
	all := 0
	for line := range bytes.Lines(data) {
		var d Defect
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		perRecord[d.Record]++
		all++
	}
	rows := int(made.Tables[0].Rows)
	squares := 0
	for _, n := range perRecord {
		squares += n * n
	}
	// Of a Poisson distribution the variance is the mean.
	mean := float64(all) / float64(rows)
	if variance := float64(squares)/float64(rows) - mean*mean; variance < 2*mean {
		t.Errorf("%d defects in %d records: variance %.2f, mean %.2f; they are spread by chance", all, rows, variance, mean)
	}
}

// TestGrammar: every rule of every language can be written, and no bracket is
// left.
func TestGrammar(t *testing.T) {
	t.Parallel()
	w := sampleWorld()
	for _, language := range []string{"en", "de", "fr", "es"} {
		for rule := range grammars()[language] {
			d := newDraw(1, language+rule, 0)
			for range 200 {
				o := w.order(int64(d.n(1000)))
				if text := write(d, language, rule, w.slots(d, o)); text == "" && rule != "" || strings.ContainsAny(text, "[]{}|") {
					t.Fatalf("%s, %s: %q", language, rule, text)
				}
			}
		}
	}
}

// TestPlans: what is wrong with a plan is said, and nothing is made.
func TestPlans(t *testing.T) {
	t.Parallel()
	for text, words := range map[string]string{
		"":                     "version 0 is not known",
		"version: 2":           "version 2 is not known",
		"version: 1":           "0 tables",
		"version: 1\nnoise: 3": "noise",
		"version: 1\nlocales: [xx]\ntables: [{name: orders}]":                    `locale "xx"`,
		"version: 1\nformat: xml\ntables: [{name: orders}]":                      `format "xml"`,
		"version: 1\nmess: much\ntables: [{name: orders}]":                       `"much"`,
		"version: 1\ntoday: never\ntables: [{name: orders}]":                     "never",
		"version: 1\ntables: [{name: birds}]":                                    `"birds"`,
		"version: 1\ntables: [{name: ../up, of: orders}]":                        "../up",
		"version: 1\ntables: [{name: orders}, {name: ORDERS, of: orders}]":       "two tables",
		"version: 1\ntables: [{name: orders, fields: [height]}]":                 `"height"`,
		"version: 1\ntables: [{name: orders, fields: [id, total as id]}]":        "two are",
		"version: 1\ntables: [{name: customers}, {name: transactions, rows: 9}]": "at most 8",
		"version: 1\ntables: [{name: orders, rows: -1}]":                         "rows",
		"version: 1\ntables: [{name: brand}, {name: customers, rows: .inf}]":     "rows",
		"version: 1\ntables: [{name: brand}, {name: customers, rows: .nan}]":     "rows",
		"version: 1\ntables: [{name: customers}]\nversion: 1":                    "version",
		"version: 1\ntables: &a [*a]":                                            "",
	} {
		plan := filepath.Join(t.TempDir(), "plan.yaml")
		if err := os.WriteFile(plan, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "set")
		_, err := Make(t.Context(), proofbox.SynthRequest{Plan: plan, Out: out, Rows: 3})
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q gives %v, want words %q", text, err, words)
		}
		if _, err := os.Lstat(out); err == nil {
			t.Errorf("%q: something was made", text)
		}
	}
}

// TestChoice: a plan's tables have the fields, names, locales and numbers that it
// says, damaged or not.
func TestChoice(t *testing.T) {
	t.Parallel()
	plan := filepath.Join(t.TempDir(), "plan.yaml")
	text := "version: 1\nlocales: [fr-FR]\nmess: heavy\ntoday: 2031-05-01\ntables:\n- {name: clients, of: customers, fields: [id, email as mail, city, country]}\n- {name: sales, of: orders, rows: 0.5, fields: [customer, total]}\n"
	if err := os.WriteFile(plan, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	path, made := makes(t, proofbox.SynthRequest{Plan: plan, Rows: 40, Seed: 2, Mess: "none"}, "set")
	if made.Tables[0].Rows != 40 || made.Tables[1].Rows != 20 || made.Truth != "" {
		t.Errorf("it has %+v", made)
	}
	clients := by(t, table(t, filepath.Join(path, "clients.jsonl")))
	for _, c := range clients {
		if len(c) != 4 || c["country"] != "FR" || c["mail"] == "" {
			t.Errorf("%v", c)
		}
	}
	for _, s := range table(t, filepath.Join(path, "sales.jsonl")) {
		if clients[s["customer"]] == nil {
			t.Errorf("%v is of nobody", s)
		}
	}
}

// TestNothingHalf: what is there stays, and what was broken off is not there.
func TestNothingHalf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "set.csv")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := Make(ctx, proofbox.SynthRequest{Plan: "orders", Out: out, Rows: 10, Mess: "heavy"}); err == nil || err.Error() != "making orders: enough" {
		t.Errorf("broken off, it says %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	for _, there := range []string{out, TruthFile(out)} {
		if err := os.WriteFile(there, []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Make(t.Context(), proofbox.SynthRequest{Plan: "orders", Out: out, Rows: 10, Mess: "heavy"}); err == nil || !strings.Contains(err.Error(), "there already") {
			t.Errorf("where %s is, it says %v", there, err)
		}
		if data, err := os.ReadFile(there); err != nil || string(data) != "mine" {
			t.Errorf("%s is %q now, %v", there, data, err)
		}
		if err := os.Remove(there); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// FuzzPlan: whatever a plan says, it is read or refused.
func FuzzPlan(f *testing.F) {
	f.Add("version: 1\ntables: [{name: orders, rows: 2, fields: [id, total as sum]}]")
	f.Add("version: 1\nlocales: [de-DE]\ntoday: 2020-02-30\ntables: [{of: brand}]")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "plan.yaml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if p, err := ReadPlan(path); err == nil && (len(p.Tables) == 0 || p.today.Equal(time.Time{})) {
			t.Errorf("%q is no plan, and was read", text)
		}
	})
}
