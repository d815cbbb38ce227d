package spend

import (
	"context"
	"errors"
	"fmt"
)

// job is work that waits for a transaction.
type job struct {
	ctx  context.Context
	work func(*tx) error
	err  error
	done chan struct{} // closed when err says what became of it
}

// update does work in a transaction: all of it, durably, or nothing. Waiting for
// the disk is what a transaction costs, so whoever has the turn does the work of
// all who have come meanwhile, each with a savepoint of its own, and waits once.
func (l *Ledger) update(ctx context.Context, work func(*tx) error) error {
	return l.see(l.queue(ctx, work))
}

// queue has work done before any that is asked for later.
func (l *Ledger) queue(ctx context.Context, work func(*tx) error) *job {
	j := &job{ctx: ctx, work: work, done: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, j)
	return j
}

// see sees to it that a job is done.
func (l *Ledger) see(j *job) error {
	select {
	case <-j.done:
	case l.turn <- struct{}{}:
		l.lead()
		<-j.done // it was among them, or among those of an earlier turn
	}
	return j.err
}

// lead has the turn: it does what waits, and gives the turn away.
func (l *Ledger) lead() {
	defer func() { <-l.turn }()
	l.commit(l.takeAll())
}

// takeAll takes all who wait.
func (l *Ledger) takeAll() []*job {
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := l.waiting
	l.waiting = nil
	return jobs
}

// commit does jobs in one transaction, which takes the one lock for writing at its
// beginning. Only when it is on the disk is anybody told.
func (l *Ledger) commit(jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	// The end of one caller must not interrupt a statement: that would undo the
	// work of all.
	t := &tx{Ledger: l, ctx: context.WithoutCancel(jobs[0].ctx)}
	err := errBroken // until it is known better, also where a job panics
	defer func() {
		if err != nil {
			t.undo()
			if l.conn == nil {
				err = l.base.explain(err)
			}
			l.failed(t)
		}
		for _, j := range jobs {
			if err != nil {
				j.err = err
			}
			close(j.done)
		}
	}()
	if err = t.each(jobs); err == nil {
		l.landed(t)
		err = l.base.present()
	}
}

// errBroken is what others hear where the work of one has panicked.
var errBroken = errors.New("the transaction of the ledger was broken off")

func (t *tx) each(jobs []*job) error {
	if err := t.connect(t.ctx); err != nil {
		return err
	}
	now, err := t.base.begin(t)
	if err != nil {
		return err
	}
	if err := t.begin(now); err != nil {
		return err
	}
	if err := t.catchUp(); err != nil {
		return err
	}
	if err := t.reconcile(); err != nil {
		return err
	}
	for _, j := range jobs {
		if err := t.do(j); err != nil {
			return err
		}
	}
	if err := t.extend(); err != nil {
		return err
	}
	if err := t.before("the end"); err != nil {
		return err
	}
	return t.base.commit(t)
}

// do does one job, or nothing of it. An error is the transaction's own.
func (t *tx) do(j *job) error {
	if j.err = context.Cause(j.ctx); j.err != nil {
		return nil // nobody waits for it any more
	}
	if err := t.plain(`SAVEPOINT job`); err != nil {
		return err
	}
	done := len(t.grabbed) + len(t.shut)
	if j.err = j.work(t); j.err != nil {
		if done != len(t.grabbed)+len(t.shut) {
			return j.err // what leases have to do with is all or nothing
		}
		if err := t.plain(`ROLLBACK TO job`); err != nil {
			return errors.Join(j.err, err)
		}
	}
	return t.plain(`RELEASE job`)
}

// plain does what changes nothing by itself.
func (t *tx) plain(query string) error {
	s, err := t.prepared(query)
	if err == nil {
		_, err = s.ExecContext(t.ctx)
	}
	if err != nil {
		return fmt.Errorf("%s in the ledger: %w", query, err)
	}
	return nil
}
