package mess

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"proofbox"
	"proofbox/internal/contents/scan"
	"proofbox/internal/contents/synth"
)

// measured measures what is at a path.
func measured(t *testing.T, path string) proofbox.Mess {
	t.Helper()
	m := New()
	if err := scan.Values(t.Context(), path, m.Add); err != nil {
		t.Fatal(err)
	}
	return m.Give()
}

// made measures a set that is made up.
func made(t *testing.T, plan, name, level string, rows int64, seed uint64) proofbox.Mess {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	if _, err := synth.Make(t.Context(), proofbox.SynthRequest{Plan: plan, Out: out, Rows: rows, Seed: seed, Mess: level}); err != nil {
		t.Fatal(err)
	}
	return measured(t, out)
}

func judged(t *testing.T, m proofbox.Mess, like *proofbox.Mess) proofbox.MessJudged {
	t.Helper()
	j, err := Judge(m, like)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestLevels: what is made as dirty as a level is seen to be so dirty, whatever its format and seed, and the cleaner
// one is said to be too clean beside the dirtier one, and not the other way round.
func TestLevels(t *testing.T) {
	t.Parallel()
	profiles := map[string]proofbox.Mess{}
	for _, level := range synth.Levels() {
		for i, name := range []string{"a.csv", "a.jsonl", "a"} {
			m := made(t, "customers", name, level, 4000, uint64(i))
			if j := judged(t, m, nil); j.Level != level {
				t.Errorf("%s as %s is taken for %s: %+v", level, name, j.Level, m)
			}
			profiles[level] = m
		}
		t.Logf("%s: %+v", level, profiles[level])
	}
	for _, level := range synth.Levels() {
		for _, plan := range []string{"orders", "tickets", "transactions"} {
			if m := made(t, plan, "a.jsonl", level, 4000, 5); judged(t, m, nil).Level != level {
				t.Errorf("%s of %s are taken for %s: %+v", plan, level, judged(t, m, nil).Level, m)
			}
		}
	}
	heavy, light, clean := profiles["heavy"], profiles["light"], profiles["none"]
	for _, kind := range []string{"missing", "layout", "misspelt", "duplicate", "space", "placeholder", "encoding", "conflict", "stale"} {
		if j := judged(t, clean, &heavy); !slices.Contains(j.TooClean, kind) {
			t.Errorf("without %s it is not too clean: %v", kind, j.TooClean)
		}
	}
	if j := judged(t, heavy, &light); len(j.TooClean) > 0 {
		t.Errorf("the dirtier one is too clean: %v", j.TooClean)
	}
	again := made(t, "customers", "b.csv", "heavy", 1500, 99)
	if j := judged(t, again, &heavy); len(j.TooClean) > 0 {
		t.Errorf("another one like it is too clean: %v", j.TooClean)
	}
}

// TestKinds: each defect is counted as what it is, exactly as often as it was put in.
func TestKinds(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	cities := []string{"Frankfurt", "Stuttgart", "Hamburg", "Dresden"}
	var b strings.Builder
	b.WriteString("id,city,born\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "%d,%s,%04d-%02d-%02d\n", 1000+i, cities[r.IntN(len(cities))], 1950+r.IntN(50), 1+r.IntN(12), 1+r.IntN(28))
	}
	clean := b.String()
	for kind, rows := range map[string]string{
		"missing":     "5001,,1970-01-01\n5002,Hamburg,\n5003,,1970-01-02\n",
		"placeholder": "5001,n/a,1970-01-01\n",
		"space":       "5001,Hamburg ,1970-01-01\n5002,Ham  burg,1970-01-01\n",
		"layout":      "5001,Hamburg,01.02.1970\n5002,HAMBURG,1970-01-01\n",
		"encoding":    "5001,MÃ¼nchen,1970-01-01\n5002,M\u00c3\u00bcnster,1970-01-01\n",
		"misspelt":    "5001,Frankfrt,1970-01-01\n5002,Hammburg,1970-01-01\n5003,Drasden,1970-01-01\n5004,Suttgart,1970-01-01\n5005,Stuttgatr,1970-01-01\n",
		"duplicate":   "1000000,Hamburg,1970-01-01\n1000000,HAMBURG,1970 01 01\n",
	} {
		path := filepath.Join(t.TempDir(), "a.csv")
		if err := os.WriteFile(path, []byte(clean+rows), 0o600); err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{"missing": 3, "placeholder": 1, "space": 2, "layout": 2, "encoding": 2, "misspelt": 5, "duplicate": 1}[kind]
		for _, d := range measured(t, path).Defects {
			if d.Kind == kind && d.Found != want {
				t.Errorf("%s: %d, want %d", kind, d.Found, want)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(path, []byte(clean), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range measured(t, path).Defects {
		if d.Found != 0 {
			t.Errorf("a clean set has %d %s", d.Found, d.Kind)
		}
	}
}

// TestFacts: what nearly all records keep to is a rule, and each record against it is counted; what only chance speaks
// for is none.
func TestFacts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2))
	cities := []string{"Frankfurt", "Stuttgart", "Hamburg", "Dresden", "Kiel", "Mainz"}
	var b strings.Builder
	b.WriteString("zip,city,ordered,delivered,state\n")
	for i := range 1000 {
		zip, state := r.IntN(60), "done"
		if r.IntN(20) == 0 {
			state = "open"
		}
		day := r.IntN(300)
		fmt.Fprintf(&b, "%05d,%s,%s,%s,%s\n", 10000+zip, cities[zip%6], dayOf2025(day), dayOf2025(day+1+i%9), state)
	}
	for name, c := range map[string]struct {
		rows            string
		conflict, stale int64
	}{
		"clean":                  {"", 0, 0},
		"another town":           {"10000,Stuttgart,2025-03-01,2025-03-02,done\n10001,Kiel,2025-03-01,2025-03-02,done\n10002,hamburg,2025-03-01,2025-03-02,done\n", 2, 0},
		"delivered before":       {"10000,Frankfurt,2025-03-04,2025-03-02,done\n10001,Stuttgart,2025-03-02,2025-03-02,done\n", 1, 0},
		"years behind":           {"10000,Frankfurt,2019-03-01,2019-03-02,done\n10001,Stuttgart,2021-03-01,2025-03-02,open\n", 0, 3},
		"another layout of date": {"10000,Frankfurt,01.03.2019,01.03.2019,done\n", 0, 0},
	} {
		path := filepath.Join(t.TempDir(), "a.csv")
		if err := os.WriteFile(path, []byte(b.String()+c.rows), 0o600); err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, d := range measured(t, path).Defects {
			got[d.Kind] = d.Found
		}
		if got["conflict"] != c.conflict || got["stale"] != c.stale {
			t.Errorf("%s: %d contradict, want %d; %d are stale, want %d", name, got["conflict"], c.conflict, got["stale"], c.stale)
		}
	}
}

// dayOf2025 is a day of 2025, or soon after.
func dayOf2025(day int) string {
	return time.Date(2025, 1, 1+day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

// TestNothingInProfile: what is measured has no word of the data, whatever the data is.
func TestNothingInProfile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	text := strings.Repeat(`{"anna.meier@web.de":"Anna Meier","n":"Frankfurt"}`+"\n", 100)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(measured(t, path))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"anna", "meier", "frankfurt", "web"} {
		if strings.Contains(strings.ToLower(string(data)), word) {
			t.Errorf("%q is in %s", word, data)
		}
	}
}

// TestBounded: a set with a field, a shape and a word for each record does not make the meter grow, and duplicates are
// still counted where not all records are remembered.
func TestBounded(t *testing.T) {
	t.Parallel()
	m := New()
	const n = 3 * maxRecords / 2
	for i := range int64(n) {
		m.Add("a", i, fmt.Sprintf("field%d", i%100_000), fmt.Sprintf("w%sx %d", strings.Repeat("ab", int(i%13)), i))
	}
	for i := range int64(1000) {
		m.Add("a", n+i, fmt.Sprintf("field%d", i), fmt.Sprintf("w%sx %d", strings.Repeat("ab", int(i%13)), i))
	}
	if f := m.facts; len(f.fields) > maxFacts || len(f.pairs) > maxPairs || f.known > maxKnown {
		t.Errorf("%d fields, %d pairs and %d of their entries are held", len(f.fields), len(f.pairs), f.known)
	}
	if len(m.fields) > maxFields || len(m.words) > maxWords || len(m.records.seen) > maxRecords {
		t.Errorf("%d fields, %d words, %d records are held", len(m.fields), len(m.words), len(m.records.seen))
	}
	r := m.Give()
	if twice := r.Defects[slices.Index(proofbox.MessKinds, "duplicate")].Found; r.Records != n+1000 || twice < 700 || twice > 1300 {
		t.Errorf("of %d records %d were entered twice", r.Records, twice)
	}
}

// TestProfileRefused: what is no profile is said to be none.
func TestProfileRefused(t *testing.T) {
	t.Parallel()
	good := New().Give()
	good.Records = 10
	for name, bad := range map[string]func(*proofbox.Mess){
		"version": func(m *proofbox.Mess) { m.Version++ },
		"records": func(m *proofbox.Mess) { m.Records = 0 },
		"kinds":   func(m *proofbox.Mess) { m.Defects = m.Defects[1:] },
		"order":   func(m *proofbox.Mess) { m.Defects = append(slices.Clone(m.Defects[1:]), m.Defects[0]) },
		"below":   func(m *proofbox.Mess) { m.Defects = slices.Clone(m.Defects); m.Defects[0].Found = -1 },
	} {
		like := good
		bad(&like)
		if _, err := Judge(good, &like); err == nil {
			t.Errorf("%s: it is taken for a profile", name)
		}
	}
	if _, err := Judge(good, &good); err != nil {
		t.Error(err)
	}
	if _, err := Judge(New().Give(), nil); err == nil {
		t.Error("nothing is as dirty as something")
	}
}
