package names

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "learn the weights anew")

// sample is a text with the spans that are in it.
type sample struct {
	text     string
	spans    []Span
	template int
}

// labels are the kinds of synth_dataset_v2; what the scanner finds by its digits
// is none.
var labels = map[string]string{
	"PERSON": "person", "GPE": "place", "ORGANIZATION": "organisation", "STREET_ADDRESS": "address", "ZIP_CODE": "address",
	"DATE_TIME": "date", "AGE": "age", "TITLE": "title", "NRP": "nationality", "DOMAIN_NAME": "url",
}

// readSamples reads presidio-research's file; offsets in it are of characters.
func readSamples(t testing.TB) []sample {
	path := os.Getenv("PROOFBOX_SYNTH_V2")
	if path == "" {
		if slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "synth_v2") {
			t.Fatal("synth_v2 is required; PROOFBOX_SYNTH_V2 must name the file")
		}
		t.Skip("PROOFBOX_SYNTH_V2 does not name synth_dataset_v2.json of presidio-research")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Text     string `json:"full_text"`
		Template int    `json:"template_id"`
		Spans    []struct {
			Type  string `json:"entity_type"`
			Start int    `json:"start_position"`
			End   int    `json:"end_position"`
		} `json:"spans"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	var samples []sample
	for _, l := range list {
		s := sample{text: l.Text, template: l.Template}
		runes := []rune(l.Text)
		for _, span := range l.Spans {
			if kind := labels[span.Type]; kind != "" {
				s.spans = append(s.spans, Span{len(string(runes[:span.Start])), len(string(runes[:span.End])), kind})
			}
		}
		slices.SortFunc(s.spans, func(a, b Span) int { return a.Start - b.Start })
		samples = append(samples, s)
	}
	return samples
}

// gold gives the tags of a sample's tokens.
func gold(s sample, tokens []token) []int {
	tags := make([]int, len(tokens))
	for i, t := range tokens {
		for _, span := range s.spans {
			if t.start < span.Start || t.start >= span.End {
				continue
			}
			kind := slices.Index(Kinds, span.Kind)
			tags[i] = 1 + 2*kind
			if i > 0 && tokens[i-1].start >= span.Start {
				tags[i]++
			}
		}
	}
	return tags
}

// voices is how many perceptrons are averaged, each of which meets the texts in another order and with other words
// without their lists.
const voices = 8

// learn averages perceptrons: where chance decided for one, the others outvote it.
func learn(samples []sample, rounds int, seed uint64) *perceptron {
	sums := make([][]float64, voices)
	var all sync.WaitGroup
	for v := range sums {
		all.Go(func() { sums[v] = voice(samples, rounds, seed+uint64(v)) })
	}
	all.Wait()
	sum, top := make([]float64, rows*tags), 0.0
	for i := range sum {
		for _, one := range sums {
			sum[i] += one[i] / voices
		}
		top = max(top, math.Abs(sum[i]))
	}
	m := &perceptron{weights: make([]int8, len(sum))}
	scale := min(127/top, 16)
	for i, s := range sum {
		m.weights[i] = int8(math.Round(max(-127, min(127, s*scale))))
	}
	return m
}

// voice trains an averaged perceptron. A part of the words loses its lists, so
// that what stands around a name is learned, too.
func voice(samples []sample, rounds int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	w, sum, last := make([]float32, rows*tags), make([]float64, rows*tags), make([]int32, rows*tags)
	now := int32(0)
	change := func(at int, by float32) {
		sum[at] += float64(now-last[at]) * float64(w[at])
		last[at] = now
		w[at] += by
	}
	scores := make([]float32, tags)
	order := r.Perm(len(samples))
	var buf []uint32
	for range rounds {
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, n := range order {
			tokens := tokenize(samples[n].text)
			want := gold(samples[n], tokens)
			for i := range tokens {
				if tokens[i].lists != 0 && tokens[i].lists&common == 0 && r.IntN(4) == 0 {
					tokens[i].lists = 0
				}
			}
			for i := range tokens { // words of one template must not decide alone
				if tokens[i].shape != "a" && r.IntN(4) == 0 || r.IntN(12) == 0 {
					tokens[i].vocabulary = ""
				}
			}
			c := contextOf(tokens)
			result := make([]int, len(tokens))
			for i := range tokens {
				now++
				buf = c.features(buf[:0], i, result)
				clear(scores)
				for _, f := range buf {
					for t := range tags {
						scores[t] += w[int(f)*tags+t]
					}
				}
				got := 0
				for t := range tags {
					if scores[t] > scores[got] && possible(t, before(result, i)) {
						got = t
					}
				}
				if got != want[i] {
					for _, f := range buf {
						change(int(f)*tags+want[i], 1)
						change(int(f)*tags+got, -1)
					}
				}
				result[i] = want[i]
				if r.IntN(3) == 0 && possible(got, before(result, i)) {
					result[i] = got // as it will be when nobody knows better
				}
			}
		}
	}
	for i := range w {
		change(i, 0)
		sum[i] /= float64(now)
	}
	return sum
}

// found runs a model.
func (m *perceptron) find(text string) []Span {
	tokens := tokenize(text)
	return plausible(text, join(tokens, m.tag(tokens)))
}

// measure counts spans that are found, whatever their kind, with three quarters of
// both together.
func measure(m *perceptron, samples []sample) (right, wrong, missed int, by map[string][2]int) {
	by = map[string][2]int{}
	for _, s := range samples {
		got := m.find(s.text)
		used := make([]bool, len(got))
		for _, span := range s.spans {
			hit := 0
			for i, g := range got {
				inter, union := min(span.End, g.End)-max(span.Start, g.Start), max(span.End, g.End)-min(span.Start, g.Start)
				if inter*4 >= union*3 && !used[i] {
					used[i], hit = true, 1
					break
				}
			}
			right += hit
			missed += 1 - hit
			by[span.Kind] = [2]int{by[span.Kind][0] + hit, by[span.Kind][1] + 1}
		}
		for _, u := range used {
			if !u {
				wrong++
			}
		}
	}
	return right, wrong, missed, by
}

func f2(right, wrong, missed int) (p, r, f float64) {
	p, r = float64(right)/float64(max(1, right+wrong)), float64(right)/float64(max(1, right+missed))
	return p, r, 5 * p * r / (4*p + r)
}

// TestLearn learns the weights from the texts with even templates and from templates
// of our own, with -update, and reports on the others.
func TestLearn(t *testing.T) {
	all := readSamples(t)
	var seen, unseen []sample
	for _, s := range all {
		if s.template%2 == 0 {
			seen = append(seen, s)
		} else {
			unseen = append(unseen, s)
		}
	}
	m := model
	if *update {
		own := ownSamples(t, 4000)
		crossValidate(t, own, seen)
		train := append(slices.Clone(own), seen...)
		learned := learn(train, 6, 7)
		m = func() *perceptron { return learned }
		save(t, learned)
	}
	right, wrong, missed, by := measure(m(), unseen)
	p, r, f := f2(right, wrong, missed)
	t.Logf("unseen: precision %.3f, recall %.3f, F2 %.3f", p, r, f)
	for _, k := range Kinds {
		if n := by[k]; n[1] > 0 {
			t.Logf("  %-13s %d of %d (%.3f)", k, n[0], n[1], float64(n[0])/float64(n[1]))
		}
	}
}

// save writes the weights where the program takes them from.
func save(t *testing.T, m *perceptron) {
	data := make([]byte, len(m.weights))
	for i, w := range m.weights {
		data[i] = byte(w)
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("weights.gz", b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// crossValidate measures on thirds of the seen templates that were not learned from.
func crossValidate(t *testing.T, own, seen []sample) {
	var right, wrong, missed int
	by := map[string][2]int{}
	for fold := range 3 {
		train, held := slices.Clone(own), []sample(nil)
		for _, s := range seen {
			if s.template/2%3 == fold {
				held = append(held, s)
			} else {
				train = append(train, s)
			}
		}
		m := learn(train, 6, 7)
		a, b, c, d := measure(m, held)
		right, wrong, missed = right+a, wrong+b, missed+c
		for k, n := range d {
			by[k] = [2]int{by[k][0] + n[0], by[k][1] + n[1]}
		}
	}
	p, r, f := f2(right, wrong, missed)
	t.Logf("held out: precision %.3f, recall %.3f, F2 %.3f", p, r, f)
	for _, k := range Kinds {
		t.Logf("  %-13s %d of %d", k, by[k][0], by[k][1])
	}
}

// ownSamples fills the templates of testdata/templates.txt.
func ownSamples(t testing.TB, n int) []sample {
	data, err := os.ReadFile(filepath.Join("testdata", "templates.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	f := newFiller()
	var list []sample
	for i := range n {
		list = append(list, f.fill(strings.ReplaceAll(lines[i%len(lines)], `\n`, "\n")))
	}
	return list
}
