package mess

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
)

// facts finds values that contradict others, and dates that are years behind. What goes with what is not known
// before: it is what nearly all records of the set keep to. Dates that come in an order, and words that go with a code
// (a town with its postal code, a name with the number of a customer), are seen; a sum of other fields is not.
type facts struct {
	seed   maphash.Seed
	file   string
	record int64
	row    []cell // of the record that is being read
	fields map[string]int
	dates  map[int]*ages
	orders map[[2]int]*order
	pairs  map[[2]int]*pair
	known  int            // entries of all pairs
	words  map[int]*texts // what the fields of pairs hold
}

// cell is a value that may be part of a fact.
type cell struct {
	field int
	kind  cellKind
	day   int    // of a date, since 1970
	hash  uint64 // of a code or words
}

type cellKind int

const (
	code  cellKind = iota // short, with a digit
	words                 // no digit
	date
)

// Bounds of what is held.
const (
	maxFacts  = 64 // fields
	maxRow    = 64 // values of a record
	maxPairs  = 256
	maxKnown  = 1 << 19 // entries of all pairs together
	maxTexts  = 4096    // of a field
	maxCode   = 12      // bytes
	maxPhrase = 48      // bytes
)

// What is taken for a rule: so many records speak of it, and so few of them against it.
const (
	fewRecords = 50
	ruleShare  = .05
	// chanceShare is how much rarer exceptions are than they would be by chance: of a field that is nearly always the
	// same, everything seems to follow.
	chanceShare = .25
)

func newFacts(seed maphash.Seed) *facts {
	return &facts{
		seed: seed, fields: map[string]int{}, dates: map[int]*ages{}, orders: map[[2]int]*order{},
		pairs: map[[2]int]*pair{}, words: map[int]*texts{},
	}
}

// add takes a value of a record.
func (f *facts) add(file string, record int64, name, text string) {
	if file != f.file || record != f.record {
		f.end()
		f.file, f.record = file, record
	}
	if len(f.row) == maxRow || text == "" {
		return
	}
	c, ok := f.cellOf(text)
	if !ok {
		return
	}
	key := file + "\x00" + name
	if c.field, ok = f.fields[key]; !ok {
		if len(f.fields) == maxFacts {
			return
		}
		c.field = len(f.fields)
		f.fields[key] = c.field
	}
	f.row = append(f.row, c)
}

// cellOf says what a value may be part of.
func (f *facts) cellOf(text string) (cell, bool) {
	if day, ok := dayOf(text); ok {
		return cell{kind: date, day: day}, true
	}
	digits := strings.ContainsFunc(text, unicode.IsDigit)
	switch {
	case digits && len(text) <= maxCode:
		return cell{kind: code, hash: f.hash(text)}, true
	case !digits && len(text) <= maxPhrase:
		return cell{kind: words, hash: f.hash(text)}, true
	}
	return cell{}, false
}

func (f *facts) hash(text string) uint64 { return maphash.String(f.seed, strings.ToLower(text)) }

// dayOf reads a date at the beginning of a value, as ISO 8601 has it: others leave open which number is the month.
func dayOf(text string) (int, bool) {
	if len(text) < 10 || text[4] != '-' || text[7] != '-' {
		return 0, false
	}
	t, err := time.Parse(time.DateOnly, text[:10])
	return int(t.Unix() / (24 * 60 * 60)), err == nil
}

// end takes the record that was put together.
func (f *facts) end() {
	for i, a := range f.row {
		switch a.kind {
		case date:
			f.age(a)
		case words:
			f.text(a)
		}
		for _, b := range f.row[i+1:] {
			f.relate(a, b)
		}
	}
	f.row = f.row[:0]
}

// relate looks at two values of a record.
func (f *facts) relate(a, b cell) {
	switch {
	case a.field == b.field: // elements of one list
	case a.kind == date && b.kind == date:
		key := [2]int{a.field, b.field}
		if f.orders[key] == nil {
			if len(f.orders) == maxPairs {
				return
			}
			f.orders[key] = &order{}
		}
		f.orders[key].add(a.day, b.day)
	case a.kind == code && b.kind == words:
		f.pair(a, b)
	case a.kind == words && b.kind == code:
		f.pair(b, a)
	}
}

// order counts how two dates of a record lie to each other.
type order struct{ before, same, after int64 }

func (o *order) add(a, b int) {
	switch {
	case a < b:
		o.before++
	case a > b:
		o.after++
	default:
		o.same++
	}
}

// against counts the records whose dates are the other way round than nearly all.
func (o *order) against() int64 {
	all, few := o.before+o.same+o.after, min(o.before, o.after)
	if all < fewRecords || float64(few) > ruleShare*float64(all) {
		return 0
	}
	return few
}

// pair is a code and the words that go with it.
type pair struct {
	of              map[uint64]going
	agrees, differs int64 // records with a code that was there before
}

// going is what goes with one code, and by how many records more than anything else.
type going struct {
	words uint64
	lead  int32
}

func (f *facts) pair(a, b cell) {
	key := [2]int{a.field, b.field}
	p := f.pairs[key]
	if p == nil {
		if len(f.pairs) == maxPairs {
			return
		}
		p = &pair{of: map[uint64]going{}}
		f.pairs[key] = p
	}
	g, known := p.of[a.hash]
	switch {
	case !known && f.known == maxKnown:
		return
	case !known:
		f.known++
		g = going{b.hash, 1}
	case g.words == b.hash:
		p.agrees++
		g.lead++
	default:
		p.differs++
		if g.lead--; g.lead == 0 {
			g = going{b.hash, 1}
		}
	}
	p.of[a.hash] = g
}

// against counts the records that contradict what nearly all keep to, where that is more than chance.
func (p *pair) against(t *texts) int64 {
	all := p.agrees + p.differs
	if all < fewRecords || float64(p.differs) > min(ruleShare, chanceShare*t.chance())*float64(all) {
		return 0
	}
	return p.differs
}

// texts are what a field holds, each as often.
type texts struct {
	of  map[uint64]int64
	all int64
}

func (f *facts) text(c cell) {
	t := f.words[c.field]
	if t == nil {
		t = &texts{of: map[uint64]int64{}}
		f.words[c.field] = t
	}
	t.all++
	if _, known := t.of[c.hash]; known || len(t.of) < maxTexts {
		t.of[c.hash]++
	}
}

// chance is how often two records, chosen by chance, differ.
func (t *texts) chance() float64 {
	same := 0.
	for _, n := range t.of {
		share := float64(n) / float64(t.all)
		same += share * share
	}
	return 1 - same
}

// ages counts the dates of a field by month.
type ages struct{ months map[int]int64 }

const monthDays = 30

func (f *facts) age(c cell) {
	a := f.dates[c.field]
	if a == nil {
		a = &ages{map[int]int64{}}
		f.dates[c.field] = a
	}
	month := int(math.Floor(float64(c.day) / monthDays))
	if _, known := a.months[month]; known || len(a.months) < maxTexts {
		a.months[month]++
	}
}

// behind counts the dates that lie further before the middle half of all than that is twice wide, and a year more.
func (a *ages) behind() (n int64) {
	var months []int
	all := int64(0)
	for m, count := range a.months {
		months = append(months, m)
		all += count
	}
	if all < fewRecords {
		return 0
	}
	slices.Sort(months)
	at := func(share float64) int {
		sum := int64(0)
		for _, m := range months {
			if sum += a.months[m]; float64(sum) >= share*float64(all) {
				return m
			}
		}
		return months[len(months)-1]
	}
	low, high := at(.25), at(.75)
	for _, m := range months {
		if m < low-2*(high-low)-365/monthDays {
			n += a.months[m]
		}
	}
	return n
}

// give counts what contradicts, and what is behind. A code that goes with several words (a postal code with a town, a
// region and a country) contradicts all of them at once, and counts where it does so most often.
func (f *facts) give() (conflict, stale int64) {
	f.end()
	for _, o := range f.orders {
		conflict += o.against()
	}
	most := map[int]int64{} // by the code's field
	for key, p := range f.pairs {
		most[key[0]] = max(most[key[0]], p.against(f.words[key[1]]))
	}
	for _, n := range most {
		conflict += n
	}
	for _, a := range f.dates {
		stale += a.behind()
	}
	return conflict, stale
}
