package synth

import (
	"strconv"
	"strings"
	"time"
)

func (w *world) productRecord(i int64) record {
	p := w.product(i)
	d := newDraw(w.seed, "brand, the rest", i)
	slots := map[string]string{"product": p.name, "material": p.material, "thing": p.kind, "colour": p.colour}
	return record{
		{"id", reference, p.sku},
		{"name", name, p.name},
		{"category", choice, p.kind},
		{"material", choice, p.material},
		{"colour", choice, p.colour},
		{"price", amount, money(p.cents)},
		{"launched", date, day(w.today.AddDate(0, 0, -d.between(40, 2500)))},
		{"tagline", prose, write(d, "en", "tagline", slots)},
		{"description", prose, write(d, "en", "description", slots)},
		{"voice", prose, write(d, "en", "voice", slots)},
		{"avoid", prose, write(d, "en", "avoid", slots)},
		{"url", plain, "https://shop.example/" + strings.ReplaceAll(strings.ToLower(p.name), " ", "-")},
	}
}

func (w *world) campaignRecord(i int64) record {
	d := newDraw(w.seed, "campaigns", i)
	l, p := pick(d, w.locales), w.something(d)
	start := w.today.AddDate(0, 0, -d.between(-20, 700)).Truncate(24 * time.Hour)
	budget := d.between(5, 400) * 100_00
	shown := d.between(2_000, 900_000)
	clicks := shown * d.between(2, 60) / 1000
	bought := clicks * d.between(1, 90) / 1000
	if start.After(w.today) {
		shown, clicks, bought = 0, 0, 0
	}
	slots := map[string]string{"product": p.name, "material": p.material, "thing": p.kind, "colour": p.colour}
	return record{
		{"id", reference, "K" + strconv.FormatInt(1000+i, 10)},
		{"product", reference, p.sku},
		{"name", plain, pick(d, []string{"Spring", "Summer", "Autumn", "Winter", "Moving day", "Back to school", "Weekend"}) + " " + p.kind + " " + l.country},
		{"channel", choice, pick(d, []string{"email", "search", "social", "print", "radio"})},
		{"locale", reference, l.name},
		{"starts", date, day(start)},
		{"ends", date, day(start.AddDate(0, 0, d.between(5, 60)))},
		{"budget", amount, money(budget)},
		{"spent", amount, money(budget / 100 * min(100, shown/100))},
		{"currency", choice, l.currency},
		{"impressions", count, strconv.Itoa(shown)},
		{"clicks", count, strconv.Itoa(clicks)},
		{"conversions", count, strconv.Itoa(bought)},
		{"sender", email, "news" + strconv.Itoa(d.between(1, 9)) + "@shop.example"},
		{"subject", prose, write(d, "en", "tagline", slots)},
		{"copy", prose, write(d, "en", "description", slots)},
	}
}
