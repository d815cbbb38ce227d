package synth

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// order is what a customer bought.
type order struct {
	id, status                          string
	who                                 person
	lines                               []line
	goods, discount, freight, tax, cost int // cents
	placed, paid, shipped, arrived      time.Time
}

type line struct {
	what     product
	quantity int
}

func (w *world) order(i int64) order {
	d := newDraw(w.seed, "orders", i)
	o := order{id: "R" + strconv.FormatInt(100_000+i, 10), who: w.someone(d)}
	for range 1 + d.rank(5) {
		l := line{w.something(d), 1 + d.rank(4)}
		o.lines = append(o.lines, l)
		o.goods += l.quantity * l.what.cents
	}
	if d.chance(220) {
		o.discount = o.goods * pick(d, []int{5, 10, 15}) / 100
	}
	if o.goods < 60_00 {
		o.freight = pick(d, []int{3_90, 4_90, 6_50})
	}
	net := o.goods - o.discount + o.freight
	o.tax = (net*o.who.l.tax + 50) / 100
	o.cost = net + o.tax
	o.placed = w.between(d, o.who.since)
	o.paid = o.placed.Add(time.Duration(d.n(5_000)) * time.Second)
	o.shipped = later(d, o.paid, 1, 5)
	o.arrived = later(d, o.shipped, 1, 9)
	switch {
	case d.chance(60):
		o.status = "cancelled"
	case o.arrived.After(w.today) && o.shipped.After(w.today):
		o.status = "paid"
	case o.arrived.After(w.today):
		o.status = "shipped"
	case d.chance(70):
		o.status = "returned"
	default:
		o.status = "delivered"
	}
	return o
}

func (w *world) orderRecord(i int64) record {
	o := w.order(i)
	p := o.who
	shipped, arrived := w.before(o.shipped), w.before(o.arrived)
	if o.status == "cancelled" {
		shipped, arrived = "", ""
	}
	return record{
		{"id", reference, o.id},
		{"customer", reference, p.id},
		{"email", email, p.mail},
		{"status", choice, o.status},
		{"placed", date, moment(o.placed)},
		{"paid", date, w.before(o.paid)},
		{"shipped", date, shipped},
		{"delivered", date, arrived},
		{"recipient", name, p.first + " " + p.last},
		{"street", plain, p.street},
		{"postcode", plain, p.postcode},
		{"city", name, p.place.city},
		{"country", choice, p.l.country},
		{"lines", document, o.list()},
		{"goods", amount, money(o.goods)},
		{"discount", amount, money(o.discount)},
		{"freight", amount, money(o.freight)},
		{"tax", amount, money(o.tax)},
		{"total", amount, money(o.cost)},
		{"currency", choice, p.l.currency},
	}
}

// list is the lines in JSON. Nothing in them needs an escape.
func (o order) list() string {
	var parts []string
	for _, l := range o.lines {
		parts = append(parts, fmt.Sprintf(`{"sku":%q,"name":%q,"quantity":%d,"price":%s,"sum":%s}`, l.what.sku, l.what.name, l.quantity, money(l.what.cents), money(l.quantity*l.what.cents)))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// perAccount is how many transactions one after the other are of one account.
const perAccount = 8

// booking is one transaction.
type booking struct {
	what, other, account string
	cents                int
}

func (w *world) booking(d *draw, p person) booking {
	switch d.n(6) {
	case 0:
		return booking{"salary", replaceNumber(pick(d, p.l.firms), pick(d, p.l.last)), account(d, p.l), d.between(1_400_00, 4_800_00)}
	case 1:
		return booking{"rent", pick(d, p.l.last) + " " + pick(d, []string{"Property", "Immobilien", "Homes"}), account(d, p.l), -d.between(420_00, 1_650_00)}
	case 2:
		return booking{"card " + p.card[15:], pick(d, []string{"Corner Grocery", "Green Grocer", "City Fuel", "Book Nook", "Pizzeria Napoli", "Rail Tickets", "Pharmacy", "Cinema"}), "", -d.between(2_40, 96_00)}
	case 3:
		return booking{"transfer", pick(d, p.l.female) + " " + pick(d, p.l.last), account(d, p.l), -d.between(5_00, 400_00)}
	case 4:
		o := w.something(d)
		return booking{"order " + o.sku, "Alder & Fjord Shop", account(d, p.l), -o.cents}
	}
	return booking{"subscription", pick(d, []string{"Phone plan", "Music", "Gym", "Newspaper", "Cloud storage"}), account(d, p.l), -d.between(4_99, 59_99)}
}

// transactionRecord has the balance after it: those of the same account before
// it are made again.
func (w *world) transactionRecord(i int64) record {
	of, at := i/perAccount, int(i%perAccount)
	p := w.customer(of % max(1, w.rows["customers"]))
	d := newDraw(w.seed, "transactions", of)
	balance := d.between(300_00, 9_000_00)
	when := w.today.AddDate(0, 0, -90+int(of/max(1, w.rows["customers"])))
	var b booking
	for range at + 1 {
		b = w.booking(d, p)
		balance += b.cents
		when = later(d, when, 0, 9)
	}
	return record{
		{"id", reference, "T" + strconv.FormatInt(100_000+i, 10)},
		{"customer", reference, p.id},
		{"iban", checked, p.iban},
		{"booked", date, moment(when)},
		{"value_date", date, day(when.AddDate(0, 0, d.n(2)))},
		{"amount", amount, money(b.cents)},
		{"currency", choice, p.l.currency},
		{"balance", amount, money(balance)},
		{"purpose", plain, b.what},
		{"counterparty", name, b.other},
		{"counter_iban", checked, b.account},
	}
}

// replaceNumber puts a word where a pattern has #.
func replaceNumber(pattern, word string) string { return strings.Replace(pattern, "#", word, 1) }
