package spend_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"proofbox"
	"proofbox/internal/spend"
)

func open(t testing.TB, path string) *spend.Ledger {
	t.Helper()
	l, err := spend.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // a test may have closed it
	return l
}

func fresh(t testing.TB, on base) *spend.Ledger { return open(t, on.place(t)) }

// sound checks a ledger from its beginning.
func sound(t interface{ Errorf(string, ...any) }, l *spend.Ledger) proofbox.SpendReport {
	r, err := l.Verify(context.Background())
	if err != nil || !r.OK {
		t.Errorf("the ledger: %+v, %v", r, err)
	}
	return r
}

func claim(fixed, each proofbox.Money, units, least int64) spend.Claim {
	return spend.Claim{Account: "team/anna/run", Owner: "run", Fixed: fixed, Each: each, Units: units, Least: least}
}

func TestReserveFitsUnderEveryCap(t *testing.T) { onEach(t, testReserveFitsUnderEveryCap) }

func testReserveFitsUnderEveryCap(t *testing.T, on base) {
	l, ctx := fresh(t, on), t.Context()
	for _, c := range []struct {
		account string
		period  proofbox.Period
		amount  proofbox.Money
	}{{"team", proofbox.Month, 1000}, {"team/anna", proofbox.Day, 500}, {"team/anna/run", proofbox.Total, 800}} {
		if err := l.SetCap(ctx, c.account, c.period, c.amount); err != nil {
			t.Fatal(err)
		}
	}
	// Wanted is 10 + 100×10, and the tightest cap has 500.
	h, err := l.Reserve(ctx, claim(10, 10, 100, 1))
	if err != nil || h.Units != 49 || h.Amount != 500 || len(h.Balances) != 3 {
		t.Fatalf("held %+v, %v", h, err)
	}
	_, err = l.Reserve(ctx, claim(10, 10, 100, 1))
	refused, ok := errors.AsType[*spend.Refused](err)
	if !ok || refused.Account != "team/anna" || refused.Left != 0 || refused.Needed != 20 {
		t.Fatalf("over the cap: %v", err)
	}
	if err := l.Settle(ctx, h.ID, 100); err != nil {
		t.Fatal(err)
	}
	// The last dollar is there to be spent: exactly what is left, to the nano.
	h, err = l.Reserve(ctx, claim(0, 1, 1000, 400))
	if err != nil || h.Units != 400 {
		t.Fatalf("what was freed: %+v, %v", h, err)
	}
	// The day ends; the month's and the run's caps are left.
	now := time.Now().Add(25 * time.Hour)
	spend.SetClock(l, func() time.Time { return now })
	if h, err = l.Reserve(ctx, claim(0, 1, 1000, 1)); err != nil || h.Units > 500 || h.Units < 300 {
		t.Fatalf("on the next day: %+v, %v", h, err)
	}
	sound(t, l)
}

func TestSettling(t *testing.T) { onEach(t, testSettling) }

func testSettling(t *testing.T, on base) {
	l, ctx := fresh(t, on), t.Context()
	h, err := l.Reserve(ctx, claim(100, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Settle(ctx, h.ID, 30); err != nil {
		t.Fatal(err)
	}
	if err := l.Settle(ctx, h.ID, 30); err != nil {
		t.Errorf("settling with the same again: %v", err)
	}
	if err := l.Settle(ctx, h.ID, 31); err == nil {
		t.Error("a hold was settled twice")
	}
	if err := l.Settle(ctx, h.ID+1, 1); err == nil {
		t.Error("a hold that is not there was settled")
	}
	h, err = l.Reserve(ctx, claim(100, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Settle(ctx, h.ID, 1000); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Charged(ctx, "team"); got != 130 || err != nil {
		t.Errorf("charged %s, %v: a report above the bound is charged as the bound", got, err)
	}
	sound(t, l)
}

// TestCrashSettlesInFull: whoever dies with holds has spent them.
func TestCrashSettlesInFull(t *testing.T) { onEach(t, testCrashSettlesInFull) }

func testCrashSettlesInFull(t *testing.T, on base) {
	path := on.place(t)
	l, ctx := open(t, path), t.Context()
	for range 3 {
		if _, err := l.Reserve(ctx, claim(100, 0, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path)
	if r := sound(t, l); r.Open != 3 {
		t.Errorf("%d holds are open", r.Open)
	}
	if n, err := l.Abandon(ctx, "run"); n != 3 || err != nil {
		t.Errorf("abandoned %d, %v", n, err)
	}
	if n, err := l.Abandon(ctx, "run"); n != 0 || err != nil {
		t.Errorf("abandoned %d again, %v", n, err)
	}
	if got, err := l.Charged(ctx, "team/anna/run"); got != 300 || err != nil {
		t.Errorf("charged %s, %v", got, err)
	}
	sound(t, l)
}

func TestCapIsNotBelowWhatIsSpent(t *testing.T) { onEach(t, testCapIsNotBelowWhatIsSpent) }

func testCapIsNotBelowWhatIsSpent(t *testing.T, on base) {
	l, ctx := fresh(t, on), t.Context()
	if _, err := l.Reserve(ctx, claim(100, 0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if err := l.SetCap(ctx, "team", proofbox.Total, 99); err == nil || !strings.Contains(err.Error(), "or above") {
		t.Errorf("a cap below what is held: %v", err)
	}
	if err := l.SetCap(ctx, "team", proofbox.Total, 100); err != nil {
		t.Error(err)
	}
	for _, account := range []string{"", "/", "a/", "/a", "a//b"} {
		if err := l.SetCap(ctx, account, proofbox.Total, 1); err == nil {
			t.Errorf("%q is an account", account)
		}
	}
}

// TestClockSetBackGivesNothingAnew jumps back to yesterday.
func TestClockSetBackGivesNothingAnew(t *testing.T) { onEach(t, testClockSetBackGivesNothingAnew) }

func testClockSetBackGivesNothingAnew(t *testing.T, on base) {
	l, ctx := fresh(t, on), t.Context()
	if err := l.SetCap(ctx, "team", proofbox.Day, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reserve(ctx, claim(100, 0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-48 * time.Hour)
	spend.SetClock(l, func() time.Time { return before })
	if _, err := l.Reserve(ctx, claim(1, 0, 0, 0)); err == nil {
		t.Error("yesterday's money was there once more")
	}
}

// TestVerifyFindsWhatIsWrong alters a sound ledger, and one that was written
// without the check.
func TestVerifyFindsWhatIsWrong(t *testing.T) { onEach(t, testVerifyFindsWhatIsWrong) }

func testVerifyFindsWhatIsWrong(t *testing.T, on base) {
	for name, alter := range map[string]func(context.Context, *spend.Ledger) error{
		"a charge":    statement(`UPDATE balances SET charged = charged - 1`),
		"a hold":      statement(`UPDATE holds SET charge = NULL`),
		"an event":    statement(`UPDATE events SET amount = amount + 1 WHERE kind = 'hold'`),
		"a lost one":  statement(`DELETE FROM events WHERE kind = 'hold'`),
		"a balance":   statement(`DELETE FROM balances`),
		"a lower cap": statement(`UPDATE events SET amount = 10 WHERE kind = 'cap'`),
		"no check": func(ctx context.Context, l *spend.Ledger) error {
			return spend.Overspend(ctx, l, claim(1001, 0, 0, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, ctx := fresh(t, on), t.Context()
			if err := l.SetCap(ctx, "team", proofbox.Total, 1000); err != nil {
				t.Fatal(err)
			}
			h, err := l.Reserve(ctx, claim(100, 0, 0, 0))
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Settle(ctx, h.ID, 50); err != nil {
				t.Fatal(err)
			}
			sound(t, l)
			if err := alter(ctx, l); err != nil {
				t.Fatal(err)
			}
			if r, err := l.Verify(ctx); err != nil || r.OK || r.Problem == "" {
				t.Errorf("found %+v, %v", r, err)
			}
		})
	}
}

func statement(text string) func(context.Context, *spend.Ledger) error {
	return func(ctx context.Context, l *spend.Ledger) error { return spend.Alter(ctx, l, text) }
}

// TestThousandCallersAndOneCap lets a thousand callers, in two processes' worth
// of ledgers, run against one cap at once.
func TestThousandCallersAndOneCap(t *testing.T) { onEach(t, testThousandCallersAndOneCap) }

func testThousandCallersAndOneCap(t *testing.T, on base) {
	path := on.place(t)
	ledgers, ctx := []*spend.Ledger{open(t, path), open(t, path)}, t.Context()
	for _, l := range ledgers {
		spend.Patient(l)
	}
	const limit, each = 2500, 10
	if err := ledgers[0].SetCap(ctx, "team", proofbox.Total, limit); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for i := range 1000 {
		wg.Go(func() {
			_, err := ledgers[i%2].Reserve(ctx, claim(each, 0, 0, 0))
			if _, refused := errors.AsType[*spend.Refused](err); err != nil && !refused {
				t.Errorf("reserving: %v", err)
			}
			if err == nil {
				mu.Lock()
				got++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got != limit/each {
		t.Errorf("%d callers had money for %d", got, limit/each)
	}
	sound(t, ledgers[1])
}

// BenchmarkReserveAndSettle is what a call pays for being held and settled, alone
// and beside others.
func BenchmarkReserveAndSettle(b *testing.B) {
	for _, on := range []base{inFile, inPostgres} {
		for _, callers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d callers", on.name, callers), func(b *testing.B) { reserveAndSettle(b, on, callers) })
		}
	}
}

func reserveAndSettle(b *testing.B, on base, callers int) {
	l, ctx := fresh(b, on), b.Context()
	if err := l.SetCap(ctx, "team", proofbox.Total, 1e18); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism((callers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h, err := l.Reserve(ctx, claim(100, 0, 0, 0))
			if err == nil {
				err = l.Settle(ctx, h.ID, 50)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// TestFullDisk: what cannot be written is not held, and the ledger goes on when
// there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	l := fresh(t, inFile)
	pages := func(text string) {
		if err := spend.Alter(t.Context(), l, "PRAGMA max_page_count = "+text); err != nil {
			t.Fatal(err)
		}
	}
	pages("1") // no more than there are
	var err error
	held := 0
	for range 2000 {
		c := claim(1, 0, 0, 0)
		c.Detail = strings.Repeat("x", 100)
		if _, err = l.Reserve(t.Context(), c); err != nil {
			break
		}
		held++
	}
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Fatalf("%d holds fit on a full disk: %v", held, err)
	}
	pages("1000000")
	if _, err := l.Reserve(t.Context(), claim(1, 0, 0, 0)); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	if r := sound(t, l); r.Open != held+1 {
		t.Errorf("%d holds, want %d", r.Open, held+1)
	}
}

// TestLedgerThatHasGone: nothing is free because the file was removed, or another
// one is in its place.
func TestLedgerThatHasGone(t *testing.T) {
	t.Parallel()
	path := inFile.place(t)
	l := open(t, path)
	if _, err := l.Reserve(t.Context(), claim(1, 0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reserve(t.Context(), claim(1, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), "has gone") {
		t.Errorf("without its file: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reserve(t.Context(), claim(1, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), "another file") {
		t.Errorf("with another in its place: %v", err)
	}
}
