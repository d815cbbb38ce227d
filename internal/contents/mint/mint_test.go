package mint

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"proofbox/internal/contents/scan"
	"proofbox/internal/contents/tag"
)

// examples are a value of each kind that a scan finds, with the word that it needs
// before it.
var examples = []struct{ kind, word, value string }{
	{"card", "card", "4111 1111 1111 1111"},
	{"card", "card", "5105-1051-0510-5100"},
	{"iban", "iban", "DE89 3704 0044 0532 0130 00"},
	{"iban", "iban", "GB29NWBK60161331926819"},
	{"us-ssn", "ssn", "123-45-6789"},
	{"us-ssn", "ssn", "123456789"},
	{"us-itin", "itin", "912-71-1234"},
	{"uk-nhs", "nhs", "943 476 5919"},
	{"mac", "mac", "a4:83:e7:01:02:03"},
	{"br-cpf", "cpf", "111.444.777-35"},
	{"br-cpf", "cpf", "11144477735"},
	{"br-cnpj", "cnpj", "11.222.333/0001-81"},
	{"pl-pesel", "pesel", "44051401458"},
	{"fr-nir", "nir", "2 55 08 14 168 025 38"},
	{"es-dni", "dni", "12345678Z"},
	{"es-dni", "nie", "X1234567L"},
	{"it-codice-fiscale", "cf", "RSSMRA85T10A562S"},
	{"de-steuer-id", "steuer", "86 095 742 719"},
	{"nl-bsn", "bsn", "123456782"},
	{"se-personnummer", "pnr", "811228-9874"},
	{"se-personnummer", "pnr", "19811228-9874"},
	{"fi-hetu", "hetu", "131052-308T"},
	{"fi-hetu", "hetu", "131052A308T"},
	{"be-rijksregister", "n", "93.05.18-223.61"},
	{"no-fodselsnummer", "fnr", "01010750160"},
	{"pt-nif", "nif", "123456789"},
	{"ch-ahv", "ahv", "756.9217.0769.85"},
	{"tr-tckn", "kimlik", "10000000146"},
	{"sg-nric", "nric", "S1234567D"},
	{"in-aadhaar", "aadhaar", "2341 2341 2346"},
	{"in-pan", "pan", "ABCPE1234F"},
	{"uk-nino", "nino", "AB 12 34 56 C"},
	{"ca-sin", "sin", "046 454 286"},
	{"au-tfn", "tfn", "123 456 782"},
	{"za-id", "south africa", "8001015009087"},
	{"passport", "passport", "AB1234567"},
	{"record-number", "mrn", "MRN-12345678"},
	{"account-number", "account no", "12345678"},
	{"driver-licence", "driver lic", "D1234567"},
	{"email", "mail", "Anna.Kowalska85@gmail.com"},
	{"ip", "ip", "8.8.8.8"},
	{"ip", "ip", "2a00:1450:4001::1"},
	{"phone", "phone", "+1 (212) 736-5000"},
	{"phone", "phone", "212-736-5000"},
	{"phone", "phone", "+49 30 901820"},
}

// TestScanned holds values of every kind against the scan, which shares nothing with
// what made them: their check digits are right, and they are provably nobody's.
func TestScanned(t *testing.T) {
	t.Parallel()
	key := tag.New([]byte("a secret of sixteen bytes"))
	m, source := New(key), rand.NewPCG(1, 2)
	const each = 25
	var text strings.Builder
	want := map[string]int64{}
	for _, e := range examples {
		for range each {
			v, err := m.Like(e.kind, e.value, source)
			if err != nil {
				t.Fatalf("%s: %v", e.kind, err)
			}
			fmt.Fprintf(&text, "%s: %s\n", e.word, v)
		}
		want[e.kind] += each
	}
	path := filepath.Join(t.TempDir(), "made.txt")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := scan.Path(t.Context(), path, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range found.Kinds {
		if k.Found != want[k.Kind] {
			t.Errorf("of %s %d were made and %d found", k.Kind, want[k.Kind], k.Found)
		}
		delete(want, k.Kind)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	for _, f := range found.Findings {
		if f.Synthetic == "" {
			t.Errorf("%s is not provably nobody's: %s", f.Kind, strings.Split(text.String(), "\n")[f.Record-1])
		}
	}
}

// TestLayout checks that a value keeps its layout, and depends on nothing but the key
// and the source.
func TestLayout(t *testing.T) {
	t.Parallel()
	m := New(tag.New([]byte("a secret of sixteen bytes")))
	letters := regexp.MustCompile(`[A-Z]`)
	shape := func(s string) string {
		s = letters.ReplaceAllString(s, "A")
		s = regexp.MustCompile(`[a-z]`).ReplaceAllString(s, "a")
		return regexp.MustCompile(`[0-9]`).ReplaceAllString(s, "9")
	}
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom(examples).Draw(t, "example")
		seed := rapid.Uint64().Draw(t, "seed")
		v, err := m.Like(e.kind, e.value, rand.NewPCG(seed, 0))
		if err != nil {
			t.Fatal(err)
		}
		again, _ := m.Like(e.kind, e.value, rand.NewPCG(seed, 0))
		if v != again {
			t.Fatalf("%s: %q, and then %q", e.kind, v, again)
		}
		switch e.kind {
		case "email", "ip": // those have names and numbers of any length
		case "iban", "sg-nric", "es-dni", "fi-hetu", "mac": // letters may be digits
			if len(v) != len(e.value) {
				t.Fatalf("%s: %q became %q", e.kind, e.value, v)
			}
		default:
			if shape(v) != shape(e.value) {
				t.Fatalf("%s: %q became %q", e.kind, e.value, v)
			}
		}
	})
}

func TestTooShort(t *testing.T) {
	t.Parallel()
	m := New(tag.New([]byte("a secret of sixteen bytes")))
	if v, err := m.Like("phone", "12345", rand.NewPCG(1, 2)); err == nil {
		t.Errorf("%q is no telephone number", v)
	}
	if v, err := m.Like("record-number", "--", rand.NewPCG(1, 2)); err == nil {
		t.Errorf("%q is no number", v)
	}
}

func BenchmarkTagged(b *testing.B) {
	m := New(tag.New([]byte("a secret of sixteen bytes")))
	s := rand.NewPCG(1, 2)
	for b.Loop() {
		if _, err := m.Like("account-number", "12345678", s); err != nil {
			b.Fatal(err)
		}
	}
}
