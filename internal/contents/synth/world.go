package synth

import (
	"cmp"
	"strconv"
	"time"
)

// world makes the records of all tables. Each is a function of the seed and its
// number alone, so that what refers to a record makes it again, and nothing is
// held in memory.
type world struct {
	seed    uint64
	today   time.Time
	locales []*locale
	rows    map[string]int64 // of each table, also of those that are not written
}

// tables are what can be made, with how many records of it there are for a
// thousand customers.
var tables = map[string]struct {
	share int64
	make  func(*world, int64) record
}{
	"customers":    {1000, (*world).customerRecord},
	"orders":       {3000, (*world).orderRecord},
	"tickets":      {600, (*world).ticketRecord},
	"transactions": {1000 * perAccount, (*world).transactionRecord},
	"documents":    {300, (*world).documentRecord},
	"campaigns":    {20, (*world).campaignRecord},
	"brand":        {50, (*world).productRecord},
}

// person is what the records of a customer, and those that refer to one, are
// made of.
type person struct {
	number                 int64
	id                     string
	l                      *locale
	first, last            string
	mail, phone, iban      string
	street, postcode, card string
	place                  place
	born, since            time.Time
}

// customer makes the customer with a number from 0.
func (w *world) customer(i int64) person {
	d := newDraw(w.seed, "customers", i)
	p := person{number: i, id: "C" + strconv.FormatInt(100_000+i, 10), l: pick(d, w.locales)}
	firsts := p.l.female
	if d.chance(490) {
		firsts = p.l.male
	}
	p.first, p.last = firsts[d.rank(len(firsts))], p.l.last[d.rank(len(p.l.last))]
	if p.l.language == "es" || d.chance(30) {
		second := p.l.last[d.rank(len(p.l.last))]
		p.last += map[bool]string{true: " ", false: "-"}[p.l.language == "es"] + second
	}
	p.place = p.l.places[d.rank(len(p.l.places))]
	p.street, p.postcode = p.l.street(d), d.fill(p.place.postcode)
	p.mail, p.phone, p.iban, p.card = mail(d, p.first, p.last, i), phone(d, p.l, p.place.area), account(d, p.l), card(d)
	p.born = w.today.AddDate(-d.between(18, 88), -d.n(12), -d.n(28))
	grown := p.born.AddDate(18, 0, 0)
	p.since = w.today.AddDate(0, 0, -d.rank(3000)-1)
	if p.since.Before(grown) {
		p.since = grown
	}
	return p
}

func (w *world) customerRecord(i int64) record {
	p := w.customer(i)
	d := newDraw(w.seed, "customers, the rest", i)
	company := ""
	if d.chance(180) {
		company = replaceNumber(pick(d, p.l.firms), p.l.last[d.n(len(p.l.last))])
	}
	updated := w.between(d, p.since)
	return record{
		{"id", reference, p.id},
		{"first_name", name, p.first},
		{"last_name", name, p.last},
		{"email", email, p.mail},
		{"phone", number, p.phone},
		{"birth_date", date, day(p.born)},
		{"street", plain, p.street},
		{"postcode", plain, p.postcode},
		{"city", name, p.place.city},
		{"region", name, p.place.region},
		{"country", choice, p.l.country},
		{"locale", reference, p.l.name},
		{"occupation", plain, pick(d, p.l.jobs)},
		{"company", plain, company},
		{"national_id", identifier, national(d, p.l, p.born.Year())},
		{"iban", checked, p.iban},
		{"card", checked, p.card},
		{"segment", choice, pick(d, []string{"new", "regular", "regular", "regular", "business", "vip"})},
		{"newsletter", flag, strconv.FormatBool(d.chance(420))},
		{"since", date, day(p.since)},
		{"updated", date, moment(updated)},
		{"last_ip", identifier, host(d)},
		{"notes", prose, w.note(d, p)},
	}
}

// between is a moment from a day on up to the day of the set.
func (w *world) between(d *draw, from time.Time) time.Time {
	days := max(0, int(w.today.Sub(from)/(24*time.Hour))-1)
	return from.AddDate(0, 0, d.n(days+1)).Truncate(24 * time.Hour).Add(time.Duration(d.between(6*3600, 23*3600)) * time.Second)
}

// someone is the customer that a record of another table is about.
func (w *world) someone(d *draw) person {
	return w.customer(int64(d.n(int(cmp.Or(w.rows["customers"], 1)))))
}

// product is a thing that is sold.
type product struct {
	sku, name, kind, material, colour string
	cents                             int
}

// The parts of products' names.
var (
	things = []struct {
		name      string
		low, high int // euros, dollars, pounds
	}{
		{"desk lamp", 29, 140},
		{"kettle", 24, 110},
		{"backpack", 35, 190},
		{"rain jacket", 49, 260},
		{"coffee grinder", 39, 220},
		{"bookshelf", 79, 480},
		{"office chair", 110, 640},
		{"water bottle", 9, 42},
		{"wool blanket", 39, 180},
		{"headphones", 29, 350},
		{"bike light", 12, 85},
		{"tea set", 25, 130},
		{"notebook", 4, 28},
		{"frying pan", 19, 120},
		{"hiking boots", 65, 290},
		{"travel mug", 12, 45},
		{"wall clock", 22, 140},
		{"yoga mat", 18, 95},
		{"garden hose", 19, 90},
		{"toolbox", 25, 210},
		{"bedside table", 59, 310},
		{"cutting board", 14, 80},
		{"alarm clock", 15, 75},
		{"picnic basket", 29, 150},
	}
	materials = []string{"oak", "steel", "linen", "bamboo", "recycled", "leather", "ceramic", "cotton", "walnut", "aluminium"}
	colours   = []string{"black", "sand", "forest green", "navy", "white", "brick red", "slate", "mustard"}
	series    = []string{"Alder", "Fjord", "Lumen", "Harbour", "Tarn", "Kestrel", "Moss", "Ember", "Pebble", "Juno", "Sable", "Wren"}
)

func (w *world) product(i int64) product {
	d := newDraw(w.seed, "brand", i)
	t := pick(d, things)
	p := product{kind: t.name, material: pick(d, materials), colour: pick(d, colours), cents: d.between(t.low, t.high)*100 - pick(d, []int{1, 5, 10, 100})}
	p.sku = "P-" + strconv.FormatInt(1000+i, 10)
	p.name = pick(d, series) + " " + p.material + " " + p.kind
	return p
}

// something is a product; the first ones are sold more often.
func (w *world) something(d *draw) product {
	return w.product(int64(d.rank(int(cmp.Or(w.rows["brand"], 1)))))
}
