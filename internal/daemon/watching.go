package daemon

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/contents"
)

// watchEvery is how often what the box has written is looked at, and watchShare
// the part of the time that looking may take.
const (
	watchEvery = 200 * time.Millisecond
	watchShare = 10
)

// watch begins to look at the records that reach the box from now on, if its
// data is synthetic or masked.
func (s *session) watch(ctx context.Context) error {
	class := s.run.Plan.Spec.Risk.Data
	if class != proofbox.Synthetic && class != proofbox.Masked {
		return nil
	}
	guest := s.run.Wall == proofbox.MicroVM
	scratch := s.box.Scratch()
	if guest {
		scratch = nil
	}
	w, err := s.daemon.program.Watch(contents.Watching{Class: class, Written: scratch, Name: box.Written, Alarm: s.alarm})
	if err != nil {
		return err
	}
	if guest {
		w.Miss("what the box writes, in a machine of its own")
	}
	s.mu.Lock()
	s.looking = w
	s.mu.Unlock()
	go followWritten(ctx, w)
	return nil
}

func followWritten(ctx context.Context, w *contents.Watch) {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		w.Written()
		timer.Reset(max(watchEvery, watchShare*time.Since(began)))
	}
}

// incoming gives what it reads by a road once that was looked at, where somebody
// looks.
func (s *session) incoming(road string, r io.Reader) io.Reader {
	s.mu.Lock()
	w := s.looking
	s.mu.Unlock()
	if w == nil {
		return r
	}
	return w.Reader(road, r)
}

// alarm ends the run, because data in its box is not what it is declared to be.
// What counts is the first alarm, or what says more about the same.
func (s *session) alarm(r *proofbox.Refusal) {
	s.mu.Lock()
	first := s.refused == nil
	if first || strings.HasPrefix(r.Reason, s.refused.Reason) {
		s.refused = r
	}
	s.mu.Unlock()
	if first {
		s.stop(box.Cause{Ended: "refused by the rule " + r.Rule, ExitCode: proofbox.ExitRefused})
	}
}

// alarmed is the alarm that was raised, or nil.
func (s *session) alarmed() *proofbox.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// judged enters the alarm that was raised into the record.
func (s *session) judged(ctx context.Context) error {
	r := s.alarmed()
	if r == nil {
		return nil
	}
	s.run.Ended, s.run.ExitCode = "refused by the rule "+r.Rule, proofbox.ExitRefused
	s.run.Warnings = append(s.run.Warnings, r.Reason)
	return s.daemon.note(ctx, "refused", s.run.ID, r)
}

// lookBack takes into the record what the box could see, once all its processes
// have ended and before its copies go.
func (s *session) lookBack(ctx context.Context) error {
	for i, m := range s.mounts {
		seen := &s.run.Contents[i]
		seen.Opened, seen.Unwatched, seen.After = m.Close()
		if s.run.Wall == proofbox.MicroVM {
			seen.Opened, seen.Unwatched = []proofbox.Opened{}, "a microvm has a disk made of it; what it opens there is not known outside"
		}
	}
	var err error
	if s.looking != nil {
		for _, c := range s.run.Egress {
			if c.Method == "CONNECT" && c.Received > 0 {
				s.looking.Miss("answers of " + c.Host + ":" + strconv.Itoa(c.Port) + ", which are encrypted")
			}
		}
		s.run.Later, err = s.looking.Close()
		slices.Sort(s.run.Later.Unwatched)
		s.run.Later.Unwatched = slices.Compact(s.run.Later.Unwatched)
	}
	err = errors.Join(err, s.judged(ctx))
	if len(s.run.Contents) > 0 || s.run.Later != nil {
		err = errors.Join(err, s.daemon.note(ctx, "seen", s.run.ID, sight(s.run)))
	}
	return err
}

func sight(r *proofbox.Run) proofbox.Sight {
	return proofbox.Sight{Run: r.ID, State: r.State, Ended: r.Ended, Contents: r.Contents, Later: r.Later}
}
