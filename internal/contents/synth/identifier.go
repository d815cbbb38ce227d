package synth

import (
	"fmt"
	"strconv"
	"strings"
)

// What follows makes identifiers that nobody has: their issuer, or a standard,
// reserves them. Where there is no such space the check digit is wrong, so that
// no issuer can have given the number out; a program that checks it refuses it.

// providers are the second halves of hosts for mail; RFC 6761 keeps .example.
var providers = []string{
	"bluepost", "mailbay", "inboxly", "quickmail", "homepost", "netbrief", "postfach", "courrier", "buzon", "letterbox",
	"webpost", "cloudmail", "citymail", "familymail", "paperplane", "northmail", "sunpost", "riverpost", "oakmail", "starmail",
}

// mail is an address that fits a name, and that no other number has.
func mail(d *draw, first, last string, number int64) string {
	f, l := ascii(first), ascii(last)
	local := pick(d, []string{f + "." + l, f + "." + l, f + l, f[:1] + "." + l, l + "." + f, f + "_" + l})
	hosts := int64(len(providers)) * 3
	if n := number / hosts; n > 0 {
		local += strconv.FormatInt(n, 10)
	}
	host := number % hosts
	return local + "@" + providers[host/3] + []string{".example", ".example.com", ".example.org"}[host%3]
}

// ascii writes a name as people write it in addresses.
func ascii(s string) string {
	s = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "è", "e", "ê", "e", "ë", "e", "à", "a", "â", "a", "á", "a", "ç", "c",
		"ï", "i", "î", "i", "í", "i", "ó", "o", "ô", "o", "ú", "u", "û", "u", "ù", "u", "ñ", "n", "É", "e", "Á", "a", "Í", "i", "Ó", "o", "Ú", "u",
		"Ö", "oe", "Ü", "ue", "Ä", "ae").Replace(s)
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c
		}
		return -1
	}, strings.ToLower(s))
}

// phone is a number for films and plays: of NANPA, Ofcom, the Bundesnetzagentur
// (Mitteilung 148/2021) or ARCEP, with the area of a town. Spain keeps none, so
// it is empty there.
func phone(d *draw, l *locale, area string) string {
	switch l.name {
	case "en-US":
		return pick(d, []string{"(" + area + ") ", "+1 " + area + " ", area + "-"}) + "555-01" + d.fill("##")
	case "en-GB":
		if d.chance(400) {
			return pick(d, []string{"0", "+44 "}) + "7700 900" + d.fill("###")
		}
		return pick(d, []string{"0", "+44 "}) + area + d.fill("###")
	case "de-DE":
		return pick(d, []string{"0", "+49 "}) + area + d.fill("###")
	case "fr-FR":
		if d.chance(400) {
			area = "6 39 98"
		}
		return pick(d, []string{"0", "+33 "}) + area + d.fill(" ## ##")
	}
	return ""
}

// account is an IBAN (ISO 13616) of no country: ISO 3166 leaves its code to
// users.
func account(d *draw, l *locale) string {
	rest := d.fill("##################")
	code := l.accounts
	check := 98 - remainder(rest+letters(code)+"00", 97)
	return fmt.Sprintf("%s%02d%s", code, check, rest)
}

// letters writes A as 10 and so on.
func letters(code string) string {
	return fmt.Sprintf("%d%d", int(code[0]-'A')+10, int(code[1]-'A')+10)
}

// remainder divides a number of any length.
func remainder(digits string, by int) int {
	r := 0
	for _, c := range digits {
		r = (r*10 + int(c-'0')) % by
	}
	return r
}

// card begins with 9, which is no card scheme's (ISO/IEC 7812-1), and passes
// Luhn's check.
func card(d *draw) string {
	n := "9" + d.fill("##############")
	sum := 0
	for i, c := range n {
		v := int(c - '0')
		if i%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	n += strconv.Itoa((10 - sum%10) % 10)
	return n[:4] + " " + n[4:8] + " " + n[8:12] + " " + n[12:]
}

// host is an address for documentation, RFC 5737 and RFC 3849.
func host(d *draw) string {
	if d.chance(150) {
		return fmt.Sprintf("2001:db8:%x:%x::%x", d.between(1, 0xffff), d.between(1, 0xffff), d.between(1, 0xffff))
	}
	return pick(d, []string{"192.0.2.", "198.51.100.", "203.0.113."}) + strconv.Itoa(d.between(1, 254))
}

// national is a number of the country's tax or social security office.
func national(d *draw, l *locale, born int) string {
	switch l.name {
	case "en-US": // areas from 900 on, groups up to 49: never issued
		return fmt.Sprintf("9%s-%02d-%04d", d.fill("##"), d.between(1, 49), d.between(1, 9999))
	case "en-GB": // QQ begins no National Insurance number
		return "QQ " + d.fill("## ## ##") + " " + pick(d, []string{"A", "B", "C", "D"})
	case "de-DE": // a tax number never begins with 0
		return "0" + d.fill("# ### ### ###")
	case "fr-FR": // the key at the end is 97 less a remainder; one more is wrong
		n := fmt.Sprintf("%d%02d%02d%s", d.between(1, 2), born%100, d.between(1, 12), d.fill("75######"))
		return fmt.Sprintf("%s %s %s %s %s %s %02d", n[:1], n[1:3], n[3:5], n[5:7], n[7:10], n[10:], (97-remainder(n, 97))%97+1)
	}
	n := d.fill("########") // the next letter is wrong
	return n + string("TRWAGMYFPDXBNJZSQVHLCKE"[(remainder(n, 23)+1)%23])
}
