package mint

import "math/rand/v2"

// recipes are the kinds that have more to them than letters and digits. Each names
// the positions of its check digits by its issuer's rules, which are cited where
// the scan checks them.
var recipes = map[string]recipe{
	"card":              {reserve: lead("9"), finish: luhn},
	"iban":              {reserve: iban, finish: ibanCheck},
	"us-ssn":            {reserve: ssn, finish: issuable},
	"us-itin":           {keep: 5},
	"uk-nhs":            {reserve: lead("999"), finish: sum(11, 1, 2, 3, 4, 5, 6, 7, 8, 9)},
	"mac":               {reserve: lead("00005E0053"), finish: local},
	"br-cpf":            {finish: both(sum(11, 1, 2, 3, 4, 5, 6, 7, 8, 9), sum(11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9))},
	"br-cnpj":           {finish: both(sum(11, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9), sum(11, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9))},
	"pl-pesel":          {date: "YYMMDD", finish: sum(10, 9, 7, 3, 1, 9, 7, 3, 1, 9, 7)},
	"fr-nir":            {keep: 1, date: ".YYMM", finish: nir},
	"es-dni":            {finish: dni},
	"it-codice-fiscale": {date: "......YY", finish: codiceFiscale},
	"de-steuer-id":      {finish: steuerID},
	"nl-bsn":            {finish: sum(11, 9, 8, 7, 6, 5, 4, 3, 2)},
	"se-personnummer":   {finish: personnummer},
	"fi-hetu":           {date: "DDMMYY", finish: hetu},
	"be-rijksregister":  {date: "YYMMDD", finish: rijksregister},
	"no-fodselsnummer":  {date: "DDMMYY", finish: both(sum(11, 8, 4, 5, 10, 3, 2, 7, 6, 9), sum(11, 6, 7, 8, 9, 4, 5, 6, 7, 8, 9))},
	"pt-nif":            {finish: nif},
	"ch-ahv":            {keep: 3, finish: sum(10, 9, 7, 9, 7, 9, 7, 9, 7, 9, 7, 9, 7)},
	"tr-tckn":           {finish: both(sum(10, 7, 9, 7, 9, 7, 9, 7, 9, 7), sum(10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1))},
	"sg-nric":           {keep: 1, finish: nric},
	"in-aadhaar":        {finish: verhoeff},
	"in-pan":            {finish: pan},
	"uk-nino":           {finish: nino},
	"ca-sin":            {finish: luhn},
	"au-tfn":            {finish: sum(11, 1, 4, 3, 7, 5, 8, 6, 9)},
	"za-id":             {date: "YYMMDD", finish: luhn},
}

// lead draws what follows a beginning.
func lead(beginning string) func([]byte, rand.Source) {
	return func(c []byte, s rand.Source) {
		n := copy(c, beginning)
		digits(c[n:], s)
	}
}

// digits draws digits, whatever was there.
func digits(c []byte, s rand.Source) {
	for i := range c {
		c[i] = byte('0' + s.Uint64()%10)
	}
}

// iban has a country code that ISO 3166 leaves to its users: a country keeps to one,
// so that what is grouped by country stays grouped.
func iban(c []byte, s rand.Source) {
	if len(c) < 4 {
		return
	}
	const free = "ABCDEFGHIJLMNOPQRSTUVWXYZ" // XK is Kosovo
	country := int(c[0])*26 + int(c[1])
	draw(c[4:], s)
	c[0], c[1] = 'X', free[country*7%len(free)]
}

// ssn is one that is never issued: above 900 the groups from 50 on are ITIN.
func ssn(c []byte, s rand.Source) {
	if len(c) != 9 {
		return
	}
	digits(c, s)
	group := s.Uint64()%49 + 1
	c[0], c[3], c[4] = '9', byte('0'+group/10), byte('0'+group%10)
	issuable(c)
}

// issuable keeps a serial number from being 0000, which nobody has; the area above
// 900 from being an ITIN is a matter of the group.
func issuable(c []byte) bool { return len(c) == 9 && string(c[5:]) != "0000" && string(c[3:5]) != "00" }

// local makes an address of the locally administered ones, which no maker gives
// out (IEEE 802), of any but the reserved.
func local(c []byte) bool {
	if len(c) != 12 {
		return false
	}
	if string(c[:10]) != "00005E0053" {
		c[1] = "26AE"[c[1]%4]
	}
	return true
}
