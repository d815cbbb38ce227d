package scan

import (
	"slices"
	"strconv"

	"github.com/nyaruka/phonenumbers"
)

// dialling knows which telephone numbers with a country's code are valid, by the tables of libphonenumber and as that
// does it, but for its work on what people write around digits. Where a number may begin with what is dialled before
// it, such as a 0, libphonenumber itself says. It is not for several goroutines at once.
type dialling struct {
	countries map[int]*country
	tables    map[string]*phonenumbers.PhoneMetadata // by region; of no region, by "001" and the code
}

// country is all that shares a code.
type country struct {
	regions []*region
	before  *automaton // what is dialled before a number; nil for nothing
	unsure  bool       // a pattern is none for an automaton
}

// region has a plan of its own.
type region struct {
	leading *automaton // digits that are its own; nil where all of its numbers say so
	general *numbering
	types   []*numbering
}

// numbering are numbers of some lengths that match a pattern.
type numbering struct {
	lengths []int32 // none for any
	digits  *automaton
}

func newDialling() *dialling {
	d := &dialling{countries: map[int]*country{}, tables: map[string]*phonenumbers.PhoneMetadata{}}
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		panic("scan: libphonenumber has no tables: " + err.Error()) // they are linked in, and read before main
	}
	for _, m := range all.GetMetadata() {
		d.tables[tableName(m.GetId(), int(m.GetCountryCode()))] = m
	}
	return d
}

func tableName(region string, code int) string {
	if region == "001" {
		region += strconv.Itoa(code)
	}
	return region
}

// maxCode is how many digits a country's code has at most.
const maxCode = 3

// valid says whether a number is one that somebody can have: the digits behind a +.
func (d *dialling) valid(digits string) bool {
	for n := 1; n <= maxCode && n+2 < len(digits) && digits[0] != '0'; n++ {
		code, err := strconv.Atoi(digits[:n])
		if err != nil {
			break
		}
		if c := d.country(code); c != nil {
			national := digits[n:]
			if c.unsure || c.before != nil && c.before.in(national) != 0 {
				break
			}
			return c.has(national)
		}
	}
	return valid("+"+digits, "US")
}

func (c *country) has(national string) bool {
	if len(c.regions) == 1 {
		return c.regions[0].has(national)
	}
	for _, r := range c.regions {
		if r.leading == nil && r.has(national) {
			return true
		}
		if r.leading != nil && r.leading.in(national) != 0 {
			return r.has(national)
		}
	}
	return false
}

func (r *region) has(national string) bool {
	return r.general.has(national) && slices.ContainsFunc(r.types, func(n *numbering) bool { return n.has(national) })
}

func (n *numbering) has(national string) bool {
	return (len(n.lengths) == 0 || slices.Contains(n.lengths, int32(len(national)))) && n.digits.in(national) != 0
}

// country gives what has a code, or nil.
func (d *dialling) country(code int) *country {
	if c, known := d.countries[code]; known {
		return c
	}
	var c *country
	for _, id := range phonenumbers.GetRegionCodesForCountryCode(code) {
		m := d.tables[tableName(id, code)]
		if c == nil {
			c = &country{before: starting(m.GetNationalPrefixForParsing())}
			c.unsure = c.before == nil && m.GetNationalPrefixForParsing() != ""
		}
		c.regions = append(c.regions, c.region(m))
	}
	d.countries[code] = c
	return c
}

// starting gives an automaton for what begins with a pattern; nil for none.
func starting(pattern string) *automaton {
	if pattern == "" {
		return nil
	}
	a := &automaton{}
	if !a.add("^(?:" + pattern + ")") {
		return nil
	}
	return a.made(false)
}

func (c *country) region(m *phonenumbers.PhoneMetadata) *region {
	r := &region{leading: starting(m.GetLeadingDigits()), general: numbered(m.GetGeneralDesc())}
	c.unsure = c.unsure || r.general == nil || r.leading == nil && m.GetLeadingDigits() != ""
	types := []*phonenumbers.PhoneNumberDesc{
		m.GetFixedLine(), m.GetPremiumRate(), m.GetTollFree(), m.GetSharedCost(), m.GetVoip(), m.GetPersonalNumber(),
		m.GetPager(), m.GetUan(), m.GetVoicemail(),
	}
	if !m.GetSameMobileAndFixedLinePattern() {
		types = append(types, m.GetMobile())
	}
	for _, t := range types {
		if t.GetNationalNumberPattern() == "" {
			continue
		}
		n := numbered(t)
		c.unsure = c.unsure || n == nil
		r.types = append(r.types, n)
	}
	return r
}

func numbered(desc *phonenumbers.PhoneNumberDesc) *numbering {
	a := match(desc.GetNationalNumberPattern())
	if a == nil {
		return nil
	}
	return &numbering{desc.GetPossibleLength(), a}
}
