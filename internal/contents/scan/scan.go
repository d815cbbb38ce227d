// Package scan finds what identifies a person and what opens a door in a data
// set: identifiers by shape, check digits and words near by, and secrets by the
// rules of gitleaks. Of each finding it says where it is and whether it is
// provably nobody's, because a standard or its issuer reserves it or because it has
// our tag.
//
// A data set is read once, in a stream, with a bound on memory: what is hashed
// is what was looked at. It is taken for hostile. What cannot be read is a
// problem with a place, and never passed over.
package scan

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/zricethezav/gitleaks/v8/config"

	"proofbox"
	"proofbox/internal/contents/names"
	"proofbox/internal/contents/tag"
	"proofbox/internal/contents/tree"
)

// version changes whenever this package finds other things than before.
const version = 4

// What is not looked for: by those who look for identifiers alone, and by
// everybody.
var (
	nameless = []string{"names", "postal addresses", "organisations and places"}
	blind    = []string{"text in pictures", "text that is encoded (base64, percent)", "what was deleted within a page of a database, or in an earlier version of a PDF file"}
)

// Rules is the digest of the rules: of this package's version, its tables and
// gitleaks' configuration.
func Rules() string {
	h := sha256.New()
	fmt.Fprintf(h, "proofbox %d\n", version)
	for _, r := range slices.Concat(general, national) {
		fmt.Fprintf(h, "%s %s %q %t %g %g\n", r.kind, r.shape, r.context, r.needed, r.alone, r.near)
	}
	fmt.Fprintf(h, "%s %s %q\n%s", phoneShape, phoneLayout, phoneWords, config.DefaultConfig)
	return hex.EncodeToString(h.Sum(nil))
}

// Result is what a scan gives.
type Result struct {
	proofbox.Scan
	// Sealed are the files as they were read, by name.
	Sealed []proofbox.SealedFile
}

// Path scans a file, or a folder with all that is in it. A value with the tag of
// the key, which may be nil, is provably synthetic. The error is about the
// scan as a whole; what one file is about is a problem in the result.
func Path(ctx context.Context, path string, key *tag.Key) (*Result, error) {
	return look(ctx, path, key, nil)
}

// Names scans as [Path] does, and for names, places, addresses and the like, too,
// which takes much longer. Those are no identifiers, because what finds them
// errs.
func Names(ctx context.Context, path string, key *tag.Key) (*Result, error) {
	return look(ctx, path, key, ownNames)
}

// ownNames are found by package names.
var ownNames = &Namer{
	Version: names.Version(),
	Find:    func(field, text string) ([]names.Span, error) { return names.Find(field, text), nil },
}

// Namer finds names in texts. An error of Find ends the scan: one that has looked for
// names in a part of a set is worth nothing.
type Namer struct {
	Version string // what decides what it finds
	// Find finds them in a text; field is what the text is called, where it is a field of
	// a record.
	Find func(field, text string) ([]names.Span, error)
}

// NamesBy scans as [Names] does, with names that something else finds.
func NamesBy(ctx context.Context, path string, key *tag.Key, by *Namer) (*Result, error) {
	found, err := look(ctx, path, key, by)
	if err == nil {
		found.NamesBy = by.Version
	}
	return found, err
}

func look(ctx context.Context, path string, key *tag.Key, by *Namer) (*Result, error) {
	secrets, err := newSecrets()
	if err != nil {
		return nil, err
	}
	c := &collector{secrets: secrets, kinds: map[string]*proofbox.KindCount{}, namer: by, key: key}
	c.result.Path, c.result.Rules, c.result.Blind = path, Rules(), slices.Concat(nameless, blind)
	if by != nil {
		c.result.Rules, c.result.Blind = c.result.Rules+"+"+by.Version, blind
	}
	ctx, c.stop = context.WithCancel(ctx)
	defer c.stop()
	err = tree.Walk(ctx, path, c.file)
	if err = cmp.Or(c.nameless, err); err != nil {
		return nil, err
	}
	return c.finish(), nil
}

// collector puts the findings of a scan together.
type collector struct {
	result           Result
	kinds            map[string]*proofbox.KindCount
	fields           fields
	unproven, proven []proofbox.Finding
	secrets          *secrets
	place            proofbox.Place // of the file that is read; its record and field are of the last value
	nested           int            // depth of documents in strings
	namer            *Namer         // of names; nil where they are not looked for
	nameless         error          // why no more names are found
	stop             func()         // ends the scan after the file that is read
	spans            *spans         // take what is found, where it will be replaced
	key              *tag.Key       // by which values are known to be ours; nil for none
	each             func(*value)   // takes the values, where nothing is looked for in them
	sentinel         *Sentinel      // takes what is found, where records are looked at as they come in
}

func (c *collector) finish() *Result {
	for _, k := range c.kinds {
		c.result.Kinds = append(c.result.Kinds, *k)
	}
	slices.SortFunc(c.result.Kinds, func(a, b proofbox.KindCount) int { return cmp.Compare(a.Kind, b.Kind) })
	c.result.Fields = c.fields.counts()
	all := slices.Concat(c.unproven, c.proven)
	c.result.Findings = all[:min(len(all), proofbox.MaxFindings)]
	return &c.result
}

// value is the text of one field.
type value struct {
	record int64
	field  string
	text   string
	place  position
	// heading says that it names a column.
	heading bool
	// seen is how many bytes at the beginning were in the value before, of
	// which this one is the rest.
	seen int
}

// position says where in a file the bytes of a text are.
type position struct {
	base  int64
	jumps []jump    // where the file has more bytes than the text
	outer *position // of the text that this one is in
}

// jump is an escape: from this byte of the text on, the file is further.
type jump struct {
	text  int
	extra int64
}

func (p *position) of(i int) int64 {
	at := p.base + int64(i)
	if n, _ := slices.BinarySearchFunc(p.jumps, i+1, func(j jump, i int) int { return cmp.Compare(j.text, i) }); n > 0 {
		at += p.jumps[n-1].extra
	}
	if p.outer != nil {
		return p.outer.of(int(at))
	}
	return at
}

// nameConfidence is below that of any identifier, which therefore wins where
// both are found.
const nameConfidence = .5

// numberFields are words for what a number in a field can say of somebody.
var numberFields = []string{"age", "date", "birth", "dob", "zip", "post", "plz", "year"}

// named adds the names in a text to what else was found there. A field that is
// nothing but a number is none, unless it is called so.
func named(hits []hit, field, text string, by *Namer) ([]hit, error) {
	if field != "" && !strings.ContainsFunc(text, unicode.IsLetter) && !mentions(bytes.ToLower([]byte(field)), numberFields) {
		return hits, nil
	}
	found, err := by.Find(field, text)
	for _, s := range found {
		hits = append(hits, hit{start: s.Start, end: s.End, kind: s.Kind, confidence: nameConfidence, attribute: true})
	}
	hits = settle(hits)
	for _, h := range hits { // as they were before the parts
		if h.kind == "address" {
			hits = append(hits, parts(text, h)...)
		}
	}
	return hits, err
}

// parts are an address's town, street and so on. They are findings beside the
// whole one, because either may be what somebody looks for.
func parts(text string, address hit) []hit {
	var list []hit
	for _, s := range names.Parts(text, names.Span{Start: address.start, End: address.end}) {
		list = append(list, hit{start: s.Start, end: s.End, kind: s.Kind, confidence: nameConfidence, attribute: true})
	}
	return list
}

// maxNested bounds the depth of documents in strings of documents.
const maxNested = 4

// take looks at a value. A document in it is looked at field by field, too.
func (c *collector) take(v value) {
	c.result.Values++
	c.place.Record, c.place.Field = v.record, v.field
	if c.each != nil {
		kept := v // else every value would be on the heap
		c.each(&kept)
		return
	}
	if c.planned(v) {
		return
	}
	hits := identify(v.field, v.text)
	if c.namer != nil && c.nameless == nil {
		if hits, c.nameless = named(hits, v.field, v.text, c.namer); c.nameless != nil {
			c.stop()
		}
	}
	for _, h := range hits {
		if h.end > v.seen {
			c.report(v, h)
		}
	}
	c.secrets.take(c, &v)
	if c.nested < maxNested && v.field != "" && document(v.text) {
		c.nested++
		inner := v.place
		d := documentReader{c: c, in: textStream(v.text), record: v.record, outer: &inner}
		_ = d.value(v.field, 0) // what does not read as a document was looked at as text
		c.nested--
	}
}

// document says whether a text may be one: only objects and lists have fields.
func document(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) > 1 && (text[0] == '{' && text[len(text)-1] == '}' || text[0] == '[' && text[len(text)-1] == ']')
}

// report counts a finding and keeps it while there is room.
func (c *collector) report(v value, h hit) {
	if h.synthetic == "" && c.key.Tagged(h.kind, v.text[h.start:h.end]) {
		h.synthetic = tag.Name
	}
	if c.sentinel != nil {
		c.sentinel.notice(v, h)
		return
	}
	if c.spans != nil {
		c.spans.add(c.finding(v, h), v.place.of(h.end), v.text[h.start:h.end], h.planned)
	}
	k := c.kinds[h.kind]
	if k == nil {
		k = &proofbox.KindCount{Kind: h.kind}
		c.kinds[h.kind] = k
	}
	k.Found++
	if !c.fields.add(v.field, h.kind) {
		c.result.Elsewhere++
	}
	list := &c.unproven
	if h.synthetic != "" {
		k.Synthetic++
	}
	if h.synthetic != "" || h.attribute {
		list = &c.proven
	} else {
		c.result.Unproven++
	}
	if len(*list) >= proofbox.MaxFindings {
		return
	}
	*list = append(*list, c.finding(v, h))
}

func (c *collector) finding(v value, h hit) proofbox.Finding {
	place := c.place
	place.Record, place.Field, place.Offset = v.record, v.field, v.place.of(h.start)
	return proofbox.Finding{
		Place: place, Kind: h.kind, Identifier: !h.attribute, Confidence: h.confidence,
		Synthetic: h.synthetic, Shape: outline(v.text[h.start:h.end]),
	}
}

// problem names something that could not be read, at the place of the last
// value.
func (c *collector) problem(offset int64, format string, args ...any) {
	if len(c.result.Problems) >= proofbox.MaxFindings {
		return
	}
	place := c.place
	place.Offset = offset
	c.result.Problems = append(c.result.Problems, proofbox.DataProblem{Place: place, Reason: fmt.Sprintf(format, args...)})
}

// maxOutline bounds a shape, in characters.
const maxOutline = 40

// outline is a value with its digits as 9 and its letters as a.
func outline(s string) string {
	b := make([]byte, 0, maxOutline+len("…"))
	n := 0
	for _, c := range s {
		switch {
		case n == maxOutline:
			return string(append(b, "…"...))
		case c >= '0' && c <= '9':
			b = append(b, '9')
		case c < 0x80 && !letter(byte(c)) && c >= ' ':
			b = append(b, byte(c))
		default:
			b = append(b, 'a')
		}
		n++
	}
	return string(b)
}
