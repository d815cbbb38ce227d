package plant

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// recipe makes a value of a kind as people have it, a field that it is usual in, and
// words that go before it in a text. What it makes is in no reserved space.
type recipe struct {
	kind, field, before string
	value               func(*rand.Rand) string
}

var recipes = []recipe{
	{"email", "email", "write to ", mail},
	{"email", "reply_to", "cc ", mail},
	{"phone", "phone", "call ", abroad},
	{"phone", "mobile", "my phone number is ", american},
	{"card", "card_number", "I paid with card ", card},
	{"iban", "iban", "the money goes to ", account},
	{"us-ssn", "ssn", "SSN ", social},
	{"ip", "client", "logged in from ", address},
	{"mac", "device", "the device ", hardware},
	{"es-dni", "dni", "DNI ", spanish},
	{"secret", "aws_access_key_id", "aws_access_key_id = ", cloudKey},
}

func pick(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }

// fill replaces 9 by any digit and 8 by one from 2 to 9.
func fill(r *rand.Rand, pattern string) string {
	return strings.Map(func(c rune) rune {
		switch c {
		case '9':
			return rune('0' + r.IntN(10))
		case '8':
			return rune('2' + r.IntN(8))
		}
		return c
	}, pattern)
}

func mail(r *rand.Rand) string {
	name := pick(r, "maria", "john", "li", "fatima", "pavel", "ines", "oluwaseun") + pick(r, ".", "_", "", "-") + pick(r, "novak", "smith", "rossi", "dubois", "keller", "okafor")
	return name + fill(r, "99") + "@" + pick(r, "gmail.com", "yahoo.co.uk", "gmx.de", "orange.fr", "proton.me", "uni-"+pick(r, "koeln", "bonn")+".de")
}

func american(r *rand.Rand) string {
	area := pick(r, "212", "415", "713", "312", "206", "305")
	middle := pick(r, "736", "221", "489", "867", "340")
	return pick(r, "("+area+") "+middle+"-", area+"-"+middle+"-", "+1 "+area+" "+middle+" ") + fill(r, "9999")
}

func abroad(r *rand.Rand) string {
	return pick(r, "+49 30 9018"+fill(r, "9999"), "+44 20 7219 "+fill(r, "9999"), "+33 1 42 76 "+fill(r, "99 99"), "+34 91 5"+fill(r, "99 99 99"), "+39 06 6982"+fill(r, "9999"))
}

// card ends in the digit that makes the sum by Luhn a multiple of ten; it is
// found by trying, so that nothing is shared with what checks it.
func card(r *rand.Rand) string {
	body := pick(r, "4", "51", "55", "2221", "37")
	length := 16
	if body == "37" {
		length = 15
	}
	for len(body) < length-1 {
		body += fill(r, "9")
	}
	doubled := "0246813579" // the digits' doubles, with their digits added
	for last := '0'; ; last++ {
		n, sum := body+string(last), 0
		for i := range n {
			d := int(n[len(n)-1-i] - '0')
			if i%2 == 1 {
				d = int(doubled[d] - '0')
			}
			sum += d
		}
		if sum%10 == 0 {
			if length == 16 {
				return pick(r, n, n[:4]+" "+n[4:8]+" "+n[8:12]+" "+n[12:], n[:4]+"-"+n[4:8]+"-"+n[8:12]+"-"+n[12:])
			}
			return n
		}
	}
}

// countries have numbers of accounts of digits alone; number is what stands for the
// country's letters where the check digits are worked out (ISO 13616).
var countries = []struct {
	name, number string
	digits       int
}{{"DE", "1314", 18}, {"ES", "1428", 20}, {"PT", "2529", 21}, {"AT", "1029", 16}}

// account is an IBAN of a country whose accounts have digits only.
func account(r *rand.Rand) string {
	c := countries[r.IntN(len(countries))]
	digits := fill(r, strings.Repeat("9", c.digits))
	rest := 0
	for _, d := range digits + c.number + "00" {
		rest = (rest*10 + int(d-'0')) % 97
	}
	return fmt.Sprintf("%s%02d%s", c.name, 98-rest, digits)
}

func social(r *rand.Rand) string {
	return fmt.Sprintf("%03d-%02d-%04d", 1+r.IntN(660), 1+r.IntN(99), 1+r.IntN(9999))
}

func address(r *rand.Rand) string {
	return fmt.Sprintf("%s.%d.%d.%d", pick(r, "8", "23", "52", "81", "93", "104", "185"), r.IntN(256), r.IntN(256), 1+r.IntN(254))
}

func hardware(r *rand.Rand) string {
	return fmt.Sprintf("%s:%02x:%02x:%02x", pick(r, "3c:22:fb", "f4:5c:89", "b8:27:eb", "00:1a:2b"), r.IntN(256), r.IntN(256), r.IntN(256))
}

func spanish(r *rand.Rand) string {
	n := 10_000_000 + r.IntN(80_000_000)
	return fmt.Sprintf("%d%c", n, "TRWAGMYFPDXBNJZSQVHLCKE"[n%23])
}

func cloudKey(r *rand.Rand) string {
	key := []byte("AKIA")
	for range 16 {
		key = append(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[r.IntN(32)])
	}
	return string(key)
}
