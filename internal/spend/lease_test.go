package spend_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"proofbox"
	"proofbox/internal/spend"
)

// busy has a ledger with a cap hold something for a call that goes on, so that a
// payer has a lease.
func busy(t *testing.T, l *spend.Ledger, limit proofbox.Money) []spend.Hold {
	t.Helper()
	if err := l.SetCap(t.Context(), "team", proofbox.Total, limit); err != nil {
		t.Fatal(err)
	}
	var holds []spend.Hold
	for range 3 {
		h, err := l.Reserve(t.Context(), claim(10, 0, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		holds = append(holds, h)
	}
	if holds[2].Lease == 0 || holds[1].Lease != 0 || spend.Free(l, "team") != 30 {
		t.Fatalf("the third of calls at once is not taken from a lease with 40: %+v, %d are free", holds, spend.Free(l, "team"))
	}
	return holds
}

func spent(t *testing.T, l *spend.Ledger) proofbox.Balance {
	t.Helper()
	list, err := l.Balances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		if b.Account == "team" && b.Period == "total" {
			return b
		}
	}
	t.Fatal("team has no balance")
	return proofbox.Balance{}
}

// TestLeaseNeedsNoDisk: calls at once are held and settled without a single write,
// with what they do not use coming back, and are all in the ledger afterwards.
func TestLeaseNeedsNoDisk(t *testing.T) { onEach(t, testLeaseNeedsNoDisk) }

func testLeaseNeedsNoDisk(t *testing.T, on base) {
	l := fresh(t, on)
	spend.ByHand(l)
	holds := busy(t, l, 1000)
	spend.CrashAt(l, func(name string) error { return errors.New(name + " was written") })
	for range 20 {
		h, err := l.Reserve(t.Context(), claim(10, 0, 0, 0))
		if err != nil || h.Lease == 0 {
			t.Fatalf("held %+v, %v", h, err)
		}
		if b := h.Balances[0]; b.Charged+b.Held != 60 || *b.Cap != 1000 {
			t.Errorf("its certificate says %+v", b)
		}
		l.SettleSoon(h.ID, 1)
	}
	// There are 10 left, and this is not enough.
	if _, err := l.Reserve(t.Context(), claim(11, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), "was written") {
		t.Errorf("more than the lease has: %v", err)
	}
	// A ledger that cannot be written is not spent from, whatever is set aside.
	if _, err := l.Reserve(t.Context(), claim(10, 0, 0, 0)); err == nil {
		t.Error("something was held that nobody will be able to write down")
	}
	spend.CrashAt(l, func(name string) error {
		if name == "the end of a lease" {
			return errors.New("the disk is full")
		}
		return nil
	})
	if _, err := l.Reserve(t.Context(), claim(945, 0, 0, 0)); err == nil {
		t.Error("a lease was given back that could not be")
	}
	spend.CrashAt(l, nil)
	if err := spend.Tend(l); err != nil || spend.Free(l, "team") != 10 {
		t.Errorf("when there is room again, %d are set aside, %v", spend.Free(l, "team"), err)
	}
	if h, err := l.Reserve(t.Context(), claim(10, 0, 0, 0)); err != nil || h.Lease == 0 {
		t.Errorf("when there is room again: %+v, %v", h, err)
	} else {
		l.SettleSoon(h.ID, 0)
	}
	if b := spent(t, l); b.Charged != 20 || b.Held != 40 {
		t.Errorf("the balance is %+v", b)
	}
	calls, err := l.History(t.Context(), "team", 100)
	if err != nil || len(calls) != 24 || calls[1].Charged != 1 || calls[0].End < calls[0].Begin || calls[23].ID != holds[0].ID {
		t.Errorf("the history is %+v, %v", calls, err)
	}
	for _, h := range holds {
		l.SettleSoon(h.ID, 2)
	}
	if n, err := l.Abandon(t.Context(), "run"); n != 0 || err != nil || spent(t, l).Charged != 26 || spent(t, l).Held != 0 {
		t.Errorf("at the end of the run: %d, %v, %+v", n, err, spent(t, l))
	}
	sound(t, l)
}

// TestLeaseOfTheDead: what a process has set aside is held after its death, and
// charged in full with the rest.
func TestLeaseOfTheDead(t *testing.T) { onEach(t, testLeaseOfTheDead) }

func testLeaseOfTheDead(t *testing.T, on base) {
	path := on.place(t)
	l := open(t, path)
	spend.ByHand(l)
	holds := busy(t, l, 1000)
	l.SettleSoon(holds[0].ID, 1) // which nobody will ever know
	if err := spend.Kill(l); err != nil {
		t.Fatal(err)
	}
	l = open(t, path)
	if b := spent(t, l); b.Held != 60 || b.Charged != 0 {
		t.Errorf("after its death: %+v", b)
	}
	sound(t, l)
	// Two holds were written, and the lease of 40 is one more.
	if n, err := l.Abandon(t.Context(), "run"); n != 3 || err != nil || spent(t, l).Charged != 60 || spent(t, l).Held != 0 {
		t.Errorf("abandoned %d, %v: %+v", n, err, spent(t, l))
	}
	calls, err := l.History(t.Context(), "team", 100)
	if err != nil || len(calls) != 3 || calls[0].Charged != 40 || !strings.Contains(calls[0].Detail, "died") {
		t.Errorf("the history is %+v, %v", calls, err)
	}
	sound(t, l)
}

// TestLeaseOfOneTakenForDead: a process whose holds were charged by another, which
// took it for dead, spends no more than was charged.
func TestLeaseOfOneTakenForDead(t *testing.T) { onEach(t, testLeaseOfOneTakenForDead) }

func testLeaseOfOneTakenForDead(t *testing.T, on base) {
	path := on.place(t)
	l, other := open(t, path), open(t, path)
	spend.ByHand(l)
	holds := busy(t, l, 1000)
	if n, err := other.Abandon(t.Context(), "run"); n != 3 || err != nil || spent(t, other).Charged != 60 {
		t.Fatalf("abandoned %d, %v: %+v", n, err, spent(t, other))
	}
	l.SettleSoon(holds[0].ID, 1)
	taken := proofbox.Money(0)
	for {
		h, err := l.Reserve(t.Context(), claim(10, 0, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if h.Lease == 0 {
			break // by itself, and so counted
		}
		l.SettleSoon(h.ID, 10)
		taken += 10
	}
	if b := spent(t, other); taken != 30 || b.Charged != 60 || b.Held < 10 {
		t.Errorf("it has spent %d of the 60 that are charged, and what came then: %+v", taken+30, b)
	}
	sound(t, other)
	if err := spend.Tend(l); err != nil {
		t.Fatal(err)
	}
	if h, err := l.Reserve(t.Context(), claim(10, 0, 0, 0)); err != nil || h.Lease == holds[2].Lease {
		t.Errorf("held %+v, %v", h, err)
	}
	sound(t, l)
}

// TestLeaseIsGivenUpToOthers: a process finds all that another has set aside and
// does not use, and itself, what it has.
func TestLeaseIsGivenUpToOthers(t *testing.T) { onEach(t, testLeaseIsGivenUpToOthers) }

func testLeaseIsGivenUpToOthers(t *testing.T, on base) {
	path := on.place(t)
	l, other := open(t, path), open(t, path)
	now := time.Now()
	for _, l := range []*spend.Ledger{l, other} {
		spend.SetClock(l, func() time.Time { return now }) // nothing is unused for long
	}
	spend.Patient(other)
	busy(t, l, 200)
	c := claim(170, 0, 0, 0)
	c.Owner = "other"
	h, err := other.Reserve(t.Context(), c)
	if err != nil || h.Amount != 170 {
		t.Fatalf("of 200, 30 are held: %+v, %v", h, err)
	}
	if _, err := other.Reserve(t.Context(), c); err == nil {
		t.Error("there were 170 more")
	}
	if err := other.Settle(t.Context(), h.ID, 0); err != nil {
		t.Fatal(err)
	}
	// Nobody sets anything aside where others have had a use for it.
	if h, err := l.Reserve(t.Context(), claim(10, 0, 0, 0)); err != nil || h.Lease != 0 || spend.Free(l, "team") != 0 {
		t.Errorf("held %+v, %v, and %d set aside", h, err, spend.Free(l, "team"))
	}
	if h, err := other.Reserve(t.Context(), claim(0, 1, 1000, 1)); err != nil || h.Amount != 160 {
		t.Errorf("the rest: %+v, %v", h, err)
	}
	sound(t, l)
}

// TestLeaseOfOneIsNotTheOthersLoss: who has spent all of a cap that is its own takes
// nothing from others, however often it asks.
func TestLeaseOfOneIsNotTheOthersLoss(t *testing.T) { onEach(t, testLeaseOfOneIsNotTheOthersLoss) }

func testLeaseOfOneIsNotTheOthersLoss(t *testing.T, on base) {
	l := fresh(t, on)
	spend.ByHand(l)
	busy(t, l, 1000)
	if err := l.SetCap(t.Context(), "team/bob", proofbox.Total, 5); err != nil {
		t.Fatal(err)
	}
	c := claim(10, 0, 0, 0)
	c.Account, c.Owner = "team/bob", "bob"
	if _, err := l.Reserve(t.Context(), c); err == nil {
		t.Fatal("bob has 5")
	}
	if free := spend.Free(l, "team/anna"); free != 30 {
		t.Errorf("%d are set aside for anna after bob was refused", free)
	}
}

// TestLeaseOfTheDeadIsNotWaitedForLong: who needs what a dead process had set aside
// is refused in the end, and nobody is for ever.
func TestLeaseOfTheDeadIsNotWaitedForLong(t *testing.T) {
	onEach(t, testLeaseOfTheDeadIsNotWaitedForLong)
}

func testLeaseOfTheDeadIsNotWaitedForLong(t *testing.T, on base) {
	path := on.place(t)
	l, other := open(t, path), open(t, path)
	spend.ByHand(l)
	busy(t, l, 200)
	if err := spend.Kill(l); err != nil {
		t.Fatal(err)
	}
	_, err := other.Reserve(t.Context(), claim(141, 0, 0, 0))
	if refused, ok := errors.AsType[*spend.Refused](err); !ok || refused.Left != 140 {
		t.Errorf("beside the lease of a dead process: %v", err)
	}
	if err := other.SetCap(t.Context(), "team", proofbox.Total, 59); err == nil {
		t.Error("a cap below what a dead process holds")
	}
}

// TestOnlyItsProcessSettlesALease: what one process has in its memory, another
// does not free.
func TestOnlyItsProcessSettlesALease(t *testing.T) { onEach(t, testOnlyItsProcessSettlesALease) }

func testOnlyItsProcessSettlesALease(t *testing.T, on base) {
	path := on.place(t)
	l, other := open(t, path), open(t, path)
	spend.ByHand(l)
	holds := busy(t, l, 1000)
	if err := spend.Tend(l); err != nil {
		t.Fatal(err)
	}
	if err := other.Settle(t.Context(), holds[2].ID, 1); err == nil {
		t.Error("another process has settled it")
	}
	if err := l.Settle(t.Context(), holds[2].ID, 1); err != nil {
		t.Error(err)
	}
	sound(t, other)
}

// TestLeaseIsGivenBack where it is of no use: nobody has used it for a while, or
// it was ended by somebody else. One whose ledger has gone is of none at once.
func TestLeaseIsGivenBack(t *testing.T) { onEach(t, testLeaseIsGivenBack) }

func testLeaseIsGivenBack(t *testing.T, on base) {
	for name, end := range map[string]func(l *spend.Ledger, path string) error{
		"unused": func(l *spend.Ledger, _ string) error {
			spend.SetClock(l, func() time.Time { return time.Now().Add(2 * time.Second) })
			return spend.Tend(l)
		},
		"ended": func(l *spend.Ledger, path string) error {
			other := open(t, path)
			_, err := other.Abandon(t.Context(), "run")
			return errors.Join(err, spend.Tend(l))
		},
		"gone": func(_ *spend.Ledger, path string) error { return os.Rename(path, path+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "gone" && on.name != inFile.name {
				return // it has no file: TestLedgerThatIsAnother
			}
			path := on.place(t)
			l := open(t, path)
			spend.ByHand(l)
			busy(t, l, 1000)
			if err := end(l, path); err != nil {
				t.Fatal(err)
			}
			h, err := l.Reserve(t.Context(), claim(10, 0, 0, 0))
			if h.Lease != 0 || (err != nil) != (name == "gone") {
				t.Errorf("held %+v, %v", h, err)
			}
		})
	}
}

// TestLeaseEndsWithItsDay: tomorrow's calls count for tomorrow.
func TestLeaseEndsWithItsDay(t *testing.T) { onEach(t, testLeaseEndsWithItsDay) }

func testLeaseEndsWithItsDay(t *testing.T, on base) {
	l := fresh(t, on)
	spend.ByHand(l)
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	spend.SetClock(l, func() time.Time { return noon })
	busy(t, l, 1000)
	spend.SetClock(l, func() time.Time { return noon.Add(12 * time.Hour) })
	h, err := l.Reserve(t.Context(), claim(10, 0, 0, 0))
	if err != nil || h.Lease != 0 {
		t.Errorf("held %+v, %v", h, err)
	}
	if err := spend.Tend(l); err != nil || spend.Free(l, "team") != 0 {
		t.Errorf("yesterday's lease has %d, %v", spend.Free(l, "team"), err)
	}
	list, err := l.Balances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		if want, ok := map[string]proofbox.Money{"day 2026-01-01": 30, "day 2026-01-02": 10, "total": 40}[b.Period]; ok && b.Held != want {
			t.Errorf("%+v, want %d", b, want)
		}
	}
	sound(t, l)
}

// TestLedgerOfBeforeLeases: such a ledger is read, and one of a later proofbox is
// not.
func TestLedgerOfBeforeLeases(t *testing.T) {
	t.Parallel()
	path := inFile.place(t)
	alter := func(text string) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	l := open(t, path)
	if _, err := l.Reserve(t.Context(), claim(100, 0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	alter(`ALTER TABLE events DROP COLUMN lease; DROP TABLE leases; PRAGMA user_version = 0`)
	l = open(t, path)
	busy(t, l, 1000)
	if r := sound(t, l); r.Open != 4 {
		t.Errorf("%d holds are open", r.Open)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	alter(`PRAGMA user_version = 1000`)
	if _, err := spend.Open(path); err == nil || !strings.Contains(err.Error(), "version 1000") {
		t.Errorf("opened what is of a later version: %v", err)
	}
}

// TestLeasesOfMany has many callers of several payers at once, and leases must
// not change what they can spend: all of the cap, to within one call.
func TestLeasesOfMany(t *testing.T) { onEach(t, testLeasesOfMany) }

func testLeasesOfMany(t *testing.T, on base) {
	path := on.place(t)
	ledgers := []*spend.Ledger{open(t, path), open(t, path)}
	const limit, each, charge = 30_000, 10, 7
	for _, l := range ledgers {
		spend.Patient(l)
		if err := l.SetCap(t.Context(), "a", proofbox.Total, limit); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	leased, made := 0, 0
	spendAll := func(l *spend.Ledger, c spend.Claim) {
		for {
			h, err := l.Reserve(context.Background(), c)
			if _, refused := errors.AsType[*spend.Refused](err); refused {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			made++
			if h.Lease != 0 {
				leased++
			}
			mu.Unlock()
			l.SettleSoon(h.ID, charge)
		}
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			spendAll(ledgers[i%2], spend.Claim{Account: "a/" + string(rune('b'+i%3)), Owner: string(rune('x' + i%2)), Fixed: each})
		})
	}
	wg.Wait()
	if err := spend.Tend(ledgers[1]); err != nil {
		t.Fatal(err)
	}
	spendAll(ledgers[0], spend.Claim{Account: "a/b", Owner: "x", Fixed: each}) // the last dollar
	charged, err := ledgers[0].Charged(t.Context(), "a")
	if err != nil || charged != proofbox.Money(made)*charge || charged+each <= limit {
		t.Errorf("%d calls were made and %d are charged of %d, %v", made, charged, limit, err)
	}
	if leased < made/2 {
		t.Errorf("%d of %d calls were taken from leases", leased, made)
	}
	sound(t, ledgers[0])
}
