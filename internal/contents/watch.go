package contents

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"proofbox"
)

// WatchOrder tells cmd/proofbox-contents to look at records as they come in:
// one [Look] after the other on its input, one [Looked] for each on its output.
const WatchOrder = "watch"

// Look asks to look at the next bytes of a road or, without a road, at what the
// box has written since.
type Look struct {
	Road string `json:"road,omitempty"`
	// Stream tells the streams of a road apart.
	Stream int64  `json:"stream,omitempty"`
	Data   []byte `json:"data,omitempty"`
	End    bool   `json:"end,omitempty"` // of the road
}

// Looked is the answer.
type Looked struct {
	Sightings []Sighting `json:"sightings"`
	Missed    []Missed   `json:"missed,omitempty"`
}

// Missed is something that was not looked at.
type Missed struct{ Name, Why string }

// Sighting is a record in which something may be somebody's, after a number of
// records without; or, without a finding, those alone.
type Sighting struct {
	Road    string
	Clean   int64
	Finding *proofbox.Finding
}

// maxLook bounds the bytes of a road that are looked at at once.
const maxLook = 32 << 10

// maxRoads bounds the roads that are counted one by one, and maxListed the
// findings that are kept of all of them.
const (
	maxRoads  = 1000
	maxListed = 20
)

// maxUnwatched bounds what is named as not looked at: the names are a box's, which
// can think of many.
const maxUnwatched = 100

// Watching is what a watch is about.
type Watching struct {
	Class proofbox.Class // synthetic or masked
	// Written is the folder of what the box writes, or nil, and Name gives what
	// the box calls a path in it.
	Written *os.File
	Name    func(string) string
	// Alarm is called once, and may not call the watch.
	Alarm func(*proofbox.Refusal)
}

// Watch looks at records on their way into a box whose data is synthetic or
// masked, and raises one alarm if they are not.
type Watch struct {
	Watching
	complaint *head
	cmd       *exec.Cmd
	stop      context.CancelFunc

	mu      sync.Mutex // one look at a time
	ask     *json.Encoder
	asked   io.Closer
	answers *json.Decoder
	test    sequential
	streams int64
	roads   map[string]*proofbox.Road
	later   proofbox.Later
	refused *proofbox.Refusal // the alarm
	closed  bool
}

// Watch starts to watch.
func (p Program) Watch(about Watching) (*Watch, error) {
	ctx, stop := context.WithCancel(context.Background())
	w := &Watch{Watching: about, complaint: &head{most: maxComplaint}, stop: stop, roads: map[string]*proofbox.Road{}}
	w.later = proofbox.Later{Class: about.Class, Roads: []proofbox.Road{}, Findings: []proofbox.Finding{}, Unwatched: []string{}}
	w.cmd = p.command(ctx, "192MiB", WatchOrder)
	w.cmd.Stderr = w.complaint
	if about.Written != nil {
		w.cmd.ExtraFiles = []*os.File{about.Written}
		w.cmd.Args = append(w.cmd.Args, "/proc/self/fd/3/.")
	}
	in, err := w.cmd.StdinPipe()
	if err != nil {
		stop()
		return nil, fmt.Errorf("starting %q: %w", p.Path, err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		stop()
		return nil, fmt.Errorf("starting %q: %w", p.Path, err)
	}
	w.cmd.WaitDelay = 5 * time.Second
	if err := w.cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("starting what looks at data: %w (run `make build`)", err)
	}
	if _, err := io.WriteString(in, p.keyLine()); err != nil {
		w.stop()
		return nil, fmt.Errorf("starting %q: %w", p.Path, err)
	}
	w.ask, w.asked, w.answers = json.NewEncoder(in), in, json.NewDecoder(out)
	return w, nil
}

// Reader gives what it reads of a road once that was looked at. Where the alarm
// was raised, nothing more comes through, the piece that raised it included. A
// nil watch looks at nothing.
func (w *Watch) Reader(road string, r io.Reader) io.Reader {
	if w == nil || r == nil {
		return r
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams++
	return &watched{w: w, road: road, stream: w.streams, r: r}
}

type watched struct {
	w      *Watch
	road   string
	stream int64
	r      io.Reader
}

func (r *watched) Read(p []byte) (int, error) {
	n, err := r.r.Read(p[:min(len(p), maxLook)])
	if n == 0 && err == nil {
		return 0, nil
	}
	if refused := r.w.look(Look{Road: r.road, Stream: r.stream, Data: p[:n], End: err != nil}); refused != nil {
		return 0, refused
	}
	return n, err
}

// Written looks at what the box has written since it was asked last.
func (w *Watch) Written() {
	_ = w.look(Look{}) // an alarm has its own way
}

// Miss notes a road that is not looked at.
func (w *Watch) Miss(road string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.miss(road)
}

// miss notes something once. The caller holds mu.
func (w *Watch) miss(road string) {
	switch n := len(w.later.Unwatched); {
	case n > maxUnwatched || slices.Contains(w.later.Unwatched, road):
		return
	case n == maxUnwatched:
		road = "more than that, of which not all is named"
	}
	w.later.Unwatched = append(w.later.Unwatched, road)
}

// look has something looked at and takes the answer into account. An error is
// the alarm. That nothing can be looked at any more is one, too: the program
// may have been brought down by what it has met.
func (w *Watch) look(l Look) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused != nil {
		return w.refused
	}
	if w.closed {
		return nil
	}
	var answer Looked
	err := w.ask.Encode(l)
	if err == nil {
		err = w.answers.Decode(&answer)
	}
	if err != nil {
		w.raise(refuse("contents-are-watched", "look into what reached the box; the record says by which roads it came",
			"what looks at the records that reach the box broke off: %v %s", err, w.complaint.String()))
		return w.refused
	}
	for _, m := range answer.Missed {
		w.miss(w.named(l, m.Name) + ": " + m.Why)
	}
	for _, s := range answer.Sightings {
		s.Road = w.named(l, s.Road)
		if w.count(s); w.refused != nil {
			return w.refused
		}
	}
	return nil
}

// named gives the name of a road in an answer.
func (w *Watch) named(l Look, road string) string {
	if l.Road == "" {
		return "written to " + w.Name(road)
	}
	return l.Road
}

// count takes records into account.
func (w *Watch) count(s Sighting) {
	road := w.roads[s.Road]
	if road == nil {
		road = &proofbox.Road{Name: s.Road}
		if len(w.roads) < maxRoads {
			w.roads[s.Road] = road
		}
	}
	n := max(0, s.Clean)
	if s.Finding != nil {
		n++
		road.Untagged++
		w.later.Untagged++
		if len(w.later.Findings) < maxListed {
			s.Finding.File = proofbox.Raw(s.Road)
			w.later.Findings = append(w.later.Findings, *s.Finding)
		}
	}
	road.Records += n
	w.later.Records += n
	if w.test.add(max(0, s.Clean), s.Finding != nil) {
		w.later.Stopped = true
		f := s.Finding
		w.raise(refuse(rules[w.later.Class], "find out who brought it; declare it, sealed, with --data PATH=CLASS, if the box may have it",
			"the box may have %s data only, and %d of %d records on their way into it since it started have what may be somebody's, the last one %s: it looks like %s (%s)",
			w.later.Class, w.later.Untagged, w.later.Records, where(s.Road, proofbox.Place{Record: f.Record, Field: f.Field, Offset: f.Offset}), f.Kind, f.Shape))
	}
}

// rules are those that records break by what is in them.
var rules = map[proofbox.Class]string{proofbox.Synthetic: "synthetic-is-nobodys", proofbox.Masked: "masked-is-tagged"}

func (w *Watch) raise(r *proofbox.Refusal) {
	w.refused = r
	w.Alarm(r)
}

// Close looks a last time at what the box has written, ends the watch and gives
// its account. It can be closed again.
func (w *Watch) Close() (*proofbox.Later, error) {
	w.Written()
	w.mu.Lock()
	defer w.mu.Unlock()
	later := w.later
	if w.closed {
		return &later, nil
	}
	w.closed = true
	for _, r := range w.roads {
		later.Roads = append(later.Roads, *r)
	}
	slices.SortFunc(later.Roads, func(a, b proofbox.Road) int { return cmp.Compare(a.Name, b.Name) })
	w.later = later
	_ = w.asked.Close()
	err := w.cmd.Wait()
	w.stop()
	if err != nil && w.refused != nil && strings.HasPrefix(w.refused.Rule, "contents-are-") {
		err = nil // the alarm says so
	}
	if err != nil {
		return &later, errors.Join(errors.New("ending what looks at records"), err)
	}
	return &later, nil
}
