package spend

import (
	"context"
	"math"
	"strings"
	"time"

	"proofbox"
)

// lease is a block of money that is held, on the disk, for calls that are still to
// come. Each of them takes what it can cost out of it in memory, so that nobody
// waits for the disk, and what it has not used goes back into it. The calls are
// written down soon after. Whatever is lost in a crash was taken out of the
// block, which counts as held until [Ledger.Abandon] charges it in full.
//
// All but the first four are guarded by the ledger's mu.
type lease struct {
	id    int64
	payer payer
	at    int64 // when it was opened, and so which periods it counts for
	until int64 // when the first of them ends

	free      proofbox.Money // what nobody has taken
	next, end int64          // numbers for holds that are this lease's
	balances  []proofbox.Balance
	used      int64 // when
	filling   bool  // somebody asks for more
	quiet     int64 // when more may be asked for again
	shut      bool  // nothing is taken from it any more
}

// payer is who takes holds.
type payer struct{ account, owner string }

// within says whether what an account spends counts for another, too.
func within(account, other string) bool {
	return account == other || strings.HasPrefix(account, other+"/")
}

// Bounds of leases.
const (
	// pace is how long it takes until a call is written down, and until a lease
	// that another process has a use for is given back.
	pace = 20 * time.Millisecond
	// idleTime is how long a lease is kept without being used.
	idleTime = time.Second
	// calmTime is how long none is opened after another process had a use for one.
	calmTime = time.Second
	// patience is how long a claim that does not fit waits for the leases of
	// others. They give them back within a pace or two if they live.
	patience = time.Second
	// atLeast is how many calls have to be under way at once: one alone can wait.
	atLeast = 2
	// shareOfLeft is which part of what is left under the tightest cap a lease may
	// take, so that it shrinks, and ends, near the cap.
	shareOfLeft = 4
	numbers     = 4096 // for holds, at a time
	fewNumbers  = 1024
)

// live is a hold that this process has taken and not settled.
type live struct {
	payer  payer
	at     int64
	amount proofbox.Money
	lease  *lease // nil where it was written down at once
}

// take takes a hold from a lease, if there is one that has enough.
func (l *Ledger) take(c Claim) (Hold, bool) {
	if l.base.present() != nil {
		return Hold{}, false // the other way says why
	}
	p, amount := payer{c.Account, c.Owner}, c.cost(c.Units)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.time().UnixNano()
	s := l.leases[p]
	if s == nil || l.broken || l.closed || !s.covers(amount, now) {
		return Hold{}, false
	}
	h := Hold{ID: s.next, Units: c.Units, Amount: amount, Lease: s.id, Balances: s.balances, Time: time.Unix(0, max(now, s.at)).UTC()}
	s.next, s.free, s.used = s.next+1, s.free-amount, now
	l.live[h.ID] = &live{payer: p, at: h.Time.UnixNano(), amount: amount, lease: s}
	l.demand[p]++
	l.note(&record{live: l.live[h.ID], hold: h.ID, takes: true, detail: c.Detail})
	if l.pace > 0 && !s.filling && now >= s.quiet && (s.free/proofbox.Money(l.demand[p]) < amount || s.end-s.next < fewNumbers) {
		s.filling, s.quiet = true, now+int64(pace)
		go l.fill(s, amount)
	}
	return h, true
}

// covers says whether a hold may be taken now.
func (s *lease) covers(amount proofbox.Money, now int64) bool {
	return !s.shut && amount <= s.free && s.next < s.end && now < s.until
}

// fill asks for more before a lease is used up.
func (l *Ledger) fill(s *lease, amount proofbox.Money) {
	_ = l.update(context.Background(), func(t *tx) error {
		t.need(s.payer, amount)
		return nil
	}) // whoever finds it used up hears why
	l.mu.Lock()
	defer l.mu.Unlock()
	s.filling = false
}

// note has a record written soon. The caller has mu.
func (l *Ledger) note(r *record) {
	l.records = append(l.records, r)
	l.tendSoon()
}

// tendSoon has the ledger tended while there is something to tend. The caller has
// mu.
func (l *Ledger) tendSoon() {
	if l.tending || l.closed || l.pace == 0 || len(l.records) == 0 && len(l.leases) == 0 {
		return
	}
	l.tending = true
	wait := l.pace
	if l.broken {
		wait = calmTime
	}
	time.AfterFunc(wait, l.tend)
}

// tend writes down what was taken and settled, and gives back the leases that are
// of no use here, or of use to somebody else.
func (l *Ledger) tend() {
	_ = l.update(context.Background(), (*tx).tend) // whoever comes next hears of it
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tending = false
	l.tendSoon()
}

// end forgets a hold, when it is settled, and says what it was; nil where it is
// none of this process. The caller has mu.
func (l *Ledger) end(hold int64) *live {
	h := l.live[hold]
	if h == nil {
		return nil
	}
	delete(l.live, hold)
	l.done(h.payer)
	return h
}

// starts counts one more call of a payer that is under way.
func (l *Ledger) starts(p payer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.demand[p]++
}

// done counts one less. The caller has mu.
func (l *Ledger) done(p payer) {
	if l.demand[p]--; l.demand[p] == 0 {
		delete(l.demand, p)
	}
}

// landed keeps what a transaction has done, when it is on the disk.
func (l *Ledger) landed(t *tx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = false
	for _, s := range t.shut {
		if l.leases[s.payer] == s {
			delete(l.leases, s.payer)
		}
	}
	for _, s := range t.extended {
		s.apply(l)
	}
	l.tendSoon()
}

// failed undoes what a transaction has done here, when it is not on the disk.
// Nothing is taken from a lease until one has succeeded.
func (l *Ledger) failed(t *tx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = true
	l.records = append(t.grabbed, l.records...)
	for _, s := range t.shut {
		s.shut = false
	}
	l.tendSoon()
}

// extension is more money, or more numbers, for a lease.
type extension struct {
	lease     *lease
	amount    proofbox.Money
	next, end int64 // 0 where there are enough
	balances  []proofbox.Balance
}

// apply gives a lease what is on the disk for it. The caller has the ledger's mu.
func (e extension) apply(l *Ledger) {
	e.lease.free += e.amount
	e.lease.balances = e.balances
	if e.end > 0 {
		e.lease.next, e.lease.end = e.next, e.end
	}
	l.leases[e.lease.payer] = e.lease
}

// size says how much more a lease should have, for so many calls at once of which
// each can cost an amount, where so much is free in it and left under the caps.
func size(amount proofbox.Money, calls int, free, left proofbox.Money) proofbox.Money {
	if calls < atLeast || amount > math.MaxInt64/2/proofbox.Money(calls) {
		return 0
	}
	more := min(2*amount*proofbox.Money(calls)-free, left/shareOfLeft)
	if more < amount {
		return 0 // near the cap each is held by itself
	}
	return more
}

// dayAfter is when the day of a moment ends.
func dayAfter(at int64) int64 {
	const day = 24 * int64(time.Hour)
	return at - at%day + day
}
