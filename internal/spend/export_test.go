package spend

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"proofbox"
)

// CrashAt has every write of the ledger ask first whether the process dies
// before the next one.
func CrashAt(l *Ledger, step func(name string) error) {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.step = step
}

// SetClock gives the ledger another clock.
func SetClock(l *Ledger, now func() time.Time) {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now, l.skew, l.alone = now, 0, true
}

// SetHostClock gives the host of a ledger another clock. The database has its own.
func SetHostClock(l *Ledger, now func() time.Time) {
	SetClock(l, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alone = false
}

// Unlock takes from a ledger in PostgreSQL what has its transactions take turns.
func Unlock(l *Ledger) { l.base.(*postgres).lock = "" }

// Configure reads the URL of a server, and says whether it has to prove who it is.
func Configure(url string) (verified bool, err error) {
	config, err := configure(url)
	if err != nil {
		return false, err
	}
	verified = config.TLSConfig != nil && !config.TLSConfig.InsecureSkipVerify && config.TLSConfig.ServerName != ""
	for _, f := range config.Fallbacks {
		verified = verified && f.TLSConfig != nil
	}
	return verified, nil
}

// Overspend is what the ledger would be without its check: it holds whatever is
// asked for.
func Overspend(ctx context.Context, l *Ledger, c Claim) error {
	return l.update(ctx, func(t *tx) error {
		_, err := t.hold(c, c.cost(c.Units))
		return err
	})
}

// Alter changes the ledger behind its back.
func Alter(ctx context.Context, l *Ledger, statement string) error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	_, err := l.conn.ExecContext(ctx, statement)
	return err
}

// Cost is what a claim holds for a number of units.
func Cost(c Claim, units int64) proofbox.Money { return c.cost(units) }

// Wait returns when so many wait for the next transaction.
func Wait(l *Ledger, n int) {
	for {
		l.mu.Lock()
		waiting := len(l.waiting)
		l.mu.Unlock()
		if waiting >= n {
			return
		}
		runtime.Gosched()
	}
}

// ByHand has nothing done behind the back of a test: records wait until the next
// transaction, and a claim does not wait for the leases of others.
func ByHand(l *Ledger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pace, l.patience = 0, 0
}

// Patient has claims wait for the leases of others as long as it takes.
func Patient(l *Ledger) { l.patience = time.Hour }

// Tend is what happens a moment after anything else.
func Tend(l *Ledger) error { return l.update(context.Background(), (*tx).tend) }

// Kill closes a ledger as a process that dies: what is not on the disk is lost.
func Kill(l *Ledger) error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.mu.Lock()
	l.closed, l.pace = true, 0
	l.mu.Unlock()
	return errors.Join(l.release(), l.db.Close())
}

// Free is what a process has set aside for an account and below, and nobody has
// taken.
func Free(l *Ledger, account string) (free proofbox.Money) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, s := range l.leases {
		if p.account == account || strings.HasPrefix(p.account, account+"/") {
			free += s.free
		}
	}
	return free
}

// Fill asks for leases as if every owner had a use for them.
func Fill(l *Ledger, account, owner string, amount proofbox.Money) error {
	return l.update(context.Background(), func(t *tx) error {
		t.need(payer{account, owner}, amount)
		return nil
	})
}
