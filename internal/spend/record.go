package spend

import (
	"context"
	"errors"
	"slices"
	"time"

	"proofbox"
)

// record is what is known of a hold and not written down yet: that it was taken
// from a lease, or what it has cost.
type record struct {
	*live  // nil where the hold is none of this process
	hold   int64
	takes  bool
	detail string
	charge proofbox.Money // as it was reported
}

// settleSoon notes what a hold has cost.
func (l *Ledger) settleSoon(hold int64, charge proofbox.Money) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.end(hold)
	if h != nil && h.lease != nil {
		h.lease.free += h.amount - min(charge, h.amount)
		h.lease.used = l.time().UnixNano()
	}
	l.note(&record{live: h, hold: hold, charge: charge})
}

// catchUp writes down all that is known, so that the ledger is what this process
// believes it to be.
func (t *tx) catchUp() error {
	t.mu.Lock()
	records := t.records
	t.records = nil
	t.mu.Unlock()
	t.grabbed = append(t.grabbed, records...)
	sums := &sums{of: map[day]*sum{}, leases: map[int64]proofbox.Money{}, open: map[int64]bool{}}
	for _, r := range records {
		if err := t.record(r, sums); err != nil {
			return err
		}
	}
	return t.add(sums)
}

// sums is what records change in the balances and the leases, which is written once
// for all of them.
type sums struct {
	of     map[day]*sum
	leases map[int64]proofbox.Money
	open   map[int64]bool // whether a lease is there still
}

type day struct {
	account string
	until   int64
}

type sum struct {
	at            int64
	charged, held proofbox.Money
}

func (s *sums) count(account string, at int64, charged, held proofbox.Money) {
	key := day{account, dayAfter(at)}
	if s.of[key] == nil {
		s.of[key] = &sum{at: at}
	}
	s.of[key].charged += charged
	s.of[key].held += held
}

func (t *tx) add(s *sums) error {
	for key, sum := range s.of {
		if err := t.count(key.account, sum.at, sum.charged, sum.held); err != nil {
			return err
		}
	}
	for id, amount := range s.leases {
		if _, err := t.write("a lease", `UPDATE leases SET amount = amount + $1 WHERE id = $2`, amount, id); err != nil {
			return err
		}
	}
	return nil
}

// record writes one record.
func (t *tx) record(r *record, s *sums) error {
	if r.live == nil {
		err := t.settle(r.hold, r.charge, false)
		if errors.Is(err, errSettled) {
			return nil // nobody waits for it
		}
		return err
	}
	lease, err := t.openLease(r.lease, s)
	if err != nil {
		return err
	}
	if r.takes {
		return t.taken(r, lease, s)
	}
	return t.settled(r, lease, s)
}

// openLease gives the number of a lease that is open in the ledger, else 0:
// whoever abandons the holds of an owner ends its leases.
func (t *tx) openLease(of *lease, s *sums) (int64, error) {
	if of == nil {
		return 0, nil
	}
	open, known := s.open[of.id]
	if !known {
		var id int64
		var err error
		if open, err = t.one(`SELECT id FROM leases WHERE id = $1`, []any{of.id}, []any{&id}); err != nil {
			return 0, err
		}
		s.open[of.id] = open
	}
	if !open {
		return 0, nil
	}
	return of.id, nil
}

// taken writes that a hold was taken from a lease. A transaction that seemed to
// fail may have been written, so it may be there.
func (t *tx) taken(r *record, lease int64, s *sums) error {
	if lease == 0 {
		return nil // the lease was charged in full, and this with it
	}
	got, err := t.write("a hold", `INSERT INTO holds (id, account, owner, at, amount, detail) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		r.hold, r.payer.account, r.payer.owner, r.at, r.amount, r.detail)
	if err != nil || !changed(got) {
		return err
	}
	s.leases[lease] -= r.amount
	return t.event(entry{kind: eventHold, account: r.payer.account, hold: r.hold, lease: lease, amount: r.amount})
}

// settled writes what a hold has cost. What is left of it goes back to its lease,
// else to the account.
func (t *tx) settled(r *record, lease int64, s *sums) error {
	charge := min(r.charge, r.amount)
	got, err := t.write("a settlement", `UPDATE holds SET charge = $1 WHERE id = $2 AND charge IS NULL`, charge, r.hold)
	if err != nil || !changed(got) {
		return err // it was settled in full by whoever took this process for dead
	}
	freed := r.amount
	if lease != 0 {
		freed = charge
		s.leases[lease] += r.amount - charge
	}
	s.count(r.payer.account, r.at, charge, -freed)
	return t.event(entry{kind: eventSettle, account: r.payer.account, hold: r.hold, lease: lease, amount: charge, reported: &r.charge})
}

// need says that a payer has a use for a lease, for calls that can cost an amount
// each.
func (t *tx) need(p payer, amount proofbox.Money) {
	if t.needs == nil {
		t.needs = map[payer]proofbox.Money{}
	}
	t.needs[p] = max(t.needs[p], amount)
}

// extend opens and extends the leases that are of use, once for all who share the
// transaction.
func (t *tx) extend() error {
	for p, amount := range t.needs {
		if slices.ContainsFunc(scopes(p.account), func(account string) bool { return t.at < t.calm[account] }) {
			continue
		}
		if err := t.extendOne(p, amount); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) extendOne(p payer, amount proofbox.Money) error {
	s, calls, free, few := t.leaseOf(p)
	if s.shut || t.at >= s.until {
		return nil // when it is away there can be another
	}
	balances, err := t.capped(p.account)
	if err != nil {
		return err
	}
	e := extension{lease: s, amount: size(amount, calls, free, tightest(balances).Left), balances: balances}
	if e.amount == 0 {
		return nil
	}
	if s.id == 0 {
		if err := t.openNew(s); err != nil {
			return err
		}
	}
	r, err := t.write("a lease", `UPDATE leases SET amount = amount + $1 WHERE id = $2`, e.amount, s.id)
	if err != nil {
		return err
	}
	if !changed(r) {
		t.drop(s) // somebody has taken this process for dead
		return nil
	}
	if few {
		if e.next, err = t.base.allot(t); err != nil {
			return err
		}
		e.end = e.next + numbers
	}
	for i := range balances {
		balances[i].Held += e.amount
	}
	if err := t.count(p.account, s.at, 0, e.amount); err != nil {
		return err
	}
	t.extended = append(t.extended, e)
	return t.event(entry{kind: eventLease, account: p.account, lease: s.id, amount: e.amount})
}

// leaseOf gives the lease of a payer, or a new one, how many calls are under way,
// how much is free and whether numbers are few.
func (t *tx) leaseOf(p payer) (s *lease, calls int, free proofbox.Money, few bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s = t.leases[p]
	if s == nil {
		s = &lease{payer: p, at: t.at, until: dayAfter(t.at), used: t.at}
	}
	return s, t.demand[p], s.free, s.end-s.next < fewNumbers
}

func (t *tx) openNew(s *lease) (err error) {
	s.id, err = t.insert("a lease", `INSERT INTO leases (account, owner, at, amount) VALUES ($1, $2, $3, 0)`, s.payer.account, s.payer.owner, s.at)
	return err
}

// drop has nothing taken from a lease any more.
func (t *tx) drop(s *lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.shut = true
	t.shut = append(t.shut, s)
}

// giveBack ends leases of this process; what is free in them is the accounts'
// again. It says whether there were any.
func (t *tx) giveBack(which func(*lease) bool) (bool, error) {
	var given []*lease
	t.mu.Lock()
	for _, s := range t.leases {
		if !s.shut && which(s) {
			s.shut = true
			given = append(given, s)
		}
	}
	t.mu.Unlock()
	t.shut = append(t.shut, given...)
	if len(given) == 0 {
		return false, nil
	}
	// Nothing can be taken from them now; what was has to be in the ledger.
	if err := t.catchUp(); err != nil {
		return false, err
	}
	for _, s := range given {
		if err := t.closeLease(s.id); err != nil {
			return false, err
		}
	}
	return true, nil
}

// closeLease ends a lease and frees what is in it.
func (t *tx) closeLease(id int64) error {
	var account string
	var at int64
	var rest proofbox.Money
	found, err := t.one(`SELECT account, at, amount FROM leases WHERE id = $1`, []any{id}, []any{&account, &at, &rest})
	if err != nil || !found {
		return err
	}
	if _, err := t.write("the end of a lease", `DELETE FROM leases WHERE id = $1`, id); err != nil {
		return err
	}
	if err := t.count(account, at, 0, -rest); err != nil {
		return err
	}
	return t.event(entry{kind: eventClose, account: account, lease: id, amount: rest})
}

// chargeLeases charges the leases that an owner has left, in full: what was taken
// from them and not written down cannot be told from what was not.
func (t *tx) chargeLeases(owner string) error {
	type left struct {
		id, at  int64
		account string
		rest    proofbox.Money
	}
	var all []left
	err := t.all(`SELECT id, account, at, amount FROM leases WHERE owner = $1 ORDER BY id`, []any{owner}, func(scan func(...any) error) error {
		var s left
		err := scan(&s.id, &s.account, &s.at, &s.rest)
		all = append(all, s)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := t.holdRest(s.id, s.account, owner, s.at, s.rest); err != nil {
			return err
		}
		if err := t.closeLease(s.id); err != nil {
			return err
		}
	}
	return nil
}

// holdRest makes what is left in a lease a hold of its own.
func (t *tx) holdRest(id int64, account, owner string, at int64, rest proofbox.Money) error {
	if rest == 0 {
		return nil
	}
	const detail = `{"lost":"what was held for calls of a process that has died"}`
	hold, err := t.insert("a hold", `INSERT INTO holds (account, owner, at, amount, detail) VALUES ($1, $2, $3, $4, $5)`, account, owner, at, rest, detail)
	if err != nil {
		return err
	}
	if _, err := t.write("a lease", `UPDATE leases SET amount = 0 WHERE id = $1`, id); err != nil {
		return err
	}
	return t.event(entry{kind: eventHold, account: account, hold: hold, lease: id, amount: rest})
}

// reconcile ends the leases that are none any more. It is done after a transaction
// that seemed to fail: it may be on the disk, and have given them back.
func (t *tx) reconcile() error {
	t.mu.Lock()
	broken := t.broken
	t.mu.Unlock()
	if !broken {
		return nil
	}
	return t.tend()
}

// tend gives back the leases that are of no use here, and those that somebody else
// has a use for.
func (t *tx) tend() error {
	wanted := map[int64]bool{} // of the leases that are there still
	for _, s := range t.own() {
		var w bool
		there, err := t.one(`SELECT wanted FROM leases WHERE id = $1`, []any{s.id}, []any{&w})
		if err != nil {
			return err
		}
		if there {
			wanted[s.id] = w
		}
		if w {
			t.calm[s.payer.account] = t.at + int64(calmTime)
		}
	}
	now := t.at
	_, err := t.giveBack(func(s *lease) bool {
		w, there := wanted[s.id]
		return w || !there || now >= s.until || now >= s.used+int64(idleTime)
	})
	return err
}

func (t *tx) own() (list []*lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.leases {
		list = append(list, s)
	}
	return list
}

// ask asks other processes for their leases beneath an account, and says whether
// there are any.
func (t *tx) ask(account string) (bool, error) {
	var others int
	if _, err := t.one(`SELECT COUNT(*) FROM leases WHERE `+beneath, []any{account}, []any{&others}); err != nil || others == 0 {
		return false, err
	}
	_, err := t.write("a lease", `UPDATE leases SET wanted = 1 WHERE wanted = 0 AND `+beneath, account)
	t.calm[account] = t.at + int64(calmTime)
	return true, err
}

// beneath finds the leases of an account and of those below it.
const beneath = `substr(account || '/', 1, length($1) + 1) = $1 || '/'`

// room makes room where there is not enough: by giving back what this process has
// set aside beneath the account that is short, and by asking others to. It may be
// worth to try again then, unless that was the last time.
func (t *tx) room(short func() (account string, err error), last bool) (ok, again bool, err error) {
	for {
		account, err := short()
		if account == "" || err != nil {
			return err == nil, false, err
		}
		given, err := t.giveBack(func(s *lease) bool { return within(s.payer.account, account) })
		if err != nil {
			return false, false, err
		}
		if given {
			continue
		}
		if !last {
			again, err = t.ask(account)
		}
		return false, again, err
	}
}

// insist does work until it does not want to be done again, or patience is over.
func (l *Ledger) insist(ctx context.Context, work func(t *tx, last bool) (again bool, err error)) error {
	for began := time.Now(); ; {
		again, last := false, time.Since(began) >= l.patience
		err := l.update(ctx, func(t *tx) (err error) {
			again, err = work(t, last)
			return err
		})
		if err != nil || !again {
			return err
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
