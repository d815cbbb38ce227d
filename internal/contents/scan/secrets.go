package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zricethezav/gitleaks/v8/detect"
)

// secretBlock is how many bytes of values are searched for secrets at once.
const secretBlock = 32 << 10

// secrets gathers values into blocks in which gitleaks looks for secrets: its
// rules want to see the name that a value is given, and lines.
type secrets struct {
	detector *detect.Detector
	block    strings.Builder
	values   []blockValue
}

// blockValue is where in the block a value begins.
type blockValue struct {
	start int
	value value
}

// gitleaks is made once: it compiles two hundred rules.
var gitleaks = sync.OnceValues(func() (*detect.Detector, error) {
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		return nil, fmt.Errorf("reading gitleaks' rules: %w", err)
	}
	d.IgnoreGitleaksAllow = true // a comment in hostile data must not hide it
	return d, nil
})

func newSecrets() (*secrets, error) {
	d, err := gitleaks()
	return &secrets{detector: d}, err
}

func (s *secrets) take(c *collector, v value) {
	if s.block.Len()+len(v.text) > secretBlock {
		s.flush(c)
		if c.spans != nil {
			c.spans.settle(v.place.of(0))
		}
	}
	if name := v.field[strings.LastIndexByte(v.field, '.')+1:]; name != "" {
		s.block.WriteString(name + ` = "`)
		s.values = append(s.values, blockValue{s.block.Len(), v})
		s.block.WriteString(v.text + "\"\n")
		return
	}
	s.values = append(s.values, blockValue{s.block.Len(), v})
	s.block.WriteString(v.text + "\n")
}

// flush searches what was gathered. Of a secret that occurs several times each
// place is reported.
func (s *secrets) flush(c *collector) {
	text := s.block.String()
	type found struct{ rule, secret string }
	seen := map[found]bool{}
	var hits []hit
	for _, f := range s.detector.DetectString(text) {
		key := found{f.RuleID, f.Secret}
		if seen[key] || f.Secret == "" {
			continue
		}
		seen[key] = true
		for at := 0; ; {
			i := strings.Index(text[at:], f.Secret)
			if i < 0 {
				break
			}
			hits = append(hits, hit{start: at + i, end: at + i + len(f.Secret), kind: "secret:" + f.RuleID, confidence: .9})
			at += i + len(f.Secret)
		}
	}
	for _, h := range settle(hits) {
		s.report(c, h)
	}
	s.block.Reset()
	s.values = s.values[:0]
}

// report puts a hit in the block at its place in a value.
func (s *secrets) report(c *collector, h hit) {
	n, exact := slices.BinarySearchFunc(s.values, h.start, func(b blockValue, at int) int { return cmp.Compare(b.start, at) })
	if !exact {
		n--
	}
	if n < 0 {
		return // in the name of the first field, which is no value
	}
	b := s.values[n]
	if c.spans != nil && b.value.field == "" {
		s.lines(c, n, h)
	}
	h.start = min(h.start-b.start, len(b.value.text))
	h.end = min(h.end-b.start, len(b.value.text))
	if h.end > b.value.seen {
		c.report(b.value, h)
	}
}

// lines adds the rest of a secret that goes on over lines of a text, as a private key
// does, so that it is replaced as a whole.
func (s *secrets) lines(c *collector, first int, h hit) {
	for _, b := range s.values[first+1:] {
		if b.start >= h.end || b.value.field != "" {
			return
		}
		if end := min(h.end-b.start, len(b.value.text)); end > 0 {
			c.report(b.value, hit{start: 0, end: end, kind: h.kind, confidence: h.confidence})
		}
	}
}
