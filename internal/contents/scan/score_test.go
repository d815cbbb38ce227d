package scan

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// labelled is one text of presidio-research's synth_dataset_v2.
type labelled struct {
	Text     string `json:"full_text"`
	Template int    `json:"template_id"`
	Spans    []struct {
		Type  string `json:"entity_type"`
		Start int    `json:"start_position"` // characters
		End   int    `json:"end_position"`
	} `json:"spans"`
}

// scoredKinds are the labels that this package looks for, and its name of them.
var scoredKinds = map[string]string{
	"CREDIT_CARD": "card", "IBAN_CODE": "iban", "US_SSN": "us-ssn", "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip",
	"PHONE_NUMBER": "phone", "US_DRIVER_LICENSE": "driver-licence",
}

// tally counts spans. A span is found if a finding and it overlap in three
// quarters of both together, whatever the finding's kind.
type tally struct{ right, missed, wrong int }

func (s tally) precision() float64 { return float64(s.right) / float64(max(1, s.right+s.wrong)) }
func (s tally) recall() float64    { return float64(s.right) / float64(max(1, s.right+s.missed)) }
func (s tally) f2() float64 {
	p, r := s.precision(), s.recall()
	return 5 * p * r / max(1e-9, 4*p+r)
}

// TestScore prints how many of the labelled spans of synth_dataset_v2, the file
// that PROOFBOX_SYNTH_V2 names, are found: those of templates with an even
// number, which may be looked at while writing rules, and those of the others.
func TestScore(t *testing.T) {
	path := os.Getenv("PROOFBOX_SYNTH_V2")
	if path == "" {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "synth_v2") {
			t.Fatal("synth_v2 is required; PROOFBOX_SYNTH_V2 must name the file")
		}
		t.Skip("PROOFBOX_SYNTH_V2 does not name presidio-research's synth_dataset_v2.json")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var texts []labelled
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	for _, half := range []string{"seen", "unseen"} {
		scores := map[string]*tally{}
		for _, text := range texts {
			if (text.Template%2 == 0) == (half == "seen") {
				score(t, scores, text)
			}
		}
		for _, label := range slices.Sorted(func(yield func(string) bool) {
			for l := range scores {
				if !yield(l) {
					return
				}
			}
		}) {
			s := *scores[label]
			t.Logf("%-7s %-20s right %4d missed %4d wrong %4d  P %.3f R %.3f F2 %.3f", half, label, s.right, s.missed, s.wrong, s.precision(), s.recall(), s.f2())
		}
	}
}

func score(t *testing.T, scores map[string]*tally, text labelled) {
	runes := []rune(text.Text)
	count := func(label string) *tally {
		if scores[label] == nil {
			scores[label] = &tally{}
		}
		return scores[label]
	}
	hits, _ := named(identify("", text.Text), "", text.Text, ownNames)
	used := make([]bool, len(hits))
	for _, s := range text.Spans {
		start, end := len(string(runes[:s.Start])), len(string(runes[:s.End]))
		found := slices.IndexFunc(hits, func(h hit) bool {
			return 4*(min(h.end, end)-max(h.start, start)) >= 3*(max(h.end, end)-min(h.start, start))
		})
		kind, ours := scoredKinds[s.Type]
		if found >= 0 {
			used[found] = true
			count(" all").right++
		} else {
			count(" all").missed++
		}
		switch {
		case ours && found >= 0 && hits[found].kind == kind:
			count(s.Type).right++
			count(" structured").right++
		case ours:
			count(s.Type).missed++
			count(" structured").missed++
			if testing.Verbose() {
				t.Logf("missed %s %q in %q", s.Type, text.Text[start:end], text.Text[max(0, start-30):start])
			}
			if found >= 0 {
				count(" structured").wrong++
			}
		}
	}
	for i, h := range hits {
		if !used[i] {
			count(" all").wrong++
			if h.attribute {
				continue
			}
			count(" structured").wrong++
			if testing.Verbose() {
				t.Logf("wrong %s %q in %q", h.kind, text.Text[h.start:h.end], text.Text[max(0, h.start-30):h.start])
			}
		}
	}
}
