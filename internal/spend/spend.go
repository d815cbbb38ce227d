// Package spend keeps accounts of money and holds each of them to its caps. What
// a call can cost at most is held before the call is made, in one durable step
// over every account that it counts for, by itself or in a block for several
// calls; what it did cost is charged when that is known. At any instant, across
// processes, hosts and crashes, what an account has charged and held is within each of
// its caps: there is no other way to spend.
//
// The ledger is a file of SQLite, or in a PostgreSQL that many hosts share. Either has
// one transaction at a time: the file by its lock for writing (BEGIN IMMEDIATE), the
// server by a lock of the one row of a table, under READ COMMITTED, so that what is read
// after it is what all before have committed. Both are told to answer only when it is
// on the disk.
//
// Nobody is taken for dead here. An owner's holds are settled by the owner, or charged
// in full by whoever says that it is gone (see [Ledger.Abandon]), which is within the
// caps even if it is not.
//
// Every change is an event in the ledger, from which [Ledger.Verify] works out
// all balances anew and looks for a moment at which a cap was passed.
package spend

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"sync"
	"time"

	"proofbox"
)

// Ledger is a database of accounts. It may be used from many goroutines, and
// several processes may have the same one open.
type Ledger struct {
	base base
	db   *sql.DB
	now  func() time.Time
	step func(name string) error // nil but for a test that crashes between two writes

	turn       chan struct{}        // full while somebody has the transaction
	conn       *sql.Conn            // who has the turn may use it; nil when it was lost
	statements map[string]*sql.Stmt // of conn; who has the turn may use it

	calm map[string]int64 // by account, until when no lease is opened beneath it; who has the turn may use it

	pace, patience time.Duration // 0 only in a test that does by itself what they are for

	mu      sync.Mutex // taken after the turn, where both are
	waiting []*job     // for the next transaction

	// What is known here and not in the database, see lease; guarded by mu.
	leases  map[payer]*lease
	demand  map[payer]int // calls that are under way
	live    map[int64]*live
	records []*record
	skew    time.Duration // by how much the clock of the database is ahead of this host's
	alone   bool          // there is no such clock: a test has its own
	tending bool          // somebody will write them
	broken  bool          // the last transaction has failed
	closed  bool
}

// schema is the ledger's. Amounts are nano-dollars.
const schema = `
CREATE TABLE IF NOT EXISTS balances (
	account TEXT NOT NULL, period TEXT NOT NULL,
	charged INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (account, period)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS caps (
	account TEXT NOT NULL, period TEXT NOT NULL, amount INTEGER NOT NULL,
	PRIMARY KEY (account, period)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL, owner TEXT NOT NULL, at INTEGER NOT NULL, amount INTEGER NOT NULL,
	charge INTEGER, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS open_holds ON holds (owner) WHERE charge IS NULL;
CREATE TABLE IF NOT EXISTS leases (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL, owner TEXT NOT NULL, at INTEGER NOT NULL, amount INTEGER NOT NULL,
	wanted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS events (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL, kind TEXT NOT NULL, account TEXT NOT NULL, period TEXT NOT NULL DEFAULT '',
	hold INTEGER NOT NULL DEFAULT 0, amount INTEGER NOT NULL, reported INTEGER,
	lease INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS events_of_hold ON events (hold);
`

// Kinds of events.
const (
	eventCap    = "cap"
	eventHold   = "hold"   // from a lease, where it names one
	eventSettle = "settle" // what is left goes back to a lease, where it names one
	eventLease  = "lease"  // there is one, or more in it
	eventClose  = "close"  // what is left in a lease is nobody's again
)

// Open opens a ledger, and makes it where there is none: in the file of a name, or in
// the PostgreSQL that a URL names.
func Open(place string) (*Ledger, error) {
	b, db, err := find(place)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		base: b, db: db, now: time.Now, turn: make(chan struct{}, 1),
		pace: pace, patience: patience, calm: map[string]int64{},
		leases: map[payer]*lease{}, demand: map[payer]int{}, live: map[int64]*live{},
	}
	ctx := context.Background()
	if err = l.connect(ctx); err == nil {
		err = b.prepare(ctx, l.conn)
	}
	if err != nil {
		return nil, errors.Join(b.explain(err), db.Close())
	}
	return l, nil
}

// version is that of the schema. Ledgers of before there were leases have 0.
const version = 1

// unknown refuses a ledger that a later proofbox has written.
func unknown(has int) error {
	if has > version {
		return unfit(fmt.Sprintf("it is of version %d, and this proofbox knows %d; use the one that has written it", has, version))
	}
	return nil
}

// Close closes the ledger, when everything that was asked for is done. What is
// held stays held.
func (l *Ledger) Close() error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	back := &job{ctx: context.Background(), done: make(chan struct{}), work: func(t *tx) error {
		_, err := t.giveBack(func(*lease) bool { return true })
		return err
	}}
	l.commit(append(l.takeAll(), back))
	return errors.Join(back.err, l.release(), l.db.Close())
}

// Claim is what a call may cost: a fixed part, and units of which each costs the
// same.
type Claim struct {
	Account string // a path, see [proofbox.Balance]
	Owner   string // who settles; see [Ledger.Abandon]
	Fixed   proofbox.Money
	Each    proofbox.Money
	// Units is how many are wanted, and Least the smallest number that is worth
	// a call.
	Units, Least int64
	// Detail is kept with the hold: which price was applied to what.
	Detail string
}

// Hold is money that is set aside for one call.
type Hold struct {
	ID     int64
	Units  int64 // how many fit
	Amount proofbox.Money
	// Lease is the block of money that the hold was taken from; 0 where it was
	// written down by itself.
	Lease int64
	// Balances are those that have a cap, after the hold was taken, or the lease
	// was extended for the last time. They are not to be changed.
	Balances []proofbox.Balance
	Time     time.Time
}

// Refused is why nothing was held.
type Refused struct {
	Account string
	Period  string
	Cap     proofbox.Money
	Left    proofbox.Money
	Needed  proofbox.Money // for the least that is worth a call
}

func (r *Refused) Error() string {
	return fmt.Sprintf("the cap of %s USD (%s of %s) has %s USD left, and the call could cost %s USD",
		r.Cap, r.Period, r.Account, r.Left, r.Needed)
}

// Reserve holds what a claim costs at most, with as many units as fit under
// every cap of every account above; or it gives a [*Refused] and holds nothing.
// When it returns, the hold is on the disk, or the lease is that it was taken
// from.
func (l *Ledger) Reserve(ctx context.Context, c Claim) (Hold, error) {
	if err := c.check(); err != nil {
		return Hold{}, err
	}
	if h, ok := l.take(c); ok {
		return h, nil
	}
	p := payer{c.Account, c.Owner}
	l.starts(p)
	h, err := l.reserve(ctx, c)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.done(p)
		return Hold{}, err
	}
	l.live[h.ID] = &live{payer: p, at: h.Time.UnixNano(), amount: h.Amount}
	return h, nil
}

// reserve is Reserve where there is no lease that has enough.
func (l *Ledger) reserve(ctx context.Context, c Claim) (h Hold, err error) {
	var refused *Refused
	err = l.insist(ctx, func(t *tx, last bool) (again bool, err error) {
		h, refused, again, err = t.reserve(c, last)
		return again, err
	})
	if err == nil && refused != nil {
		return Hold{}, refused
	}
	return h, err
}

// reserve holds a claim. That it is refused is no error: leases that were given
// back to make room stay so.
func (t *tx) reserve(c Claim, last bool) (h Hold, refused *Refused, again bool, err error) {
	var balances []proofbox.Balance
	var least *Refused
	_, again, err = t.room(func() (short string, err error) {
		balances, err = t.capped(c.Account)
		if least = tightest(balances); c.cost(c.Units) > least.Left {
			short = least.Account
		}
		return short, err
	}, last)
	if err != nil || again {
		return Hold{}, nil, again, err
	}
	units, ok := c.fit(least.Left)
	if !ok {
		least.Needed = c.cost(c.Least)
		return Hold{}, least, false, nil
	}
	h = Hold{Units: units, Amount: c.cost(units), Time: time.Unix(0, t.at).UTC(), Balances: balances}
	for i := range balances {
		balances[i].Held += h.Amount
	}
	h.ID, err = t.hold(c, h.Amount)
	t.need(payer{c.Account, c.Owner}, h.Amount)
	return h, nil, false, err
}

// check panics on a claim that no caller can mean, and refuses one that is no
// amount of money any more.
func (c Claim) check() error {
	if c.Account == "" || c.Owner == "" || c.Fixed < 0 || c.Each < 0 || c.Least < 0 || c.Units < c.Least {
		panic(fmt.Sprintf("spend: the claim %+v", c))
	}
	hi, lo := bits.Mul64(uint64(c.Each), uint64(c.Units))
	if hi > 0 || lo > math.MaxInt64-uint64(c.Fixed) {
		return fmt.Errorf("%d units at %s USD are more than can be counted", c.Units, c.Each)
	}
	return nil
}

func (c Claim) cost(units int64) proofbox.Money { return c.Fixed + c.Each*proofbox.Money(units) }

// fit says how many units an amount is enough for.
func (c Claim) fit(left proofbox.Money) (units int64, ok bool) {
	if c.cost(c.Least) > left {
		return 0, false
	}
	if c.cost(c.Units) <= left {
		return c.Units, true
	}
	return int64((left - c.Fixed) / c.Each), true
}

// Settle charges what a call has cost and frees the rest of its hold. A charge
// above the hold cannot be: the hold was all that the call could cost, so that
// is what is charged, and what was reported is kept for whoever asks. It is an
// error to settle a hold twice with different charges.
func (l *Ledger) Settle(ctx context.Context, hold int64, charge proofbox.Money) error {
	if charge < 0 {
		panic(fmt.Sprintf("spend: a charge of %s USD", charge))
	}
	l.mu.Lock()
	own := l.end(hold) != nil
	l.mu.Unlock()
	return l.update(ctx, func(t *tx) error { return t.settle(hold, charge, own) })
}

// SettleSoon is Settle without waiting for the disk. Whoever looks at the ledger
// in this process finds the hold settled from now on; a crash before it is on the
// disk leaves it held, or the lease that it was taken from, to be charged in full
// by [Ledger.Abandon]. A hold that is settled stays as it is.
func (l *Ledger) SettleSoon(hold int64, charge proofbox.Money) {
	if charge < 0 {
		panic(fmt.Sprintf("spend: a charge of %s USD", charge))
	}
	l.settleSoon(hold, charge)
}

// Abandon charges every open hold of an owner who will not settle it any more,
// in full, and says how many there were. What other processes have set aside for
// the owner's calls is one of them: they have died with it.
func (l *Ledger) Abandon(ctx context.Context, owner string) (int, error) {
	n := 0
	err := l.update(ctx, func(t *tx) error {
		if _, err := t.giveBack(func(s *lease) bool { return s.payer.owner == owner }); err != nil {
			return err
		}
		if err := t.chargeLeases(owner); err != nil {
			return err
		}
		open, err := t.open(owner)
		if err != nil {
			return err
		}
		n = len(open)
		for _, h := range open {
			if err := t.settle(h.id, h.amount, false); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// SetCap caps what an account spends in each period of a kind. A cap cannot be
// below what is already charged and held.
func (l *Ledger) SetCap(ctx context.Context, account string, period proofbox.Period, amount proofbox.Money) error {
	if account == "" || strings.HasPrefix(account, "/") || strings.HasSuffix(account, "/") || strings.Contains(account, "//") {
		return fmt.Errorf("%q is not the path of an account, such as team/anna", account)
	}
	var refused error
	err := l.insist(ctx, func(t *tx, last bool) (again bool, err error) {
		refused, again, err = t.setCap(account, period, amount, last)
		return again, err
	})
	return errors.Join(err, refused)
}

// Balances gives every balance, by account and period. What is set aside for calls
// to come is held.
func (l *Ledger) Balances(ctx context.Context) (list []proofbox.Balance, err error) {
	err = l.update(ctx, func(t *tx) error {
		list, err = t.balances()
		return err
	})
	return list, err
}

// Charged gives what an account has charged in total.
func (l *Ledger) Charged(ctx context.Context, account string) (charged proofbox.Money, err error) {
	err = l.update(ctx, func(t *tx) error {
		_, err := t.one(`SELECT charged FROM balances WHERE account = $1 AND period = 'total'`, []any{account}, []any{&charged})
		return err
	})
	return charged, err
}
