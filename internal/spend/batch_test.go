package spend_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"proofbox"
	"proofbox/internal/spend"
)

// TestCallersShareATransaction: of those who come while another waits for the
// disk, one is refused and one has gone; the others get their holds.
func TestCallersShareATransaction(t *testing.T) { onEach(t, testCallersShareATransaction) }

func testCallersShareATransaction(t *testing.T, on base) {
	l := fresh(t, on)
	if err := l.SetCap(t.Context(), "team", proofbox.Total, 1000); err != nil {
		t.Fatal(err)
	}
	commits := 0
	begun, commit := make(chan bool), make(chan bool)
	spend.CrashAt(l, func(name string) error {
		if name == "the end" {
			if commits++; commits == 1 {
				close(begun)
				<-commit
			}
		}
		return nil
	})
	gone, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	reserve := func(ctx context.Context, amount proofbox.Money, means func(error) bool) {
		all.Go(func() {
			if _, err := l.Reserve(ctx, claim(amount, 0, 0, 0)); !means(err) {
				t.Errorf("a claim of %d: %v", amount, err)
			}
		})
	}
	held := func(err error) bool { return err == nil }
	reserve(t.Context(), 1, held)
	<-begun
	for range 10 {
		reserve(t.Context(), 10, held)
	}
	reserve(t.Context(), 5000, func(err error) bool { _, ok := errors.AsType[*spend.Refused](err); return ok })
	reserve(gone, 7, func(err error) bool { return errors.Is(err, context.Canceled) })
	spend.Wait(l, 12)
	leave()
	close(commit)
	all.Wait()
	if commits != 2 {
		t.Errorf("%d transactions for 13 callers, want 2", commits)
	}
	list, err := l.Balances(t.Context())
	if err != nil || list[len(list)-1].Held != 101+spend.Free(l, "team") {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestSettleSoonIsSeenAtOnce: a caller whose last call is over finds all of the
// cap that it has not spent, although nobody has waited for the disk.
func TestSettleSoonIsSeenAtOnce(t *testing.T) { onEach(t, testSettleSoonIsSeenAtOnce) }

func testSettleSoonIsSeenAtOnce(t *testing.T, on base) {
	l := fresh(t, on)
	const limit = 300
	if err := l.SetCap(t.Context(), "team", proofbox.Total, limit); err != nil {
		t.Fatal(err)
	}
	for spent := range proofbox.Money(limit) {
		h, err := l.Reserve(t.Context(), claim(limit-spent, 0, 0, 0)) // all that is left
		if err != nil {
			t.Fatalf("after %d: %v", spent, err)
		}
		l.SettleSoon(h.ID, 1)
	}
	_, err := l.Reserve(t.Context(), claim(1, 0, 0, 0))
	if _, refused := errors.AsType[*spend.Refused](err); !refused {
		t.Errorf("beyond the cap: %v", err)
	}
}

// TestSettleSoonIsKept: what was asked for is done before the ledger is closed;
// where the process dies before, the hold stays and is charged in full.
func TestSettleSoonIsKept(t *testing.T) { onEach(t, testSettleSoonIsKept) }

func testSettleSoonIsKept(t *testing.T, on base) {
	path := on.place(t)
	charged := func(l *spend.Ledger) proofbox.Money {
		got, err := l.Charged(t.Context(), "team/anna")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	reserve := func(l *spend.Ledger) int64 {
		h, err := l.Reserve(t.Context(), claim(100, 0, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		return h.ID
	}
	l, err := spend.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	l.SettleSoon(reserve(l), 7)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = spend.Open(path); err != nil {
		t.Fatal(err)
	}
	spend.ByHand(l)
	if got := charged(l); got != 7 {
		t.Errorf("after it was closed, %d are charged", got)
	}
	// What cannot be written is not forgotten, and nobody spends meanwhile.
	full := errors.New("the disk is full")
	late := reserve(l)
	spend.CrashAt(l, func(name string) error {
		if name == "a settlement" {
			return full
		}
		return nil
	})
	l.SettleSoon(late, 7)
	if _, err := l.Reserve(t.Context(), claim(1, 0, 0, 0)); !errors.Is(err, full) {
		t.Errorf("a hold beside a settlement that has failed: %v", err)
	}
	spend.CrashAt(l, nil)
	if got := charged(l); got != 14 {
		t.Errorf("when there is room again, %d are charged", got)
	}
	lost := reserve(l)
	l.SettleSoon(lost, 7)
	if err := spend.Kill(l); err != nil {
		t.Fatal(err)
	}
	if l, err = spend.Open(path); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n, err := l.Abandon(t.Context(), claim(0, 0, 0, 0).Owner); n != 1 || err != nil || charged(l) != 114 {
		t.Errorf("%d abandoned, %v: %d charged", n, err, charged(l))
	}
}
