package scan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"proofbox"
	"proofbox/internal/contents/tag"
	"proofbox/internal/contents/tree"
)

// Bounds of what a sentinel holds and gives at once.
const (
	maxSightings = 200      // of one look
	maxLine      = 64 << 10 // bytes of a record that has not ended yet
	maxRemember  = 1 << 20  // values that were seen before
	maxWritten   = 8 << 20  // bytes of a file that a box has written
)

// Sighting is a record in which something may be somebody's, or, without a
// finding, the end of what was looked at.
type Sighting struct {
	Road string
	// Clean counts the records before it, since the last one.
	Clean   int64
	Finding *proofbox.Finding
}

// Sentinel looks at records while they reach a box, by whatever road. A value
// that was seen before is not reported again.
type Sentinel struct {
	// Written is the folder of what the box writes; empty where that is not
	// looked at.
	Written string

	c       *collector
	roads   map[int64]*road   // by their streams
	before  map[[16]byte]bool // values, by their digest
	files   map[string]fileState
	looking struct { // at a piece of a road
		name     string
		at       int64 // the last record that was counted, of the file
		counted  int64
		untagged map[proofbox.Place]bool
	}
	sightings []Sighting
	unwatched []Missed
}

// Missed is something that was not looked at.
type Missed struct{ Name, Why string }

// road is a stream of records.
type road struct {
	record int64
	rest   []byte // of a record that has not ended
}

// fileState tells a file that was looked at from one that was written since.
type fileState struct {
	inode         uint64
	size          int64
	change, write syscall.Timespec
}

// NewSentinel makes a sentinel over what a box writes to a folder. What has the tag of
// the key, which may be nil, is nobody's.
func NewSentinel(written string, key *tag.Key) (*Sentinel, error) {
	secrets, err := newSecrets()
	if err != nil {
		return nil, err
	}
	s := &Sentinel{Written: written, roads: map[int64]*road{}, before: map[[16]byte]bool{}, files: map[string]fileState{}}
	s.c = &collector{secrets: secrets, kinds: map[string]*proofbox.KindCount{}, sentinel: s, key: key}
	return s, nil
}

// Take looks at the next bytes of one of a road's streams, line by line. At its
// end, the last line need not be whole.
func (s *Sentinel) Take(name string, stream int64, data []byte, end bool) []Sighting {
	r := s.roads[stream]
	if r == nil {
		r = &road{}
		s.roads[stream] = r
	}
	first := r.record
	s.begin(name, first)
	r.rest = append(r.rest, data...)
	for {
		i := bytes.IndexByte(r.rest, '\n')
		switch {
		case i < 0 && len(r.rest) >= maxLine:
			i = len(r.rest)
		case i < 0 && end && len(r.rest) > 0:
			i = len(r.rest)
		case i < 0:
			s.end(r.record - first)
			if end {
				delete(s.roads, stream)
			}
			return s.give()
		}
		r.record++
		s.line(r.record, string(r.rest[:i]))
		r.rest = r.rest[min(i+1, len(r.rest)):]
	}
}

// line looks at one record of a road: as a document, if it is one, else as text.
func (s *Sentinel) line(record int64, text string) {
	if document(text) {
		d := documentReader{c: s.c, in: textStream(text), record: record}
		if d.value("", 0) == nil {
			return
		}
	}
	s.c.take(value{record: record, text: text})
}

// Look looks at the files that the box has written since the last look.
func (s *Sentinel) Look(ctx context.Context) ([]Sighting, error) {
	if s.Written == "" {
		return nil, nil
	}
	err := tree.Walk(ctx, s.Written, func(e tree.Entry) error {
		if e.Problem == "" && holdsData(e.Name) && len(s.sightings) < maxSightings {
			s.file(e)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it moved while it was looked at; the next look finds it
	}
	return s.give(), err
}

// dataNames are the ends of names by which data is exchanged, and
// foreignFolders are full of other people's programs, with their addresses.
var (
	dataNames      = []string{".csv", ".tsv", ".psv", ".json", ".jsonl", ".ndjson", ".geojson", ".xml", ".sql", ".txt", ".log", ".eml", ".vcf", ".ldif", ".db", ".sqlite", ".sqlite3", ".parquet", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".pdf"}
	foreignFolders = []string{"node_modules", "site-packages", "dist-packages", "vendor", ".git"}
)

func holdsData(name string) bool {
	return slices.Contains(dataNames, strings.ToLower(path.Ext(name))) &&
		!slices.ContainsFunc(strings.Split(path.Dir(name), "/"), func(dir string) bool { return slices.Contains(foreignFolders, dir) })
}

// file looks at a file that the box has written, if it is another than at the
// last look. One that cannot be read now is looked at the next time.
func (s *Sentinel) file(e tree.Entry) {
	info, err := e.Stat()
	if err != nil {
		return
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	now := fileState{st.Ino, st.Size, st.Ctim, st.Mtim}
	if s.files[e.Name] == now {
		return
	}
	if st.Size > maxWritten {
		s.miss(e.Name, fmt.Sprintf("it has more than %d MiB", maxWritten>>20))
		s.files[e.Name] = now
		return
	}
	before := s.c.result.Records
	problems := len(s.c.result.Problems)
	s.begin(e.Name, 0)
	s.c.file(e)
	s.end(s.c.result.Records - before)
	if len(s.c.result.Problems) == problems {
		s.files[e.Name] = now
	} else if p := s.c.result.Problems[problems]; !strings.Contains(p.Reason, "while it was read") {
		s.files[e.Name] = now
		s.miss(e.Name, p.Reason)
	}
	s.c.result.Problems, s.c.result.Sealed = nil, nil
}

// maxMissed bounds the roads that are named as not looked at.
const maxMissed = 20

// miss notes what was not looked at.
func (s *Sentinel) miss(name, why string) {
	if len(s.unwatched) < maxMissed {
		s.unwatched = append(s.unwatched, Missed{name, why})
	}
}

// Missed gives what was not looked at since it was asked last.
func (s *Sentinel) Missed() []Missed {
	missed := s.unwatched
	s.unwatched = nil
	return missed
}

// begin says what is looked at from now on, and how many of its records were
// counted before.
func (s *Sentinel) begin(name string, at int64) {
	s.c.place = proofbox.Place{File: proofbox.Raw(name)}
	s.looking.name, s.looking.at, s.looking.counted = name, at, 0
	s.looking.untagged = map[proofbox.Place]bool{}
}

// end counts the records that nothing was found in.
func (s *Sentinel) end(records int64) {
	s.c.secrets.flush(s.c)
	if clean := records - s.looking.counted; clean > 0 {
		s.sightings = append(s.sightings, Sighting{Road: s.looking.name, Clean: clean})
	}
}

func (s *Sentinel) give() []Sighting {
	list := s.sightings
	s.sightings = nil
	return list
}

// notice takes a finding. Of a record the first one counts.
func (s *Sentinel) notice(v value, h hit) {
	if h.attribute || h.synthetic != "" || len(s.sightings) >= maxSightings {
		return
	}
	// A document can bring many records as one: elements of lists, lines of texts.
	record := proofbox.Place{
		File: s.c.place.File, Record: v.record, Field: v.field[:strings.LastIndexByte(v.field, ']')+1],
		Offset: int64(strings.Count(v.text[:h.start], "\n")),
	}
	sum := sha256.Sum256([]byte(h.kind + " " + strings.ToLower(compact(v.text[h.start:h.end]))))
	key := [16]byte(sum[:16])
	if s.before[key] || s.looking.untagged[record] {
		return
	}
	if len(s.before) < maxRemember {
		s.before[key] = true
	}
	s.looking.untagged[record] = true
	clean := max(0, v.record-s.looking.at-1)
	s.looking.at = max(s.looking.at, v.record)
	s.looking.counted += clean + 1
	found := s.c.finding(v, h)
	found.File = proofbox.Raw(s.looking.name)
	s.sightings = append(s.sightings, Sighting{Road: s.looking.name, Clean: clean, Finding: &found})
}
