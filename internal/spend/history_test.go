package spend_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"proofbox"
	"proofbox/internal/spend"
)

// spenderEnv has this test binary spend until it is killed, in place of testing.
const spenderEnv = "PROOFBOX_TEST_SPENDER"

func TestMain(m *testing.M) {
	if path := os.Getenv(spenderEnv); path != "" {
		spendUntilKilled(path)
	}
	// Each history of TestModel is a database; more of them with -rapid.checks.
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	code := m.Run()
	if shared.Server != nil {
		if err := shared.Remove(); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// spendUntilKilled says "held" or, of a hold from a lease, "taken" each time before
// it goes on, so that whoever reads it knows that it, or its lease, is on the disk.
func spendUntilKilled(path string) {
	l, err := spend.Open(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for range 3 {
		go spendForEver(l)
	}
	spendForEver(l)
}

func spendForEver(l *spend.Ledger) {
	for i := 0; ; i++ {
		h, err := l.Reserve(context.Background(), spend.Claim{Account: "a/b", Owner: "x", Fixed: 7})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if h.Lease == 0 {
			fmt.Println("held")
		} else {
			fmt.Println("taken")
		}
		if i%2 == 0 {
			l.SettleSoon(h.ID, 3)
		} else if err := l.Settle(context.Background(), h.ID, 3); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

// TestKilledBetweenAnyTwoWrites kills real processes in the middle of their
// work. What they said they hold is there, and the ledger is sound.
func TestKilledBetweenAnyTwoWrites(t *testing.T) { onEach(t, testKilledBetweenAnyTwoWrites) }

func testKilledBetweenAnyTwoWrites(t *testing.T, on base) {
	path := on.place(t)
	l := open(t, path)
	if err := l.SetCap(t.Context(), "a", proofbox.Total, 1e9); err != nil {
		t.Fatal(err)
	}
	said := map[string]int{}
	for i := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), spenderEnv+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range i*7 + 1 {
			if !lines.Scan() || lines.Text() != "held" && lines.Text() != "taken" {
				t.Fatalf("the spender said %q", lines.Text())
			}
			said[lines.Text()]++
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said before it died
			said[lines.Text()]++
		}
		_ = cmd.Wait() // it was killed
		sound(t, l)
	}
	if _, err := l.Abandon(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	r := sound(t, l)
	charged, err := l.Charged(t.Context(), "a")
	if err != nil || charged < proofbox.Money(3*(said["held"]+said["taken"])) || said["taken"] == 0 || r.Open != 0 {
		t.Errorf("charged %s for the holds that were said, %v: %+v, %v", charged, said, r, err)
	}
}

// step is one operation of a history: a hold of an amount, or its settlement.
type step struct {
	settles bool
	amount  int64
	charge  int64
}

// account is the whole of what a cap is about: one number against another.
var account = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		spent, in, held := state.(int64), input.(step), output.(bool)
		switch {
		case in.settles:
			return true, spent - in.amount + in.charge
		case held:
			return spent+in.amount <= limit, spent + in.amount
		default:
			return spent+in.amount > limit, spent
		}
	},
	Equal: func(a, b any) bool { return a == b },
}

const limit = 100

// TestLinearizable has several callers on several ledgers, and asks whether what
// each was answered could have been answered one after the other.
func TestLinearizable(t *testing.T) { onEach(t, testLinearizable) }

func testLinearizable(t *testing.T, on base) {
	path := on.place(t)
	ledgers := []*spend.Ledger{open(t, path), open(t, path), open(t, path)}
	for _, l := range ledgers {
		spend.Patient(l)
	}
	if err := ledgers[0].SetCap(t.Context(), "a", proofbox.Total, limit); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var history []porcupine.Operation
	began := time.Now()
	note := func(client int, in step, call time.Duration, held bool) {
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{
			ClientId: client, Input: in, Call: int64(call), Output: held, Return: int64(time.Since(began)),
		})
	}
	var wg sync.WaitGroup
	leased := 0
	for client := range 6 {
		wg.Go(func() {
			l := ledgers[client%len(ledgers)]
			for i := range int64(30) {
				// Small ones, which are taken from leases, and some that need those of
				// others.
				amount := 1 + (i*7+int64(client)*13)%5
				if i%6 == 5 {
					amount = 40 + i
				}
				call := time.Since(began)
				h, err := l.Reserve(t.Context(), spend.Claim{Account: "a/b", Owner: "x", Fixed: proofbox.Money(amount)})
				note(client, step{amount: amount}, call, err == nil)
				if err != nil {
					continue
				}
				mu.Lock()
				leased += min(1, int(h.Lease))
				mu.Unlock()
				call = time.Since(began)
				charge := i % 2
				if err := l.Settle(t.Context(), h.ID, proofbox.Money(charge)); err != nil {
					t.Errorf("settling: %v", err)
				}
				note(client, step{settles: true, amount: amount, charge: charge}, call, true)
			}
		})
	}
	wg.Wait()
	if result := porcupine.CheckOperationsTimeout(account, history, 20*time.Second); result != porcupine.Ok {
		t.Errorf("the history of %d operations is %s", len(history), result)
	}
	if leased == 0 {
		t.Error("nothing was taken from a lease")
	}
	sound(t, ledgers[0])
}
