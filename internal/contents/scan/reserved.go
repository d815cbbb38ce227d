package scan

import (
	"net/netip"
	"strings"
)

// What follows says of a value why nobody can have it, by the name of what
// reserves it; empty where somebody may. A value is in here only if a standard
// or its issuer says so: a value that is merely famous may be somebody's.

// reservedName is RFC 2606 and RFC 6761.
func reservedName(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	labels := strings.Split(host, ".")
	switch labels[len(labels)-1] {
	case "test", "example", "invalid", "localhost":
		return "RFC 6761"
	}
	if len(labels) >= 2 && labels[len(labels)-2] == "example" {
		switch labels[len(labels)-1] {
		case "com", "net", "org":
			return "RFC 2606"
		}
	}
	return ""
}

func reservedMail(address string) string {
	return reservedName(address[strings.LastIndexByte(address, '@')+1:])
}

var reservedNets = []struct {
	prefix netip.Prefix
	by     string
}{
	{netip.MustParsePrefix("192.0.2.0/24"), "RFC 5737"},
	{netip.MustParsePrefix("198.51.100.0/24"), "RFC 5737"},
	{netip.MustParsePrefix("203.0.113.0/24"), "RFC 5737"},
	{netip.MustParsePrefix("240.0.0.0/4"), "RFC 1112"},
	{netip.MustParsePrefix("2001:db8::/32"), "RFC 3849"},
	{netip.MustParsePrefix("3fff::/20"), "RFC 9637"},
}

// reservedAddress is an address for documentation, or one that means no one
// host: those of loopback, private networks and links identify nobody.
func reservedAddress(text string) string {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return ""
	}
	for _, n := range reservedNets {
		if n.prefix.Contains(a.Unmap()) {
			return n.by
		}
	}
	switch a = a.Unmap(); {
	case a.IsLoopback():
		return "loopback"
	case a.IsPrivate():
		return "private network"
	case a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "no host's address"
	}
	return ""
}

// reservedMAC is RFC 7042, section 2.1.2.
func reservedMAC(compact string) string {
	if c := strings.ToUpper(compact); strings.HasPrefix(c, "00005E0053") || c == "000000000000" || c == "FFFFFFFFFFFF" {
		return "RFC 7042"
	}
	return ""
}

// testCards are numbers that the schemes and their processors publish for
// testing.
var testCards = map[string]bool{
	"4111111111111111": true, "4242424242424242": true, "4012888888881881": true, "4000056655665556": true,
	"5555555555554444": true, "5105105105105100": true, "5200828282828210": true, "2223003122003222": true,
	"378282246310005": true, "371449635398431": true, "6011111111111117": true, "6011000990139424": true,
	"3056930009020004": true, "36227206271667": true, "3566002020360505": true, "6200000000000005": true,
}

// reservedCard is a published test number, or one whose first digit is that of
// no card scheme (ISO/IEC 7812-1: 0, and 9 for national use).
func reservedCard(number string) string {
	switch {
	case testCards[number]:
		return "published test card"
	case number[0] == '0' || number[0] == '9':
		return "ISO/IEC 7812: no scheme's digit"
	}
	return ""
}

func reservedIBAN(compact string) string {
	if userAssigned(compact[:2]) {
		return "ISO 3166: no country's code"
	}
	return ""
}

// reservedSSN is an area or a group that the Social Security Administration
// does not give out. Of the areas above 900, ITIN and ATIN use the groups
// from 50 on.
func reservedSSN(s string) string {
	area, group, serial := s[:3], s[3:5], s[5:]
	switch {
	case area == "000", area == "666", group == "00", serial == "0000":
		return "SSA: never issued"
	case area[0] == '9' && group < "50":
		return "SSA: never issued"
	}
	return ""
}

// reservedNHS is the range that the NHS keeps for tests.
func reservedNHS(s string) string {
	if strings.HasPrefix(s, "999") {
		return "NHS: test range"
	}
	return ""
}

// ukDrama are the beginnings of the numbers that Ofcom keeps for drama, without
// the 0 in front; three digits follow.
var ukDrama = []string{
	"1134960", "1144960", "1154960", "1164960", "1174960", "1184960", "1214960", "1314960", "1414960", "1514960",
	"1614960", "2079460", "1914980", "2896496", "2920180", "1632960", "7700900", "8081570", "9098790", "3069990",
}

// filmed are the beginnings of the numbers that the Bundesnetzagentur (Mitteilung
// 148/2021) and ARCEP (décision 2018-0881, plan national de numérotation) keep for
// films, without the 0 in front, by the country's code.
var filmed = []struct {
	code, by string
	digits   int // of the whole number
	begin    []string
}{
	{"49", "Bundesnetzagentur: films", 10, []string{"3023125", "6990009", "4066969", "2214710", "8999998"}},
	{"33", "ARCEP: films", 9, []string{"19900", "26191", "35301", "46571", "53649", "63998"}},
	{"44", "Ofcom: drama", 10, ukDrama},
}

// reservedPhone is North America's 555-0100 to 555-0199 and the numbers that
// other countries keep for drama. The number has its digits alone, with its
// country's code where plus is set.
func reservedPhone(digits string, plus bool) string {
	national := digits
	if strings.HasPrefix(national, "1") && len(national) == 11 {
		national = national[1:]
	}
	if len(national) == 10 && national[3:8] == "55501" {
		return "NANPA: fictional use"
	}
	if len(digits) == 7 && strings.HasPrefix(digits, "55501") {
		return "NANPA: fictional use"
	}
	for _, f := range filmed {
		before := "0" // what stands before the national number
		if plus {
			before = f.code
		}
		national, ok := strings.CutPrefix(digits, before)
		if !ok {
			continue
		}
		national = strings.TrimPrefix(national, "0")
		for _, begin := range f.begin {
			if len(national) == f.digits && strings.HasPrefix(national, begin) {
				return f.by
			}
		}
	}
	return ""
}
