// Package breakout tries to break out of a box on this host, and says with
// evidence what held.
//
// A [Trial] runs the probes of [Table] in boxes that are started as every run's
// box is: as the box's user, as root in the box, and on a twin whose wall lacks
// the protection that is meant to stop the attempt. An [Oracle] on the host
// decides what was reached; what an attack says of itself decides nothing. A
// probe whose twin stops it too proves nothing, and the trial says so.
package breakout

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"proofbox"
	"proofbox/internal/box"
)

// Trial is a trial of one wall.
type Trial struct {
	Boxes Boxes
	Wall  proofbox.Wall
	// Accelerator is how the wall runs a processor of its own, as
	// [proofbox.Terms.Accelerator] has it.
	Accelerator string
	// Dir is the trial's own folder on the host.
	Dir string
	// Program is the path of cmd/proofbox-attack, statically linked.
	Program string
	Probes  []Probe
	// Uses tries ordinary work as well.
	Uses bool
	// Base is taken from every box of the trial. A trial of the suite itself
	// sets it: a wall without a protection must be found out.
	Base box.Weakness
	// Progress hears what goes on; it is called by one goroutine at a time.
	Progress func(string)

	uses []proofbox.UseResult // set while Run runs

	mu      sync.Mutex
	results []proofbox.ProbeResult // of Probes, guarded by mu
	done    int                    // sittings, guarded by mu
	boxes   int                    // that were started, guarded by mu
	boxTime time.Duration          // for starting and ending them, guarded by mu
}

// sittingsAtOnce is how many boxes of a trial run at the same time.
const sittingsAtOnce = 2

// Run carries the trial out. An error means that there was no trial; whatever
// goes wrong with a single probe is in its result.
func (t *Trial) Run(ctx context.Context) (proofbox.Trial, error) {
	began := time.Now().UTC()
	t.begin()
	sittings := t.plan()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sittingsAtOnce)
	if t.Uses {
		group.Go(func() (err error) {
			t.uses, err = t.use(ctx)
			return err
		})
	}
	for _, s := range sittings {
		group.Go(func() error {
			t.say(s, len(sittings))
			return t.sit(ctx, s)
		})
	}
	if err := group.Wait(); err != nil {
		return proofbox.Trial{}, err
	}
	return t.report(began), nil
}

// begin makes the empty results.
func (t *Trial) begin() {
	t.results = make([]proofbox.ProbeResult, len(t.Probes))
	for i, p := range t.Probes {
		t.results[i] = proofbox.ProbeResult{ID: p.ID, Title: p.Title, Attempts: []proofbox.Attempt{}}
	}
}

// report judges every probe.
func (t *Trial) report(began time.Time) proofbox.Trial {
	report := proofbox.Trial{
		Wall: t.Wall, Accelerator: t.Accelerator, Began: began, Ended: time.Now().UTC(), Probes: t.results,
		Uses: t.uses, Boxes: t.boxes, BoxTime: proofbox.Duration(t.boxTime), Tally: map[proofbox.Verdict]int{},
		Made: map[string]int{},
	}
	for i := range report.Probes {
		slices.SortStableFunc(report.Probes[i].Attempts, func(a, b proofbox.Attempt) int {
			return slices.Index(everyone, a.As) - slices.Index(everyone, b.As)
		})
		for _, a := range report.Probes[i].Attempts {
			if a.Fault == "" && a.Absent == "" {
				report.Made[a.As]++
			}
		}
		judge(t.notFor(t.Probes[i]), &report.Probes[i])
		report.Tally[report.Probes[i].Verdict]++
	}
	report.Holds = report.Tally[proofbox.Escaped]+report.Tally[proofbox.Unproven] == 0
	for _, u := range report.Uses {
		report.Holds = report.Holds && (u.Works || u.LeftOut != "")
	}
	return report
}

func (t *Trial) say(s *sitting, all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	if t.Progress != nil {
		t.Progress(fmt.Sprintf("box %d of %d: %d attempts %s", t.done, all, len(s.probes), s.text()))
	}
}

// spent adds to what boxes have cost.
func (t *Trial) spent(boxes int, began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.boxes += boxes
	t.boxTime += time.Since(began)
}

// record adds what became of one attempt.
func (t *Trial) record(probe int, a proofbox.Attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.results[probe].Attempts = append(t.results[probe].Attempts, a)
}
