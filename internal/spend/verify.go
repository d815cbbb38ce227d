package spend

import (
	"context"
	"errors"
	"fmt"

	"proofbox"
)

// replay is the state of all accounts as the events give it.
type replay struct {
	balances map[[2]string]*proofbox.Balance // by account and period
	caps     map[[2]string]proofbox.Money    // by account and kind of period
	holds    map[int64]event                 // open
	held     proofbox.Money                  // by all holds that there were
	charged  proofbox.Money                  // of all that were settled
	events   int
}

// event is one line of the ledger.
type event struct {
	seq, at, hold         int64
	kind, account, period string
	amount                proofbox.Money
}

// errPassed is what Verify finds.
var errPassed = errors.New("the ledger does not hold")

// Verify replays the ledger from its beginning. It looks after every event
// whether a cap was passed, and at the end whether the balances are those that
// the events give.
func (l *Ledger) Verify(ctx context.Context) (proofbox.SpendReport, error) {
	r := &replay{balances: map[[2]string]*proofbox.Balance{}, caps: map[[2]string]proofbox.Money{}, holds: map[int64]event{}}
	err := l.update(ctx, func(t *tx) error {
		events, err := t.events()
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := r.take(e); err != nil {
				return err
			}
		}
		return r.compare(t)
	})
	report := proofbox.SpendReport{OK: err == nil, Events: r.events, Open: len(r.holds)}
	if errors.Is(err, errPassed) {
		report.Problem, err = err.Error(), nil
	}
	return report, err
}

func (t *tx) events() (list []event, err error) {
	err = t.all(`SELECT seq, at, kind, account, period, hold, amount FROM events ORDER BY seq`, nil, func(scan func(...any) error) error {
		var e event
		err := scan(&e.seq, &e.at, &e.kind, &e.account, &e.period, &e.hold, &e.amount)
		list = append(list, e)
		return err
	})
	return list, err
}

// take takes one event and checks what it touches.
func (r *replay) take(e event) error {
	r.events++
	switch e.kind {
	case eventCap:
		r.caps[[2]string{e.account, e.period}] = e.amount
		return r.within(e, e.account, spans(e.at))
	case eventHold:
		if _, double := r.holds[e.hold]; double || e.amount < 0 {
			return fmt.Errorf("%w: event %d holds %d again, or less than nothing", errPassed, e.seq, e.hold)
		}
		r.holds[e.hold] = e
		r.held += e.amount
		return r.count(e, e.account, e.at, 0, e.amount)
	case eventSettle:
		h, open := r.holds[e.hold]
		if !open || e.amount > h.amount || e.amount < 0 || e.account != h.account {
			return fmt.Errorf("%w: event %d settles hold %d, which is not open for that", errPassed, e.seq, e.hold)
		}
		delete(r.holds, e.hold)
		r.charged += e.amount
		return r.count(e, h.account, h.at, e.amount, -h.amount)
	}
	return fmt.Errorf("%w: event %d is of the unknown kind %q", errPassed, e.seq, e.kind)
}

func (r *replay) count(e event, account string, at int64, charged, held proofbox.Money) error {
	for _, scope := range scopes(account) {
		for _, span := range spans(at) {
			b := r.balance(scope, span)
			b.Charged += charged
			b.Held += held
		}
		if err := r.within(e, scope, spans(at)); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) balance(account, span string) *proofbox.Balance {
	key := [2]string{account, span}
	if r.balances[key] == nil {
		r.balances[key] = &proofbox.Balance{Account: account, Period: span}
	}
	return r.balances[key]
}

// within holds an account against its caps.
func (r *replay) within(e event, account string, spans []string) error {
	for _, span := range spans {
		limit, capped := r.caps[[2]string{account, kindOf(span)}]
		b := r.balance(account, span)
		if capped && b.Charged+b.Held > limit {
			return fmt.Errorf("%w: at event %d, %s of %s has %s USD charged and %s USD held, over its cap of %s USD",
				errPassed, e.seq, span, account, b.Charged, b.Held, limit)
		}
	}
	return nil
}

// compare holds what is in the tables against what the events give.
func (r *replay) compare(t *tx) error {
	list, err := t.balances()
	if err != nil {
		return err
	}
	for _, b := range list {
		want := *r.balance(b.Account, b.Period)
		if b.Charged != want.Charged || b.Held != want.Held {
			return fmt.Errorf("%w: %s of %s says %s USD charged and %s USD held; its events give %s USD and %s USD",
				errPassed, b.Period, b.Account, b.Charged, b.Held, want.Charged, want.Held)
		}
		delete(r.balances, [2]string{b.Account, b.Period})
	}
	for key, b := range r.balances {
		if b.Charged != 0 || b.Held != 0 {
			return fmt.Errorf("%w: %s of %s is missing", errPassed, key[1], key[0])
		}
	}
	return r.compareHolds(t)
}

// compareHolds does the same for the holds.
func (r *replay) compareHolds(t *tx) error {
	var open int
	var held, charged proofbox.Money
	_, err := t.one(`SELECT COUNT(*) - COUNT(charge), COALESCE(SUM(amount), 0), COALESCE(SUM(charge), 0) FROM holds`, nil, []any{&open, &held, &charged})
	if err != nil {
		return err
	}
	if open != len(r.holds) || held != r.held || charged != r.charged {
		return fmt.Errorf("%w: the holds were of %s USD, %s USD is charged and %d are open; its events give %s USD, %s USD and %d",
			errPassed, held, charged, open, r.held, r.charged, len(r.holds))
	}
	return nil
}
