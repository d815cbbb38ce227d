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
func TestCallersShareATransaction(t *testing.T) {
	t.Parallel()
	l := fresh(t)
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
	if err != nil || list[len(list)-1].Held != 101 {
		t.Errorf("%+v, %v", list, err)
	}
}
