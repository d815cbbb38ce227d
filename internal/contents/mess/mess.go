// Package mess measures how dirty a data set is, from its values alone: what is missing, written in another layout
// than the rest of its field, spaced oddly, misspelt, read in a wrong encoding, entered twice, contradicted by what nearly
// all other records keep to, or years behind. What it gives is counts, and no value or name of a field.
package mess

import (
	"hash/maphash"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"proofbox"
)

// Meter takes the values of a set, record by record.
type Meter struct {
	fields  map[string]*field
	words   map[string]int64
	records records
	facts   *facts
	values  int64
	found   map[string]int64
}

// Bounds of what is held of a set.
const (
	maxFields = 2000
	maxShapes = 64 // of a field
	maxWords  = 100_000
	maxShape  = 48 // bytes
)

// field is what is known of one.
type field struct {
	values int64 // that are there
	shapes map[string]int64
	others int64 // of more shapes than are told apart
}

// New makes a meter.
func New() *Meter {
	seed := maphash.MakeSeed()
	return &Meter{
		fields: map[string]*field{}, words: map[string]int64{}, found: map[string]int64{}, facts: newFacts(seed),
		records: records{seed: seed, seen: map[uint64]bool{}, keep: 1},
	}
}

// placeholders are what people write for no value.
var placeholders = []string{"", "n/a", "na", "-", "--", "?", "unknown", "none", "null", "nil", "tbd", "xxx"}

// Add takes a value: of which file and record it is, and in which field, without the numbers of elements.
func (m *Meter) Add(file string, record int64, name, text string) {
	m.values++
	m.records.add(file, record, text)
	f := m.fields[file+"\x00"+name]
	if f == nil {
		if len(m.fields) >= maxFields {
			return
		}
		f = &field{shapes: map[string]int64{}}
		m.fields[file+"\x00"+name] = f
	}
	trimmed := strings.TrimSpace(text)
	if slices.Contains(placeholders, strings.ToLower(trimmed)) {
		if trimmed != "" {
			m.found["placeholder"]++
		}
		return
	}
	f.values++
	m.facts.add(file, record, name, trimmed)
	if trimmed != text || strings.Contains(trimmed, "  ") {
		m.found["space"]++
	}
	if garbled(text) {
		m.found["encoding"]++
	}
	f.shape(trimmed)
	m.spell(trimmed)
}

// garbled says whether a text was read in another encoding than it was written in: UTF-8 as Latin-1 has such pairs.
func garbled(text string) bool {
	for i, r := range text {
		if r == utf8.RuneError {
			return true
		}
		if r == 'Ã' || r == 'Â' || r == 'â' {
			if next, _ := utf8.DecodeRuneInString(text[i+utf8.RuneLen(r):]); next >= 0x80 && next < 0xc0 || next == '€' || next == '‚' {
				return true
			}
		}
	}
	return false
}

// shape counts what a value looks like: capitals, small letters and digits, of letters as many as there are count as one.
func (f *field) shape(text string) {
	var b []byte
	last := byte(0)
	for _, r := range text {
		c := byte('.')
		switch {
		case unicode.IsUpper(r):
			c = 'A'
		case unicode.IsLetter(r):
			c = 'a'
		case unicode.IsDigit(r):
			c = '9'
		case r < utf8.RuneSelf:
			c = byte(r)
		}
		if c != last || c == '9' {
			b = append(b, c)
		}
		last = c
		if len(b) == maxShape {
			break
		}
	}
	if _, known := f.shapes[string(b)]; !known && len(f.shapes) >= maxShapes {
		f.others++
		return
	}
	f.shapes[string(b)]++
}

// What makes a layout an odd one: few of a field's values have it, and nearly all others have one that many have.
const (
	fewShare  = .02
	mostShare = .85
)

// odd counts the values of a layout that few of the field's have.
func (f *field) odd() int64 {
	if f.values < 50 {
		return 0 // too few to say what is usual
	}
	usual := int64(0)
	for _, n := range f.shapes {
		if float64(n) >= fewShare*float64(f.values) {
			usual += n
		}
	}
	if float64(usual) < mostShare*float64(f.values) {
		return 0 // a text, or something else without a layout
	}
	return f.values - usual
}

// missing counts the records of a table without a value in a field that nearly all have. A field that many do not have
// is one that need not be there.
func (m *Meter) missing() (n int64) {
	most := map[string]int64{} // by table
	table := func(name string) string { return name[:strings.LastIndexAny(name, "\x00.")] }
	for name, f := range m.fields {
		most[table(name)] = max(most[table(name)], f.values)
	}
	for name, f := range m.fields {
		if all := most[table(name)]; float64(f.values) >= mostShare*float64(all) {
			n += all - f.values
		}
	}
	return n
}

// Give says what was measured.
func (m *Meter) Give() proofbox.Mess {
	r := proofbox.Mess{Version: proofbox.MessVersion, Records: m.records.close(), Values: m.values}
	m.found["missing"] = m.missing()
	for _, f := range m.fields {
		m.found["layout"] += f.odd()
	}
	m.found["misspelt"] = m.misspelt()
	m.found["duplicate"] = m.records.twice
	m.found["conflict"], m.found["stale"] = m.facts.give()
	for _, kind := range proofbox.MessKinds {
		r.Defects = append(r.Defects, proofbox.MessCount{Kind: kind, Found: m.found[kind]})
	}
	return r
}

// records tells records that were entered twice, however they are spaced and in capitals or not. Of a large set it
// remembers a share that chance chooses, and counts for the rest.
type records struct {
	seed          maphash.Seed
	seen          map[uint64]bool
	keep          uint64 // one in so many is remembered
	file          string
	record        int64
	text          []byte
	total, sample int64
	twice         int64
}

const maxRecords = 1 << 20

func (r *records) add(file string, record int64, text string) {
	if file != r.file || record != r.record {
		r.end()
		r.file, r.record = file, record
	}
	if len(r.text) > 1<<16 {
		return
	}
	for _, c := range strings.ToLower(text) {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			r.text = utf8.AppendRune(r.text, c)
		}
	}
	r.text = append(r.text, 0)
}

// end takes the record that was put together.
func (r *records) end() {
	if len(r.text) == 0 {
		return
	}
	r.total++
	if h := maphash.Bytes(r.seed, r.text); h%r.keep == 0 {
		if r.seen[h] {
			r.sample += int64(r.keep)
		}
		r.seen[h] = true
	}
	r.text = r.text[:0]
	if len(r.seen) <= maxRecords {
		return
	}
	r.keep *= 2
	for h := range r.seen {
		if h%r.keep != 0 {
			delete(r.seen, h)
		}
	}
}

func (r *records) close() int64 {
	r.end()
	r.twice = r.sample
	return r.total
}
