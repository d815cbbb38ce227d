package synth

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// clerks enter the records of a table, some of them with less care than others.
// So errors come in company: of the same clerk, and in the same record.
type clerks struct {
	world *world
	level Level
	table *Table
	truth *truth
}

// care is how many errors a clerk makes, in a hundredth of the average. The
// average of all is about 100.
var care = [...]int{5, 10, 20, 30, 40, 60, 80, 100, 150, 200, 300}

// spoil gives what is written in the place of a record: itself, or another, or
// two. written is how many records there are already.
func (c *clerks) spoil(i, written int64, r record) []record {
	d := newDraw(c.world.seed, "mess of "+c.table.Name, i)
	clerk := care[int(i/40)%len(care)] // one after the other has a stretch of the work
	list := []record{c.enter(d, clerk, written+1, r)}
	if d.chance(c.level.Duplicates) {
		c.note(written+2, "", "duplicate", "", strconv.FormatInt(written+1, 10))
		list = append(list, c.enter(d, max(clerk, 150), written+2, r))
	}
	return list
}

// enter gives a record as a clerk has entered it.
func (c *clerks) enter(d *draw, clerk int, number int64, clean record) record {
	h := &hand{draw: d, clerks: c, number: number, r: slices.Clone(clean)}
	if d.chance(c.level.Namesakes) {
		h.namesake()
	}
	if d.chance(c.level.Conflicts) {
		h.contradict()
	}
	if d.chance(c.level.Stale) {
		h.age()
	}
	if d.chance(min(950, c.level.Records*clerk/100)) {
		for range 1 + d.n(2*c.level.Errors) {
			h.slip()
		}
	}
	return h.r
}

func (c *clerks) note(number int64, field, kind, before, after string) {
	c.truth.note(Defect{c.table.Name, number, field, kind, before, after})
}

// hand damages one record.
type hand struct {
	*draw
	clerks *clerks
	number int64
	r      record
}

// put changes a field and notes it. What stays as it is is no defect.
func (h *hand) put(i int, kind, after string) {
	f := &h.r[i]
	if f.text == after {
		return
	}
	h.clerks.note(h.number, f.name, kind, f.text, after)
	f.text = after
}

// find gives the place of the first field that is one of what is named, under
// whatever name the plan gives it; -1 where there is none.
func (h *hand) find(of ...string) int {
	for _, one := range of {
		for i, f := range h.r {
			if h.clerks.table.means(f.name) == one && f.text != "" {
				return i
			}
		}
	}
	return -1
}

// means gives the field that a name in the file stands for.
func (t *Table) means(name string) string {
	for _, w := range t.fields {
		if w[1] == name {
			return w[0]
		}
	}
	return name
}

// namesake gives the record somebody else's name.
func (h *hand) namesake() {
	other := h.clerks.world.someone(h.draw)
	if i := h.find("recipient"); i >= 0 {
		h.put(i, "namesake", other.first+" "+other.last)
	}
	if i := h.find("first_name"); i >= 0 {
		h.put(i, "namesake", other.first)
	}
	if i := h.find("last_name"); i >= 0 {
		h.put(i, "namesake", other.last)
	}
}

// contradict makes two fields disagree that agreed.
func (h *hand) contradict() {
	if i := h.find("city"); i >= 0 && h.chance(500) {
		l := pick(h.draw, h.clerks.world.locales)
		h.put(i, "conflict", pick(h.draw, l.places).city)
		return
	}
	if i := h.find("total", "balance", "spent"); i >= 0 && h.chance(600) {
		if cents, err := strconv.Atoi(strings.Replace(h.r[i].text, ".", "", 1)); err == nil {
			h.put(i, "conflict", money(cents+h.between(1, 5000)))
		}
		return
	}
	early, late := h.find("placed", "opened", "birth_date", "starts"), h.find("delivered", "shipped", "closed", "answered", "since", "ends")
	if early >= 0 && late >= 0 {
		a, b := h.r[early].text, h.r[late].text
		h.put(early, "conflict", b)
		h.put(late, "conflict", a)
	}
}

// age makes a record one that nobody has touched for years.
func (h *hand) age() {
	i := h.find("updated", "date", "booked", "launched")
	if i < 0 {
		return
	}
	t, err := time.Parse("2006-01-02", h.r[i].text[:min(10, len(h.r[i].text))])
	if err != nil {
		return
	}
	t = t.AddDate(-h.between(2, 7), 0, -h.n(300))
	h.put(i, "stale", day(t)+h.r[i].text[10:])
	if i := h.find("street"); i >= 0 {
		l := localeNamed(h.text("locale"))
		if l == nil {
			l = pick(h.draw, h.clerks.world.locales)
		}
		h.put(i, "stale", l.street(h.draw))
	}
}

// text gives a field's text, or nothing.
func (h *hand) text(of string) string {
	if i := h.find(of); i >= 0 {
		return h.r[i].text
	}
	return ""
}

// slip damages a field, by what it holds.
func (h *hand) slip() {
	i := h.n(len(h.r))
	f := h.r[i]
	if f.text == "" {
		return
	}
	if h.chance(180) && f.kind != reference && f.kind != document {
		h.put(i, "missing", pick(h.draw, []string{"", "", "", "n/a", "-", "?", "unknown"}))
		return
	}
	way := pick(h.draw, ways[f.kind])
	if way.damage != nil {
		h.put(i, way.kind, way.damage(h.draw, f.text))
	}
}

// way is how a value is damaged.
type way struct {
	kind   string
	damage func(*draw, string) string
}

// ways are what can happen to fields of a kind. No way makes an identifier
// another one that may be somebody's: of an address for mail only what is before
// the @ is touched, of a telephone number only the layout, and a number with
// check digits gets one digit that they do not allow. What could become a
// neighbour's number is left as it is.
var ways = map[int][]way{
	reference:  {{}},
	document:   {{}},
	identifier: {{}, {"space", padded}},
	name:       {{"typo", typo}, {"transposition", transposed}, {"ocr", misread}, {"case", cased}, {"encoding", garbled}, {"encoding", folded}, {"space", spaced}},
	plain:      {{"typo", typo}, {"transposition", transposed}, {"ocr", misread}, {"case", cased}, {"encoding", garbled}, {"encoding", folded}, {"space", spaced}},
	choice:     {{"case", cased}, {"typo", typo}, {"space", spaced}},
	email:      {{"case", capitals}, {"typo", inLocal(typo)}, {"transposition", inLocal(transposed)}, {"space", padded}},
	number:     {{"layout", relaid}, {"space", padded}},
	checked:    {{"typo", digitWrong}, {"layout", joined}, {"space", padded}},
	prose:      {{"typo", sloppy}, {"typo", sloppy}, {"case", cased}, {"encoding", garbled}, {"ramble", rambling}, {"ocr", scanned}},
	date:       {{"locale", foreignDate}, {"space", spaced}},
	amount:     {{"locale", comma}, {"space", spaced}},
	count:      {{"space", spaced}},
	flag:       {{"layout", spokenFlag}},
}
