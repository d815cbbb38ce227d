package scan

import "strings"

// weighed sums the first digits of s by their weights.
func weighed(s string, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += w * int(s[i]-'0')
	}
	return sum
}

func digit(s string, i int) int { return int(s[i] - '0') }

// luhn is ISO/IEC 7812-1, annex B.
func luhn(s string) bool {
	sum, double := 0, false
	for i := len(s) - 1; i >= 0; i-- {
		d := digit(s, i)
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum%10 == 0 && strings.Trim(s, "0") != ""
}

// mod97 reads letters as 10 to 35 and gives the remainder, as ISO/IEC 7064
// asks. Anything but digits and capital letters gives -1.
func mod97(s string) int {
	r := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			r = (r*10 + int(c-'0')) % 97
		case c >= 'A' && c <= 'Z':
			r = (r*100 + int(c-'A') + 10) % 97
		default:
			return -1
		}
	}
	return r
}

// ibanLength is the length of an IBAN by its country, from the SWIFT registry.
var ibanLength = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
	"BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
	"ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
	"HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
	"LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20,
	"MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
	"QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
	"SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}

// iban checks ISO 13616: a country's length, or a code that ISO 3166 leaves to
// its users, and the remainder.
func iban(s string) bool {
	if len(s) < 15 || len(s) > 34 || mod97(s[4:]+s[:4]) != 1 {
		return false
	}
	n, known := ibanLength[s[:2]]
	return known && n == len(s) || !known && userAssigned(s[:2])
}

// userAssigned says whether a country code is none of a country: AA, QM to QZ,
// XA to XZ and ZZ of ISO 3166-1. XK is in use for Kosovo.
func userAssigned(code string) bool {
	return code == "AA" || code == "ZZ" || code[0] == 'Q' && code[1] >= 'M' || code[0] == 'X' && code[1] != 'K'
}

// nhs is the check digit of the United Kingdom's NHS number, modulo 11.
func nhs(s string) bool {
	c := 11 - weighed(s, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11
	return c%11 == digit(s, 9) && c != 10 && s != "0000000000"
}

// verhoeff is the check of India's Aadhaar, by the dihedral group D5.
func verhoeff(s string) bool {
	c := 0
	for i := range len(s) {
		c = dihedral(c, permuted(digit(s, len(s)-1-i), i%8))
	}
	return c == 0 && s[0] > '1'
}

// dihedral multiplies in the group of the symmetries of a pentagon.
func dihedral(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return 5 + (a+b)%5
	case b < 5:
		return 5 + (a-b+10)%5
	}
	return (a - b + 10) % 5
}

// permuted applies Verhoeff's permutation n times.
func permuted(d, n int) int {
	for range n {
		d = int("1576283094"[d] - '0')
	}
	return d
}

// cpf is Brazil's number of a natural person, cnpj that of a company; both end
// in two check digits modulo 11. Numbers of one digit repeated pass, and are
// not given out.
func cpf(s string) bool {
	first := weighed(s, 10, 9, 8, 7, 6, 5, 4, 3, 2) * 10 % 11 % 10
	second := weighed(s, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2) * 10 % 11 % 10
	return digit(s, 9) == first && digit(s, 10) == second && strings.Trim(s, s[:1]) != ""
}

func cnpj(s string) bool {
	check := func(r int) int { return (11 - max(r, 1)) % 11 % 10 }
	first := weighed(s, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2) % 11
	second := weighed(s, 6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2) % 11
	return digit(s, 12) == check(first) && digit(s, 13) == check(second) && strings.Trim(s, s[:1]) != ""
}

// pesel is Poland's personal number: a date and a check digit.
func pesel(s string) bool {
	month := (digit(s, 2)*10 + digit(s, 3)) % 20
	return (10-weighed(s, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)%10)%10 == digit(s, 10) && month >= 1 && month <= 12
}

// nir is France's social security number: 97 less the remainder of the rest.
func nir(s string) bool {
	s = strings.NewReplacer("2A", "19", "2B", "18").Replace(s)
	key := digit(s, 13)*10 + digit(s, 14)
	rest := 0
	for i := range 13 {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		rest = (rest*10 + digit(s, i)) % 97
	}
	return 97-rest == key && (s[0] == '1' || s[0] == '2')
}

// dni is the letter of Spain's DNI and NIE.
func dni(s string) bool {
	n := 0
	for i := range 8 {
		c := s[i]
		if i == 0 && c >= 'X' && c <= 'Z' {
			c -= 'X' - '0'
		}
		n = n*10 + int(c-'0')
	}
	return "TRWAGMYFPDXBNJZSQVHLCKE"[n%23] == s[8]
}

// codiceFiscale is the last letter of Italy's tax code (Decreto 23 December
// 1976).
func codiceFiscale(s string) bool {
	odd := [...]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i := range 15 {
		n := int(s[i] - '0')
		if s[i] >= 'A' {
			n = int(s[i] - 'A')
		}
		if i%2 == 0 {
			n = odd[n]
		}
		sum += n
	}
	return byte('A'+sum%26) == s[15]
}

// steuerID is Germany's tax number, ISO/IEC 7064 modulo 11,10; of its first ten
// digits one occurs two or three times.
func steuerID(s string) bool {
	var seen [10]int
	product := 10
	for i := range 10 {
		seen[digit(s, i)]++
		sum := (digit(s, i) + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	repeated := 0
	for _, n := range seen {
		if n > 3 {
			return false
		}
		if n > 1 {
			repeated++
		}
	}
	return (11-product)%10 == digit(s, 10) && s[0] != '0' && repeated == 1
}

// bsn is the Netherlands' test of eleven.
func bsn(s string) bool {
	return weighed(s, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0 && strings.Trim(s, "0") != ""
}

// personnummer is Sweden's: a date and Luhn over the last ten digits.
func personnummer(s string) bool {
	s = s[len(s)-10:]
	day := digit(s, 4)*10 + digit(s, 5)
	month := digit(s, 2)*10 + digit(s, 3)
	if day > 60 { // a coordination number
		day -= 60
	}
	return month >= 1 && month <= 12 && day >= 1 && day <= 31 && luhn(s)
}

// hetu is Finland's identity code: the remainder modulo 31 as a letter. Its sign of
// the century is a letter or nothing here.
func hetu(s string) bool {
	last := len(s) - 1
	n := 0
	for _, c := range s[:6] + s[last-3:last] {
		n = n*10 + int(c-'0')
	}
	return "0123456789ABCDEFHJKLMNPRSTUVWXY"[n%31] == s[last]
}

// tfn is Australia's tax file number.
func tfn(s string) bool { return weighed(s, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0 && s != "000000000" }

// fodselsnummer is Norway's number, with two check digits modulo 11.
func fodselsnummer(s string) bool {
	return weighed(s, 3, 7, 6, 1, 8, 9, 4, 5, 2, 1)%11 == 0 &&
		weighed(s, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0 && strings.Trim(s, "0") != ""
}

// nif is Portugal's tax number, modulo 11.
func nif(s string) bool {
	c := 11 - weighed(s, 9, 8, 7, 6, 5, 4, 3, 2)%11
	if c > 9 {
		c = 0
	}
	return c == digit(s, 8) && strings.Contains("123568", s[:1])
}

// ahv is Switzerland's social security number, an EAN-13.
func ahv(s string) bool {
	return (10-weighed(s, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3)%10)%10 == digit(s, 12)
}

// tckn is Turkey's identity number.
func tckn(s string) bool {
	ten := (weighed(s, 7, -1, 7, -1, 7, -1, 7, -1, 7)%10 + 10) % 10
	return s[0] != '0' && ten == digit(s, 9) && weighed(s, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)%10 == digit(s, 10)
}

// rijksregister is Belgium's number: 97 less the remainder of nine digits, which
// a 2 is put before for who was born from 2000 on.
func rijksregister(s string) bool {
	key := digit(s, 9)*10 + digit(s, 10)
	month := digit(s, 2)*10 + digit(s, 3)
	return month <= 12 && (97-mod97(s[:9]) == key || 97-mod97("2"+s[:9]) == key)
}

// nric is Singapore's identity number.
func nric(s string) bool {
	sum := 0
	for i, w := range []int{2, 7, 6, 5, 4, 3, 2} {
		sum += w * digit(s, i+1)
	}
	switch s[0] {
	case 'T':
		return "JZIHGFEDCBA"[(sum+4)%11] == s[8]
	case 'S':
		return "JZIHGFEDCBA"[sum%11] == s[8]
	case 'G':
		return "XWUTRQPNMLK"[(sum+4)%11] == s[8]
	}
	return s[0] == 'F' && "XWUTRQPNMLK"[sum%11] == s[8]
}
