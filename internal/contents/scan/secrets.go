package scan

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
)

// secretBlock is how many bytes of values are searched for secrets at once.
const secretBlock = 32 << 10

// secrets gathers values into blocks in which gitleaks looks for secrets: its
// rules want to see the name that a value is given, and lines.
type secrets struct {
	filter  *prefilter // nil where a rule cannot be filtered for
	block   []byte
	values  []blockValue
	matches matches
}

// blockValue is where in the block a value begins.
type blockValue struct {
	start int
	value value
}

// gitleaks is made once, and only where some line may have a secret: it compiles two hundred rules, which takes as long
// as scanning ten megabytes. The rules are linked in, and [leakRules] has read them before.
var gitleaks = sync.OnceValue(func() *detect.Detector {
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		panic("scan: gitleaks does not read its own rules: " + err.Error())
	}
	d.IgnoreGitleaksAllow = true // a comment in hostile data must not hide it
	return d
})

// leakRule is what a rule of gitleaks says of where it may find something.
type leakRule struct {
	ID, Regex string
	Keywords  []string
}

// leakRules reads gitleaks' rules without what finds by them, which takes a fiftieth of making that. TestLeakRules
// holds them against gitleaks.
func leakRules() ([]leakRule, error) {
	var file struct{ Rules []leakRule }
	if err := toml.Unmarshal([]byte(config.DefaultConfig), &file); err != nil {
		return nil, fmt.Errorf("reading gitleaks' rules: %w", err)
	}
	return file.Rules, nil
}

// leaks is made once.
var leaks = sync.OnceValues(func() (*prefilter, error) {
	rules, err := leakRules()
	if err != nil {
		return nil, err
	}
	return newPrefilter(rules), nil
})

func newSecrets() (*secrets, error) {
	filter, err := leaks()
	if err != nil {
		return nil, err
	}
	return &secrets{filter: filter}, nil
}

func (s *secrets) take(c *collector, v *value) {
	if len(s.block)+len(v.text) > secretBlock {
		next := s.full(c)
		if next == nil {
			next = v
		}
		if c.spans != nil {
			c.spans.settle(next.place.of(0))
		}
	}
	name := v.field[strings.LastIndexByte(v.field, '.')+1:]
	if name != "" {
		s.block = append(append(s.block, name...), ` = "`...)
	}
	s.values = append(s.values, blockValue{len(s.block), *v})
	s.block = append(s.block, v.text...)
	if name != "" {
		s.block = append(s.block, '"')
	}
	s.block = append(s.block, '\n')
}

// full searches a block that is full, but for a private key at its end that goes on: of that it gives the first
// line, which the next block begins with.
func (s *secrets) full(c *collector) *value {
	first := s.open()
	if first <= 0 {
		s.flush(c)
		return nil
	}
	rest, kept := s.values[first:], s.values[first].start
	tail := bytes.Clone(s.block[kept:])
	s.block = s.block[:kept]
	values := slices.Clone(rest)
	s.values = s.values[:first]
	s.flush(c)
	s.block = append(s.block, tail...)
	for _, b := range values {
		s.values = append(s.values, blockValue{b.start - kept, b.value})
	}
	return &s.values[0].value
}

// open is the value of a block in which a private key begins that does not end; at most 0 where there is none. What has
// filled a block already is none.
func (s *secrets) open() int {
	if !bytes.Contains(s.block, []byte("-----BEGIN ")) {
		return -1
	}
	begin := bytes.LastIndex(s.block, []byte("-----BEGIN "))
	if bytes.Contains(s.block[begin:], []byte("-----END ")) {
		return -1
	}
	n, exact := slices.BinarySearchFunc(s.values, begin, func(b blockValue, at int) int { return cmp.Compare(b.start, at) })
	if !exact {
		n--
	}
	if n < 0 || s.values[n].value.field != "" {
		return -1
	}
	return n
}

// flush searches what was gathered. Of a secret that occurs several times each
// place is reported.
func (s *secrets) flush(c *collector) {
	lines := s.block
	if s.filter != nil {
		lines = s.filter.lines(s.block, &s.matches)
	}
	if len(lines) > 0 {
		for _, h := range s.search(string(s.block), string(lines)) {
			s.report(c, h)
		}
	}
	s.block, s.values = s.block[:0], s.values[:0]
}

// search looks for secrets in some lines of a text, and gives their places in it.
func (s *secrets) search(text, lines string) []hit {
	type found struct{ rule, secret string }
	seen := map[found]bool{}
	var hits []hit
	for _, f := range gitleaks().DetectString(lines) {
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
	return settle(hits)
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
