package scan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"
)

// TestDialling: every country's numbers, and what is near them, are valid here if and only if libphonenumber says so.
func TestDialling(t *testing.T) {
	t.Parallel()
	d := newDialling()
	r := rand.New(rand.NewPCG(1, 2))
	asked, yes, unsure := 0, 0, 0
	hold := func(digits string) {
		want := valid("+"+digits, "US")
		if got := d.valid(digits); got != want {
			t.Errorf("+%s: %v, want %v", digits, got, want)
		}
		asked++
		if want {
			yes++
		}
	}
	for code := range phonenumbers.GetSupportedCallingCodes() {
		for range 40 {
			var digits strings.Builder
			digits.WriteString(fmt.Sprint(code))
			for range 2 + r.IntN(12) {
				digits.WriteString(fmt.Sprint(r.IntN(10)))
			}
			hold(digits.String())
		}
		if d.country(code).unsure {
			unsure++
		}
	}
	for region := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			n := phonenumbers.GetExampleNumberForType(region, kind)
			if n == nil {
				continue
			}
			digits := phonenumbers.Format(n, phonenumbers.E164)[1:]
			for range 4 {
				hold(digits)
				at := r.IntN(len(digits))
				digits = digits[:at] + fmt.Sprint(r.IntN(10)) + digits[at+1:]
			}
		}
	}
	if unsure > 0 || yes < asked/20 {
		t.Errorf("of %d numbers %d are valid, and %d countries have no automata", asked, yes, unsure)
	}
	for _, digits := range []string{"", "1", "0", "00", "999", "9991234567", "0049301234567", "80012345678"} {
		hold(digits)
	}
}

// TestDialled: a telephone number is where phoneShape finds it, wherever in a text it is looked for.
func TestDialled(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom([]string{
		"0", "00", "1", "2345", "67890", "123456789", "(", ")", " ", ".", "-", "/", "+", "x", "ext", "ext.", "_", "a", "é", "\n", ",", "+49 30 901820",
	})
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(pieces, 0, 24).Draw(t, "text"), "")
		var got [][]int
		for at := 0; ; {
			start, end := dialled(text, at)
			if start < 0 {
				break
			}
			got, at = append(got, []int{start, end}), end
		}
		want := phoneShape.FindAllStringIndex(text, -1)
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
		found += len(want)
	})
	if found < 20 {
		t.Errorf("only %d numbers were tried", found)
	}
}
