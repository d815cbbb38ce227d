package names

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// found are the spans of a text, as text.
func found(field, text string) []string {
	list := []string{}
	for _, s := range Find(field, text) {
		list = append(list, fmt.Sprintf("%s: %s", s.Kind, text[s.Start:s.End]))
	}
	return list
}

// TestFind: what people write, in words that no template has.
func TestFind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field, text string
		want        []string
	}{
		{"", "Yesterday Sofia Andersson rang to complain.", []string{"person: Sofia Andersson"}},
		{"", "Mr. Whitfield is on holiday until Tuesday.", []string{"title: Mr.", "person: Whitfield", "date: Tuesday"}},
		{"", "She moved from Rotterdam to Portugal.", []string{"place: Rotterdam", "place: Portugal"}},
		{"customer.name", "Miguel Ortega", []string{"person: Miguel Ortega"}},
		{"", "the parcel was too heavy for the shelf", []string{}},
		{"", "", []string{}},
		{"", "  … \n", []string{}},
	} {
		if diff := cmp.Diff(c.want, found(c.field, c.text)); diff != "" {
			t.Errorf("%q %q (-want +got):\n%s", c.field, c.text, diff)
		}
	}
}

// TestParts: an address in the forms of several countries.
func TestParts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"12 Baker Street":                           {},
		"12 Baker Street, Flat 3, London":           {"address: 12 Baker Street", "address: Flat 3", "place: London"},
		"Lindenweg 7\n60311 Frankfurt":              {"address: Lindenweg 7", "address: 60311", "place: Frankfurt"},
		"9 Elm Road Apt. 12\nDublin\nIreland 12345": {"address: 9 Elm Road", "address: Apt. 12", "place: Dublin", "place: Ireland", "address: 12345"},
		",\n ,": {},
	} {
		got := []string{}
		for _, s := range Parts(text, Span{0, len(text), "address"}) {
			got = append(got, s.Kind+": "+text[s.Start:s.End])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// TestLong: a text of many pieces costs no more than its pieces, and names are
// found in all of them.
func TestLong(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("Yesterday Sofia Andersson rang to complain.\n", 5*maxTokens/8)
	n := 0
	for _, s := range Find("", text) {
		if text[s.Start:s.End] == "Sofia Andersson" {
			n++
		}
	}
	if lines := strings.Count(text, "\n"); n < lines-5 {
		t.Errorf("%d of %d are found", n, lines)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("field[0].name", "O'Neill’s 12 rue de l'Été, \n:: http://x.y/\xff\xf0\x9f")
	f.Add("", "'s İstanbul ẞ A. B. https://")
	f.Fuzz(func(t *testing.T, field, text string) {
		last := 0
		for _, s := range Find(field, text) {
			if s.Start < last || s.End <= s.Start || s.End > len(text) {
				t.Fatalf("a span from %d to %d of %d bytes, after %d", s.Start, s.End, len(text), last)
			}
			if utf8.ValidString(text) && !utf8.ValidString(text[s.Start:s.End]) {
				t.Errorf("%q is cut out of a letter", text[s.Start:s.End])
			}
			for _, p := range Parts(text, s) {
				if p.Start < s.Start || p.End > s.End || p.Start >= p.End {
					t.Errorf("a part from %d to %d of %d to %d", p.Start, p.End, s.Start, s.End)
				}
			}
			last = s.End
		}
	})
}

func BenchmarkFind(b *testing.B) {
	text := strings.Repeat("Yesterday Sofia Andersson rang to complain about her order, which had not come. ", 10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Find("", text)
	}
}
