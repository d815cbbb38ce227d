package synth

import (
	"strconv"
	"time"
)

// agents answer tickets and sign letters.
var agents = []string{"Robin", "Sam", "Alex", "Kim", "Noor", "Jules", "Mika", "Toni", "Sascha", "Dana"}

// slots are what texts can say of a customer and an order.
func (w *world) slots(d *draw, o order) map[string]string {
	p, what := o.who, o.lines[0].what
	reach := p.phone
	if reach == "" {
		reach = p.mail
	}
	return map[string]string{
		"name": p.first + " " + p.last, "first": p.first, "mail": p.mail, "phone": reach, "iban": p.iban, "card": p.card,
		"street": p.street, "postcode": p.postcode, "city": p.place.city, "job": pick(d, p.l.jobs),
		"order": o.id, "placed": day(o.placed), "total": money(o.cost) + " " + p.l.currency, "today": day(w.today),
		"product": what.name, "thing": what.kind, "material": what.material, "colour": what.colour,
		"agent": pick(d, agents), "agent2": pick(d, agents), "mail2": "service@shop.example",
	}
}

// note is what a clerk has written about a customer; most have none.
func (w *world) note(d *draw, p person) string {
	if !d.chance(350) {
		return ""
	}
	return write(d, p.l.language, "note", map[string]string{"job": pick(d, p.l.jobs)})
}

// aboutOrder is an order for a record to be about.
func (w *world) aboutOrder(d *draw) order { return w.order(int64(d.n(int(max(1, w.rows["orders"]))))) }

func (w *world) ticketRecord(i int64) record {
	d := newDraw(w.seed, "tickets", i)
	o := w.aboutOrder(d)
	p, language := o.who, o.who.l.language
	slots := w.slots(d, o)
	topic := write(d, "en", "topic", nil)
	opened := w.between(d, o.placed)
	if opened.Before(o.placed) {
		opened = o.placed.Add(time.Hour)
	}
	answered := opened.Add(time.Duration(d.between(300, 260_000)) * time.Second)
	closed := answered.Add(time.Duration(d.between(300, 600_000)) * time.Second)
	status := "closed"
	reply, stars := write(d, language, "reply", slots), strconv.Itoa(5-d.rank(5))
	if closed.After(w.today) || d.chance(120) {
		status, stars, closed = "open", "", w.today.AddDate(1, 0, 0)
	}
	if answered.After(w.today) {
		reply = ""
	}
	return record{
		{"id", reference, "S" + strconv.FormatInt(100_000+i, 10)},
		{"customer", reference, p.id},
		{"order", reference, o.id},
		{"sender", email, p.mail},
		{"channel", choice, pick(d, []string{"email", "email", "form", "chat", "letter"})},
		{"category", choice, topic},
		{"priority", choice, pick(d, []string{"low", "normal", "normal", "high"})},
		{"status", choice, status},
		{"opened", date, moment(opened)},
		{"answered", date, w.before(answered)},
		{"closed", date, w.before(closed)},
		{"language", reference, language},
		{"subject", prose, write(d, language, "subject."+topic, slots)},
		{"body", prose, write(d, language, "body."+topic, slots)},
		{"reply", prose, reply},
		{"stars", count, stars},
	}
}

func (w *world) documentRecord(i int64) record {
	d := newDraw(w.seed, "documents", i)
	o := w.aboutOrder(d)
	slots := w.slots(d, o)
	kind := write(d, "en", "kind", nil)
	return record{
		{"id", reference, "D" + strconv.FormatInt(100_000+i, 10)},
		{"customer", reference, o.who.id},
		{"order", reference, o.id},
		{"kind", choice, kind},
		{"date", date, day(w.between(d, o.placed))},
		{"author", name, slots["agent"]},
		{"title", prose, write(d, "en", "title."+kind, slots)},
		{"text", prose, write(d, "en", "doc."+kind, slots)},
	}
}
