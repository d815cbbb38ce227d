package policy_test

import (
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/policy"
)

func TestParseDestination(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"pypi.org":              "pypi.org:443",
		"PyPI.Org.:8443":        "pypi.org:8443",
		"bücher.example":        "xn--bcher-kva.example:443",
		"BÜCHER。example":        "xn--bcher-kva.example:443",
		"*.example.com:80":      "*.example.com:80",
		"*.xn--bcher-kva.co.uk": "*.xn--bcher-kva.co.uk:443",
		"xn--bcher-kva.example": "xn--bcher-kva.example:443",
		"a.b.c.d.e.example":     "a.b.c.d.e.example:443",
	} {
		got, err := policy.ParseDestination(text)
		if err != nil || got.String() != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "*", "*.", "*.com", "*.co.uk", "*.github.io", "**.example.com", "a.*.com", "*.*.example.com", ".example.com",
		"localhost", "metadata", "example..com", "example.com..", "exa mple.com", "example.com\x00.evil.com", "example.com\r\n", "user@example.com",
		"https://example.com", "example.com/x", "example.com:", "example.com:0", "example.com:65536", "example.com:+1", "example.com:080", "example.com:1:2",
		"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "0x7f.1", "::1", "[::1]:443", "::ffff:127.0.0.1", "①②⑦.⓪.⓪.①", "１２７.0.0.1",
		"example.com:443@evil.com", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 130) + "com", "xn--\xff.com", "-a.com", "a_b.com", "exam\u00adple.0x1",
	} {
		if got, err := policy.ParseDestination(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	var rules []proofbox.Destination
	for _, text := range []string{"example.com", "*.wild.example.com:8443"} {
		d, err := policy.ParseDestination(text)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, d)
	}
	for _, c := range []struct {
		host string
		port int
		want bool
	}{
		{"example.com", 443, true},
		{"example.com", 80, false},
		{"www.example.com", 443, false},
		{"example.com.evil.com", 443, false},
		{"notexample.com", 443, false},
		{"evilexample.com", 443, false},
		{"a.wild.example.com", 8443, true},
		{"wild.example.com", 8443, false},
		{"a.b.wild.example.com", 8443, false},
		{"awild.example.com", 8443, false},
		{"a.wild.example.com", 443, false},
	} {
		if _, got := policy.Allowed(rules, c.host, c.port); got != c.want {
			t.Errorf("%s:%d is allowed: %t", c.host, c.port, got)
		}
	}
	if _, any := policy.Allowed(nil, "example.com", 443); any {
		t.Error("an empty list allows something")
	}
}

// FuzzName: whatever has a spelling has one spelling, and it is no address.
func FuzzName(f *testing.F) {
	for _, s := range []string{"example.com", "BÜCHER.example.", "127.1", "a\x00b.c", "xn--a.com", "①.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := policy.Name(text)
		if err != nil {
			return
		}
		if again, err := policy.Name(name); err != nil || again != name {
			t.Errorf("%q is %q, and that is %q, %v", text, name, again, err)
		}
		for i := range len(name) {
			c := name[i]
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
				t.Errorf("%q is %q, with %q in it", text, name, c)
			}
		}
	})
}
