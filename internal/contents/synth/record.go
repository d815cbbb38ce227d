package synth

import (
	"fmt"
	"strconv"
	"time"
)

// What a field holds, which decides how it can be damaged.
const (
	reference  = iota // an ID, or a number that others refer to: never damaged
	name              // of a person or a town
	email             // only what is before the @ may be damaged
	number            // a telephone's: only its layout may be damaged
	identifier        // never damaged: a neighbour may be somebody's
	checked           // with check digits: damaged, it is no identifier
	plain             // short text
	choice            // one of a few words
	prose             // text
	date              // or a time
	amount            // of money
	count
	flag
	document // JSON
)

// field is a value by its name. Empty text is a value that is missing.
type field struct {
	name string
	kind int
	text string
}

// record is one of a table, with its fields in their order.
type record []field

// bare says whether JSON has the value without quotes.
func (f field) bare() bool {
	switch f.kind {
	case amount, count, flag:
		_, err := strconv.ParseFloat(f.text, 64)
		return err == nil && f.text[0] != '+' && f.text[0] != '.' || f.text == "true" || f.text == "false"
	}
	return f.kind == document
}

// money writes cents.
func money(cents int) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}

func day(t time.Time) string    { return t.Format(time.DateOnly) }
func moment(t time.Time) string { return t.Format("2006-01-02T15:04:05Z") }

// later gives a moment some days and a part of a day after another.
func later(d *draw, t time.Time, low, high int) time.Time {
	return t.AddDate(0, 0, d.between(low, high)).Add(time.Duration(d.n(36_000)) * time.Second)
}

// before gives a moment if it is not after the day of the set; empty otherwise,
// because it has not happened yet.
func (w *world) before(t time.Time) string {
	if t.After(w.today) {
		return ""
	}
	return moment(t)
}
