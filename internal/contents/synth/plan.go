package synth

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Plan says what a set has, see docs/formats/synth-plan.md.
type Plan struct {
	Version int      `yaml:"version"`
	Locales []string `yaml:"locales"`
	Format  string   `yaml:"format"` // jsonl, csv or json
	Today   string   `yaml:"today"`  // the day of the set
	Mess    string   `yaml:"mess"`
	Tables  []Table  `yaml:"tables"`

	today time.Time
	mess  Level
}

// Table is one table of a plan.
type Table struct {
	Name string `yaml:"name"`
	// Of is what it is made of ("orders"); its name where that is left out.
	Of string `yaml:"of"`
	// Rows is how many there are for one of the first table; 0 for as many as
	// usual.
	Rows float64 `yaml:"rows"`
	// Fields are those that it has, all where none is named; "email as mail"
	// renames one.
	Fields []string `yaml:"fields"`

	fields [][2]string // what it is, how it is called
}

// Bounds of plans.
const (
	maxPlan   = 1 << 20 // bytes
	maxTables = 64
	maxRows   = 100_000_000 // of a table
	planned   = 1           // the version of the format
)

// usualDay is the day of sets whose plan names none. It is no clock's, because
// the same plan gives the same bytes next year.
const usualDay = "2026-10-31"

// order is that of the tables of the plan that has all of them.
var allTables = []string{"customers", "orders", "tickets", "transactions", "documents", "campaigns", "brand"}

// Builtin are the names of the plans that are built in.
func Builtin() []string { return append(slices.Clone(allTables), "shop") }

// ReadPlan reads the plan with a name that is built in, or a file.
func ReadPlan(name string) (*Plan, error) {
	p := &Plan{Version: planned}
	switch {
	case name == "shop":
		for _, t := range allTables {
			p.Tables = append(p.Tables, Table{Name: t})
		}
	case slices.Contains(allTables, name):
		p.Tables = []Table{{Name: name}}
	default:
		if err := p.read(name); err != nil {
			return nil, err
		}
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("the plan %q: %w", name, err)
	}
	return p, nil
}

func (p *Plan) read(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no plan %q: name a file, or one of %s", path, strings.Join(Builtin(), ", "))
	}
	if err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPlan+1))
	if err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	if len(data) > maxPlan {
		return fmt.Errorf("the plan %q has more than %d bytes", path, maxPlan)
	}
	p.Version = 0
	if err := yaml.UnmarshalWithOptions(data, p, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
		return fmt.Errorf("the plan %q does not read: %w", path, err)
	}
	return nil
}

var tableName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// check completes a plan, or says what is wrong with it.
func (p *Plan) check() error {
	if p.Version != planned {
		return fmt.Errorf("version %d is not known; this proofbox reads version %d", p.Version, planned)
	}
	if p.Format != "" && !slices.Contains(formats, p.Format) {
		return fmt.Errorf("format %q is none of %s", p.Format, strings.Join(formats, ", "))
	}
	if p.Today == "" {
		p.Today = usualDay
	}
	var err error
	if p.today, err = time.Parse(time.DateOnly, p.Today); err != nil || p.today.Year() < 1990 || p.today.Year() > 2200 {
		return fmt.Errorf("today %q is no day such as %s", p.Today, usualDay)
	}
	if p.mess, err = ParseLevel(p.Mess); err != nil {
		return err
	}
	for _, l := range p.Locales {
		if localeNamed(l) == nil {
			return fmt.Errorf("the locale %q is not known; there are %s", l, strings.Join(localeNames(), ", "))
		}
	}
	if len(p.Tables) == 0 || len(p.Tables) > maxTables {
		return fmt.Errorf("it has %d tables, and needs 1 to %d", len(p.Tables), maxTables)
	}
	names := map[string]bool{}
	for i := range p.Tables {
		t := &p.Tables[i]
		if err := t.check(); err != nil {
			return err
		}
		if folded := strings.ToLower(t.Name); names[folded] {
			return fmt.Errorf("two tables are called %q", t.Name)
		} else {
			names[folded] = true
		}
	}
	return nil
}

func (t *Table) check() error {
	if t.Of == "" {
		t.Of = t.Name
	}
	if t.Name == "" {
		t.Name = t.Of
	}
	if !tableName.MatchString(t.Name) {
		return fmt.Errorf("a table cannot be called %q: use letters, digits, - and _", t.Name)
	}
	kind, ok := tables[t.Of]
	if !ok {
		return fmt.Errorf("nothing is made of %q; there are %s", t.Of, strings.Join(allTables, ", "))
	}
	if !(t.Rows >= 0 && t.Rows <= 1000) { // NaN is not, either
		return fmt.Errorf("table %q: rows %g is not between 0 and 1000", t.Name, t.Rows)
	}
	known := kind.make(sampleWorld(), 0)
	t.fields = nil
	called := map[string]bool{}
	for _, f := range t.Fields {
		of, as, renamed := strings.Cut(f, " as ")
		if !renamed {
			as = of
		}
		if !slices.ContainsFunc(known, func(k field) bool { return k.name == of }) {
			return fmt.Errorf("table %q: %s have no field %q", t.Name, t.Of, of)
		}
		if !tableName.MatchString(as) || called[as] {
			return fmt.Errorf("table %q: a field cannot be called %q, or two are", t.Name, as)
		}
		called[as] = true
		t.fields = append(t.fields, [2]string{of, as})
	}
	return nil
}

// sampleWorld is small; what it makes has every field.
func sampleWorld() *world {
	today, _ := time.Parse(time.DateOnly, usualDay)
	return &world{today: today, locales: locales(), rows: map[string]int64{}}
}

func localeNames() []string {
	var names []string
	for _, l := range locales() {
		names = append(names, l.name)
	}
	return names
}

// choose takes the fields of the table that are wanted, under their names.
func (t *Table) choose(r record) record {
	if t.fields == nil {
		return r
	}
	var chosen record
	for _, w := range t.fields {
		for _, f := range r {
			if f.name == w[0] {
				f.name = w[1]
				chosen = append(chosen, f)
			}
		}
	}
	return chosen
}

// world gives what the records are made from, with the number of rows of every
// table.
func (p *Plan) world(rows int64, seed uint64) (*world, error) {
	w := &world{seed: seed, today: p.today, rows: map[string]int64{}}
	for _, name := range p.Locales {
		w.locales = append(w.locales, localeNamed(name))
	}
	if w.locales == nil {
		w.locales = locales()
	}
	first := p.Tables[0].Of
	for _, t := range p.Tables {
		n := max(1, p.rows(t, rows))
		if n > maxRows {
			return nil, fmt.Errorf("table %q would have %d rows, and %d is the most", t.Name, n, maxRows)
		}
		w.rows[t.Of] = max(w.rows[t.Of], n)
	}
	customers := w.rows["customers"]
	if customers == 0 {
		customers = max(1, (rows*1000+tables[first].share-1)/tables[first].share)
	}
	for name, kind := range tables {
		if w.rows[name] == 0 {
			w.rows[name] = max(1, customers*kind.share/1000)
		}
	}
	w.rows["brand"] = max(w.rows["brand"], 1)
	if w.rows["transactions"] > w.rows["customers"]*perAccount {
		return nil, fmt.Errorf("there are at most %d transactions for each customer", perAccount)
	}
	return w, nil
}

// rows is how many a table has when the first one has some.
func (p *Plan) rows(t Table, first int64) int64 {
	if t.Rows > 0 {
		return int64(t.Rows*1000+.5) * first / 1000
	}
	return first * tables[t.Of].share / tables[p.Tables[0].Of].share
}
