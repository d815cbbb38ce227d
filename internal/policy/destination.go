package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"proofbox"
)

// DefaultPort is the port of a destination that names none: HTTPS.
const DefaultPort = 443

// ParseDestination reads HOST[:PORT], as the command line and the box file
// spell where a box may connect to. HOST is a name, or "*." before a name that
// somebody has registered: one label more, whatever it is.
func ParseDestination(text string) (proofbox.Destination, error) {
	host, digits, named := strings.Cut(text, ":")
	d := proofbox.Destination{Port: DefaultPort}
	if named {
		port, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || port == 0 || digits[0] == '+' || digits[0] == '0' {
			return d, fmt.Errorf("%q has no port from 1 to 65535 after its colon", text)
		}
		d.Port = int(port)
	}
	rest, wild := strings.CutPrefix(host, "*.")
	name, err := Name(rest)
	if err != nil {
		return d, err
	}
	d.Host = name
	if wild {
		if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
			return d, fmt.Errorf("%q would allow names that anybody can register", text)
		}
		d.Host = "*." + name
	}
	return d, nil
}

// Name gives the one spelling of a DNS name: lower case, without a trailing
// dot, each label in the form that DNS carries; see RFC 5891. What is no name
// of at least two labels is an error, and so is an address in whatever
// notation: one that a resolver would read as an address without asking
// anybody has its last label beginning with a digit.
func Name(text string) (string, error) {
	name, err := idna.Lookup.ToASCII(strings.TrimSuffix(text, "."))
	if err != nil {
		return "", fmt.Errorf("%q is not a name: %w", text, err)
	}
	// What was no text to begin with can have a form that is not its own.
	if again, err := idna.Lookup.ToASCII(name); err != nil || again != name {
		return "", fmt.Errorf("%q is not a name", text)
	}
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return "", fmt.Errorf("%q is an address; only names can be allowed", text)
	}
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	switch {
	case len(name) > 253:
		return "", errors.New("a name of more than 253 characters is none")
	case slices.Contains(labels, "") || slices.ContainsFunc(labels, func(l string) bool { return len(l) > 63 }):
		return "", fmt.Errorf("%q is not a name: its labels have 1 to 63 characters", text)
	case last[0] >= '0' && last[0] <= '9':
		return "", fmt.Errorf("%q is an address; only names can be allowed", text)
	case len(labels) < 2:
		return "", fmt.Errorf("%q is not a full name, with a dot in it", text)
	}
	return name, nil
}

// Allowed says which rule allows a connection to a name, which is in the form
// that [Name] gives.
func Allowed(rules []proofbox.Destination, name string, port int) (proofbox.Destination, bool) {
	_, parent, _ := strings.Cut(name, ".")
	for _, r := range rules {
		if r.Port == port && (r.Host == name || r.Host == "*."+parent) {
			return r, true
		}
	}
	return proofbox.Destination{}, false
}
