package names

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// filler puts made-up values into templates: names of the lists, and words that
// are in none.
type filler struct {
	r     *rand.Rand
	lists [10][]string
}

func newFiller() *filler {
	f := &filler{r: rand.New(rand.NewPCG(3, 5))}
	for word, bits := range words() {
		for b := range 10 {
			if bits&(1<<b) != 0 && bits&common == 0 || b == 7 && bits == common {
				f.lists[b] = append(f.lists[b], word)
			}
		}
	}
	for b := range f.lists {
		slices.Sort(f.lists[b])
	}
	return f
}

func (f *filler) pick(options ...string) string { return options[f.r.IntN(len(options))] }

// word takes one of a list, or makes one up.
func (f *filler) word(list int) string {
	if f.r.IntN(6) == 0 {
		var b strings.Builder
		for range 2 + f.r.IntN(3) {
			b.WriteString(f.pick("ba", "kor", "lin", "ma", "tes", "vi", "dra", "sch", "el", "ian", "ov", "ska", "mu", "rø", "hé", "tan", "wic", "ro", "nes", "zu"))
		}
		return title(b.String())
	}
	return title(f.lists[list][f.r.IntN(len(f.lists[list]))])
}

func title(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

func (f *filler) digits(n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('0' + f.r.IntN(10)))
	}
	return b.String()
}

func (f *filler) street() string {
	number := f.digits(1 + f.r.IntN(4))
	switch f.r.IntN(5) {
	case 0:
		return number + " " + f.word(1) + " " + f.pick("Street", "Road", "Avenue", "Lane", "Drive", "Blvd", "Way", "St.", "Court", "Hill", "Crescent", "Square", "Terrace", "Rapids", "Union")
	case 1:
		return f.word(1) + f.pick("straße", "gatan", "vej", "weg", "straat", "gasse", "veien", "laan", "utca") + " " + number
	case 2:
		return f.pick("Rua", "Via", "Calle", "rue de", "Avenida", "ul.", "Piazza", "Rue", "Strada", "C/", "Plaza") + " " + f.word(2) + f.pick(" ", ", ") + number
	case 3:
		return number + " " + f.pick("rue", "boulevard", "Via", "Rue de la", "avenue", "Route") + " " + f.word(1)
	}
	return f.word(1) + " " + f.word(2) + " " + number
}

func (f *filler) zip() string {
	return f.pick(f.digits(5), f.digits(4), f.digits(5)+"-"+f.digits(4), f.digits(4)+" "+f.pick("AB", "KL", "XZ"), "SW1A "+f.digits(1)+"AA", f.digits(3)+" "+f.digits(2))
}

func (f *filler) value(kind string) string {
	switch kind {
	case "PERSON":
		first, last := f.word(0), f.word(1)
		return f.pick(first+" "+last, first+" "+last, first+" "+last, first, last, first+" "+string(rune('A'+f.r.IntN(26)))+". "+last, first+" "+string(rune('A'+f.r.IntN(26)))+" "+last, first+" "+f.word(1)+"-"+last, last)
	case "FIRST":
		return f.word(0)
	case "LAST":
		return f.word(1)
	case "GPE":
		return f.pick(f.word(2), f.word(2), f.word(3), f.word(4))
	case "CITY":
		return f.pick(f.word(2), f.word(2), strings.ToUpper(f.word(2)))
	case "COUNTRY":
		return f.word(3)
	case "ORG":
		a, b := f.word(1), f.word(1)
		noun := title(f.lists[7][f.r.IntN(len(f.lists[7]))])
		return f.pick(a+" Inc", a+" and "+b, a+", "+b+" and "+f.word(1), a+"-"+b, a+" Group", "The "+a+" "+noun, noun+" "+f.pick("Corporation", "Systems", "Bank", "Partners", "Ltd", "GmbH", "LLC", "Services", "Inc."), noun, noun+strings.ToLower(a), "University of "+f.word(2), f.word(2)+" "+f.pick("Airlines", "Hospital", "Council", "Police Department", "Times", "FC"), strings.ToUpper(f.pick("bbc", "ibm", "nhs", "unesco", "kpmg", "abc")), noun+" "+a, title(f.lists[7][f.r.IntN(len(f.lists[7]))])+" "+noun)
	case "STREET":
		return f.street()
	case "UNIT":
		return f.pick("Apt. ", "Suite ", "Unit ", "Flat ", "Apt. ") + f.digits(3)
	case "ZIP":
		return f.zip()
	case "ADDRESS":
		return f.street() + f.pick(", ", "\n", "\n ", " ") + f.pick("", "Apt. "+f.digits(3)+"\n ", "Suite "+f.digits(3)+", ") + f.pick(f.zip()+" "+f.word(2), f.word(2)+", "+f.pick("CA", "TX", "NY", "VIC", "NSW")+" "+f.zip(), f.word(2)+"\n "+f.word(3)+" "+f.zip())
	case "DATE":
		return f.pick(fmt.Sprint(1950+f.r.IntN(75)), f.pick("Monday", "Thursday", "Friday", "Sunday"), f.digits(1)+"/"+f.digits(2)+"/19"+f.digits(2), "20"+f.digits(2)+"-0"+f.digits(1)+"-1"+f.digits(1), f.pick("March", "May", "October", "January")+" "+f.digits(1)+", 20"+f.digits(2), f.digits(1)+" "+f.pick("June", "Sept", "December")+" 19"+f.digits(2), "20"+f.digits(2)+"-0"+f.digits(1)+"-1"+f.digits(1)+" 1"+f.digits(1)+":"+f.pick("10", "35")+":"+f.pick("22", "59"))
	case "AGE":
		return fmt.Sprint(1 + f.r.IntN(99))
	case "MR":
		return f.pick("Mr.", "Mrs.", "Ms.", "Dr.", "Miss", "Mr", "Prof.", "Sir")
	case "JOB":
		return f.pick("Accountant", "Nurse", "Software engineer", "Teacher, primary school", "Sales manager", "Painter", "Civil engineer", "Research assistant", "Baker", "Librarian", "Graphic designer", "Data analyst", "Surgeon", "Train driver", "Legal secretary", "Quality inspector")
	case "NRP":
		return title(f.lists[8][f.r.IntN(len(f.lists[8]))])
	case "URL":
		host := strings.ToLower(f.word(1) + f.word(2))
		return f.pick("https://www.", "http://", "https://", "www.") + host + f.pick(".com", ".net", ".co.uk", ".de", ".org") + f.pick("", "/", "/about")
	case "PHONE":
		return f.pick("+"+f.digits(2)+" "+f.digits(3)+" "+f.digits(6), f.digits(3)+"-"+f.digits(3)+"-"+f.digits(4), "("+f.digits(3)+") "+f.digits(3)+"-"+f.digits(4), f.digits(4)+" "+f.digits(3)+" "+f.digits(3),
			f.digits(2)+" "+f.digits(3)+" "+f.digits(3), f.digits(3)+" "+f.digits(3)+" "+f.digits(3), f.digits(4)+"-"+f.digits(7), f.digits(2)+"-"+f.digits(2)+"-"+f.digits(2)+"-"+f.digits(2),
			f.digits(3)+" "+f.digits(4), f.digits(2)+"."+f.digits(2)+"."+f.digits(2)+"."+f.digits(2)+"."+f.digits(2), "+"+f.digits(2)+" (0)"+f.digits(2)+" "+f.digits(3)+" "+f.digits(2)+" "+f.digits(2), f.digits(10))
	case "EMAIL":
		return strings.ToLower(f.word(0)) + "@" + strings.ToLower(f.word(1)) + ".com"
	case "NUMBER":
		return f.digits(3 + f.r.IntN(14))
	case "WORD":
		return title(f.lists[7][f.r.IntN(len(f.lists[7]))])
	}
	panic("no slot " + kind)
}

// slots are the kinds that a slot's value is of; others are none.
var slots = map[string]string{
	"PERSON": "person", "FIRST": "person", "LAST": "person", "GPE": "place", "CITY": "place", "COUNTRY": "place", "ORG": "organisation",
	"STREET": "address", "UNIT": "address", "ZIP": "address", "ADDRESS": "address", "DATE": "date", "AGE": "age", "MR": "title",
	"JOB": "title", "NRP": "nationality", "URL": "url",
}

// fill replaces «SLOT» by values.
func (f *filler) fill(template string) sample {
	var s sample
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "«")
		b.WriteString(before)
		if !ok {
			break
		}
		var slot string
		slot, template, _ = strings.Cut(rest, "»")
		start := b.Len()
		b.WriteString(f.value(slot))
		if kind := slots[slot]; kind != "" {
			s.spans = append(s.spans, Span{start, b.Len(), kind})
		}
	}
	s.text, s.template = b.String(), -1
	if small := strings.ToLower(s.text); f.r.IntN(10) == 0 && len(small) == len(s.text) {
		s.text = small
	}
	return s
}
