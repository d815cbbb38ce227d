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
	leases   map[int64]event                 // open, with what is left
	held     proofbox.Money                  // by all holds that there were
	charged  proofbox.Money                  // of all that were settled
	events   int
}

// event is one line of the ledger.
type event struct {
	seq, at, hold, lease  int64
	kind, account, period string
	amount                proofbox.Money
}

// errPassed is what Verify finds.
var errPassed = errors.New("the ledger does not hold")

// Verify replays the ledger from its beginning. It looks after every event
// whether a cap was passed, and at the end whether the balances are those that
// the events give.
func (l *Ledger) Verify(ctx context.Context) (proofbox.SpendReport, error) {
	r := &replay{balances: map[[2]string]*proofbox.Balance{}, caps: map[[2]string]proofbox.Money{}, holds: map[int64]event{}, leases: map[int64]event{}}
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
	err = t.all(`SELECT seq, at, kind, account, period, hold, lease, amount FROM events ORDER BY seq`, nil, func(scan func(...any) error) error {
		var e event
		err := scan(&e.seq, &e.at, &e.kind, &e.account, &e.period, &e.hold, &e.lease, &e.amount)
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
		return r.takeHold(e)
	case eventSettle:
		return r.takeSettlement(e)
	case eventLease:
		return r.takeLease(e)
	case eventClose:
		s, open := r.leases[e.lease]
		if !open || e.amount != s.amount || e.account != s.account {
			return fmt.Errorf("%w: event %d gives back lease %d, which has not that", errPassed, e.seq, e.lease)
		}
		delete(r.leases, e.lease)
		return r.count(e, e.account, s.at, 0, -e.amount)
	}
	return fmt.Errorf("%w: event %d is of the unknown kind %q", errPassed, e.seq, e.kind)
}

func (r *replay) takeHold(e event) error {
	if _, double := r.holds[e.hold]; double || e.amount < 0 {
		return fmt.Errorf("%w: event %d holds %d again, or less than nothing", errPassed, e.seq, e.hold)
	}
	r.held += e.amount
	if e.lease == 0 {
		r.holds[e.hold] = e
		return r.count(e, e.account, e.at, 0, e.amount)
	}
	s, open := r.leases[e.lease]
	if !open || e.amount > s.amount || e.account != s.account {
		return fmt.Errorf("%w: event %d takes hold %d from lease %d, which has not that", errPassed, e.seq, e.hold, e.lease)
	}
	s.amount -= e.amount
	r.leases[e.lease] = s
	e.at = s.at // it was held then
	r.holds[e.hold] = e
	return nil
}

// takeSettlement frees what was not charged, or has it in the hold's lease again.
func (r *replay) takeSettlement(e event) error {
	h, open := r.holds[e.hold]
	if !open || e.amount > h.amount || e.amount < 0 || e.account != h.account {
		return fmt.Errorf("%w: event %d settles hold %d, which is not open for that", errPassed, e.seq, e.hold)
	}
	delete(r.holds, e.hold)
	r.charged += e.amount
	if e.lease == 0 {
		return r.count(e, h.account, h.at, e.amount, -h.amount)
	}
	s, open := r.leases[e.lease]
	if !open || e.lease != h.lease {
		return fmt.Errorf("%w: event %d gives to lease %d, which is not that of hold %d", errPassed, e.seq, e.lease, e.hold)
	}
	s.amount += h.amount - e.amount
	r.leases[e.lease] = s
	return r.count(e, h.account, h.at, e.amount, -e.amount)
}

// takeLease opens a lease, or adds to it.
func (r *replay) takeLease(e event) error {
	s, open := r.leases[e.lease]
	if e.amount < 0 || open && s.account != e.account {
		return fmt.Errorf("%w: event %d adds to lease %d of another account, or less than nothing", errPassed, e.seq, e.lease)
	}
	if !open {
		s = event{account: e.account, at: e.at}
	}
	s.amount += e.amount
	r.leases[e.lease] = s
	return r.count(e, s.account, s.at, 0, e.amount)
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
	return errors.Join(r.compareHolds(t), r.compareLeases(t))
}

// compareLeases does the same for what is set aside.
func (r *replay) compareLeases(t *tx) error {
	open := 0
	err := t.all(`SELECT id, account, amount FROM leases`, nil, func(scan func(...any) error) error {
		var s event
		if err := scan(&s.lease, &s.account, &s.amount); err != nil {
			return err
		}
		open++
		if want := r.leases[s.lease]; want.account != s.account || want.amount != s.amount {
			return fmt.Errorf("%w: lease %d of %s has %s USD; its events give %s USD of %q", errPassed, s.lease, s.account, s.amount, want.amount, want.account)
		}
		return nil
	})
	if err == nil && open != len(r.leases) {
		err = fmt.Errorf("%w: %d leases are open; its events give %d", errPassed, open, len(r.leases))
	}
	return err
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
