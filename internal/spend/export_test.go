package spend

import (
	"context"
	"runtime"
	"time"

	"proofbox"
)

// CrashAt has every write of the ledger ask first whether the process dies
// before the next one.
func CrashAt(l *Ledger, step func(name string) error) { l.step = step }

// SetClock gives the ledger another clock.
func SetClock(l *Ledger, now func() time.Time) { l.now = now }

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
