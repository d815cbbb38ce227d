package scan

import (
	"regexp"
	"strings"
)

// rule finds one kind of identifier in a window: a run of words that hold
// digits.
type rule struct {
	kind string
	// shape is searched for in the window; letters are matched as they are
	// written.
	shape *regexp.Regexp
	// digits is how many digits a window has at least, letters how many
	// letters; both reject quickly.
	digits, letters int
	// check decides about the match without its separators, in capitals.
	// It is nil where every match will do.
	check func(string) bool
	// context are beginnings of words near by, or in the field's name, that
	// speak for this kind. Where needed is set, one of them must be there.
	context []string
	needed  bool
	// alone is the confidence without context, near that with.
	alone, near float64
	reserved    func(string) string
	// attribute says that the value describes somebody and points at nobody.
	attribute bool
}

// shape compiles a pattern that stands for itself: no letter and no digit
// touches it.
func shape(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[^0-9A-Za-z])(` + pattern + `)(?:$|[^0-9A-Za-z])`)
}

// tax and identity numbers of countries. A check digit lets one value in ten or
// in eleven pass, so numbers that are only digits need a word near by; those
// with two check digits or with letters of their own do not.
var national = []rule{
	{kind: "br-cpf", shape: shape(`\d{3}\.\d{3}\.\d{3}-\d\d`), digits: 11, check: cpf, alone: .95, near: .99},
	{kind: "br-cpf", shape: shape(`\d{11}`), digits: 11, check: cpf, context: []string{"cpf", "contribuinte"}, needed: true, near: .97},
	{kind: "br-cnpj", shape: shape(`\d{2}\.\d{3}\.\d{3}/\d{4}-\d\d`), digits: 14, check: cnpj, alone: .95, near: .99},
	{kind: "pl-pesel", shape: shape(`\d{11}`), digits: 11, check: pesel, context: []string{"pesel"}, needed: true, near: .98},
	{kind: "fr-nir", shape: shape(`[12] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d`), digits: 14, check: nir, context: []string{"nir", "sécu", "secu", "insee"}, alone: .85, near: .98},
	{kind: "es-dni", shape: shape(`(?:\d{8}|[XYZ]-?\d{7})-?[A-Z]`), digits: 7, letters: 1, check: dni, context: []string{"dni", "nie", "nif"}, alone: .75, near: .98},
	{kind: "it-codice-fiscale", shape: shape(`[A-Z]{6}\d\d[A-EHLMPR-T]\d\d[A-Z]\d{3}[A-Z]`), digits: 7, letters: 9, check: codiceFiscale, context: []string{"fiscale", "cf"}, alone: .95, near: .99},
	{kind: "de-steuer-id", shape: shape(`\d{2} ?\d{3} ?\d{3} ?\d{3}`), digits: 11, check: steuerID, context: []string{"steuer", "idnr", "tin", "tax"}, needed: true, near: .97},
	{kind: "nl-bsn", shape: shape(`\d{9}|\d{4}\.\d{2}\.\d{3}`), digits: 9, check: bsn, context: []string{"bsn", "burgerservice", "sofi"}, needed: true, near: .97},
	{kind: "se-personnummer", shape: shape(`(?:19|20)?\d{6}[-+]\d{4}`), digits: 10, check: personnummer, context: []string{"personn", "pnr"}, alone: .85, near: .98},
	{kind: "fi-hetu", shape: shape(`\d{6}[-+A]\d{3}[0-9A-FHJK-NPR-Y]`), digits: 9, check: hetu, context: []string{"hetu", "henkil"}, alone: .85, near: .98},
	{kind: "be-rijksregister", shape: shape(`\d\d\.\d\d\.\d\d-\d{3}\.\d\d`), digits: 11, check: rijksregister, alone: .95, near: .99},
	{kind: "no-fodselsnummer", shape: shape(`\d{6} ?\d{5}`), digits: 11, check: fodselsnummer, context: []string{"fødsel", "fodsel", "personn", "fnr"}, needed: true, near: .98},
	{kind: "pt-nif", shape: shape(`\d{3} ?\d{3} ?\d{3}`), digits: 9, check: nif, context: []string{"nif", "contribuinte"}, needed: true, near: .96},
	{kind: "ch-ahv", shape: shape(`756\.\d{4}\.\d{4}\.\d\d`), digits: 13, check: ahv, alone: .97, near: .99},
	{kind: "tr-tckn", shape: shape(`\d{11}`), digits: 11, check: tckn, context: []string{"tckn", "kimlik", "t.c."}, needed: true, near: .98},
	{kind: "sg-nric", shape: shape(`[STFG]\d{7}[A-Z]`), digits: 7, letters: 2, check: nric, context: []string{"nric", "fin"}, alone: .9, near: .99},
	{kind: "in-aadhaar", shape: shape(`\d{4} ?\d{4} ?\d{4}`), digits: 12, check: verhoeff, context: []string{"aadhaar", "aadhar", "uidai"}, needed: true, near: .98},
	{kind: "in-pan", shape: shape(`[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]`), digits: 4, letters: 6, context: []string{"pan", "income tax"}, alone: .7, near: .97},
	{kind: "uk-nino", shape: shape(`[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]`), digits: 6, letters: 3, context: []string{"nino", "national insurance", "ni number"}, alone: .8, near: .98},
	{kind: "ca-sin", shape: shape(`\d{3}[- ]\d{3}[- ]\d{3}|\d{9}`), digits: 9, check: luhn, context: []string{"sin", "social insurance"}, needed: true, near: .97},
	{kind: "au-tfn", shape: shape(`\d{3} ?\d{3} ?\d{3}`), digits: 9, check: tfn, context: []string{"tfn", "tax file"}, needed: true, near: .98},
	{kind: "za-id", shape: shape(`\d{13}`), digits: 13, check: luhn, context: []string{"id number", "identity", "id_number", "south africa"}, needed: true, near: .9},
	{kind: "passport", shape: shape(`[A-Z]{0,2}\d{6,9}[A-Z]?|[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}`), digits: 4, context: []string{"passport", "passeport", "reisepass", "pasaporte"}, needed: true, near: .85},
}

// general are the kinds that know no country, and those of the United States
// and the NHS.
var general = []rule{
	{kind: "card", shape: shape(`\d{4}[- ]?\d{4}[- ]?\d{4}[- ]?\d{1,7}|\d{4}[- ]?\d{6}[- ]?\d{4,5}|\d{12,19}`), digits: 12, check: card, context: []string{"card", "cc", "visa", "mastercard", "amex", "pan", "credit", "karte", "carte", "tarjeta"}, alone: .8, near: .99, reserved: reservedCard},
	{kind: "iban", shape: shape(`[A-Za-z]{2}\d\d(?: ?[0-9A-Za-z]{4}){2,7}(?: ?[0-9A-Za-z]{1,3})?`), digits: 6, letters: 2, check: iban, context: []string{"iban", "account", "konto"}, alone: .96, near: .99, reserved: reservedIBAN},
	{kind: "us-itin", shape: shape(`9\d\d-(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])-\d{4}`), digits: 9, context: []string{"itin", "taxpayer", "tax"}, alone: .8, near: .98},
	{kind: "us-ssn", shape: shape(`\d{3}-\d\d-\d{4}|\d{3} \d\d \d{4}`), digits: 9, context: []string{"ssn", "social security", "social_security"}, alone: .85, near: .99, reserved: reservedSSN},
	{kind: "us-ssn", shape: shape(`\d{9}`), digits: 9, context: []string{"ssn", "social security", "social_security"}, needed: true, near: .9, reserved: reservedSSN},
	{kind: "uk-nhs", shape: shape(`\d{3}[- ]\d{3}[- ]\d{4}|\d{10}`), digits: 10, check: nhs, context: []string{"nhs"}, needed: true, near: .98, reserved: reservedNHS},
	{kind: "mac", shape: shape(`[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}`), digits: 1, alone: .95, near: .99, reserved: reservedMAC},
	{kind: "date-of-birth", shape: shape(`\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d\d)|\d{1,2}(?:st|nd|rd|th)?[ -](?:` + months + `)[ -]\d{4}|(?:` + months + `) \d{1,2},? \d{4}`), digits: 4, context: []string{"born", "birth", "dob", "geboren", "geburt", "naissance", "nacimiento", "nascita"}, needed: true, near: .95, attribute: true},
	{kind: "coordinates", shape: shape(`[-+]?\d{1,2}\.\d{4,},? ?[-+]?\d{1,3}\.\d{4,}`), digits: 10, alone: .8, near: .95, context: []string{"lat", "lon", "coord", "gps", "geo", "location"}, attribute: true},
	{kind: "coordinate", shape: shape(`[-+]?\d{1,3}\.\d{4,}`), digits: 5, context: []string{"latitude", "longitude", "lat", "lng", "lon"}, needed: true, near: .9, attribute: true},
	{kind: "record-number", shape: shape(`[A-Z]{0,4}-?\d{5,12}`), digits: 5, context: []string{"mrn", "medical record", "medical_record", "patient id", "patient_id", "patient number"}, needed: true, near: .9},
	{kind: "account-number", shape: shape(`[A-Z]{0,4}-?\d{6,17}`), digits: 6, context: []string{"account no", "account num", "account_no", "account_num", "acct", "bank account", "kontonummer", "account #"}, needed: true, near: .9},
	{kind: "driver-licence", shape: shape(`[A-Z]?\d{6,14}|\d{4}-\d\d-\d{4}`), digits: 6, context: []string{"driver's lic", "drivers lic", "driver lic", "driving lic", "driver_lic", "driver’s lic"}, needed: true, near: .85},
}

const months = `Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t|tember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?`

// card is Luhn and a beginning and a length that a scheme uses, ISO/IEC 7812.
// Numbers of no scheme are reserved, and only found as cards when they look
// like nothing else.
func card(s string) bool {
	if !luhn(s) || strings.Trim(s, s[:1]) == "" {
		return false
	}
	n := len(s)
	switch s[0] {
	case '4':
		return n == 13 || n == 16 || n == 19
	case '3':
		return n == 15 && (s[1] == '4' || s[1] == '7') || n == 14 && strings.Contains("0689", s[1:2]) || n == 16 && (s[1] == '5' || s[1] == '0' || s[1] == '8')
	case '5':
		return n == 16 && s[1] >= '1' && s[1] <= '5' || maestro(s)
	case '2':
		return n == 16 && s[:4] >= "2200" && s[:4] <= "2720" || n == 15 && (s[:4] == "2131" || s[:4] == "2014" || s[:4] == "2149")
	case '6':
		return n >= 12
	case '1':
		return n == 15 && s[:4] == "1800"
	}
	return n == 16 && (s[0] == '0' || s[0] == '9')
}

func maestro(s string) bool { return s[:2] == "50" || s[:2] >= "56" && s[:2] <= "58" }

// compact drops what separates digits, and writes letters as capitals.
func compact(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z':
			return c
		}
		return -1
	}, s)
}
