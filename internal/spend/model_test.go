package spend_test

import (
	"context"
	"errors"
	"flag"
	"maps"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/spend"
)

// errCrash is the death of the process.
var errCrash = errors.New("the process dies")

// TestModel draws histories of caps, holds, leases, settlements that are waited
// for and that are not, and crashes between any two writes, by two processes, and
// holds the ledger against a model that fits on a page.
//
// It runs beside no other test, because how many histories there are is a setting of all.
func TestModel(t *testing.T) {
	t.Run(inFile.name, func(t *testing.T) { testModel(t, inFile) })
	t.Run(inPostgres.name, func(t *testing.T) {
		checks := flag.Lookup("rapid.checks").Value
		n, err := strconv.Atoi(checks.String())
		if err != nil {
			t.Fatal(err)
		}
		defer checks.Set(strconv.Itoa(n))
		if err := checks.Set(strconv.Itoa(max(1, n/4))); err != nil { // each start of a process is one of the server's
			t.Fatal(err)
		}
		testModel(t, inPostgres)
	})
}

func testModel(t *testing.T, on base) {
	leased, place := int64(0), func() string { return on.place(t) }
	rapid.Check(t, func(t *rapid.T) {
		m := &model{t: t, on: on, path: place(), spent: map[string]proofbox.Money{}, caps: map[string]proofbox.Money{}}
		m.open(&m.reader)
		for i := range m.processes {
			m.processes[i] = &process{owner: string(rune('x' + i))}
			m.start(m.processes[i])
		}
		defer func() {
			for _, p := range m.processes {
				_ = p.ledger.Close()
			}
			_ = m.reader.Close()
			leased += m.leased
		}()
		t.Repeat(map[string]func(*rapid.T){
			"cap": m.cap, "reserve": m.reserve, "reserve more": m.reserve, "lease": m.lease, "settle one more": m.settle, "settle one more soon": m.settleSoon, "settle": m.settle, "settle soon": m.settleSoon,
			"tend": m.tend, "restart": m.restart, "abandon": m.abandon, "kill": m.kill, "": m.check,
		})
	})
	if leased == 0 {
		t.Error("no history has a hold from a lease")
	}
}

// model is what the ledger should be: total caps only, in three accounts.
type model struct {
	t         *rapid.T
	on        base
	path      string
	reader    *spend.Ledger // takes no part
	processes [2]*process
	spent     map[string]proofbox.Money // charged and held, by account
	caps      map[string]proofbox.Money
	leased    int64 // holds that were taken from leases
}

// process is one that spends.
type process struct {
	owner  string
	ledger *spend.Ledger
	left   int // writes before it dies
	holds  map[int64]held
	// freed is what was settled, is in no lease and may not be in the database.
	freed map[string]proofbox.Money
}

type held struct {
	account string
	amount  proofbox.Money
}

var accounts = []string{"a", "a/b", "a/c"}

func above(account string) []string {
	if account == "a" {
		return []string{"a"}
	}
	return []string{"a", account}
}

func (m *model) open(l **spend.Ledger) {
	var err error
	if *l, err = spend.Open(m.path); err != nil {
		m.t.Fatal(err)
	}
	spend.ByHand(*l)
	if err := spend.Alter(context.Background(), *l, m.on.quick); err != nil {
		m.t.Fatal(err)
	}
}

// start is the beginning of a process. What the one before has left is settled,
// and then it may die, too.
func (m *model) start(p *process) {
	m.open(&p.ledger)
	m.forget(p)
	if _, err := p.ledger.Abandon(context.Background(), p.owner); err != nil {
		m.t.Fatal(err)
	}
	p.left = rapid.IntRange(1, 250).Draw(m.t, "writes before the crash")
	spend.CrashAt(p.ledger, func(string) error {
		if p.left--; p.left <= 0 {
			return errCrash // and nothing is written after it
		}
		return nil
	})
}

// forget makes all that a process has not settled a charge.
func (m *model) forget(p *process) { p.holds, p.freed = map[int64]held{}, map[string]proofbox.Money{} }

// die kills a process. What it had set aside, and what it had freed without
// having it on the disk, is lost money, and no more than that.
func (m *model) die(p *process) {
	for _, a := range accounts {
		m.spent[a] += spend.Free(p.ledger, a) + p.freed[a]
	}
	if err := spend.Kill(p.ledger); err != nil {
		m.t.Fatal(err)
	}
	m.start(p)
}

// survived says whether a step happened; after a crash it has not. A step that
// did has written all that was known before.
func (m *model) survived(p *process, err error) bool {
	if errors.Is(err, errCrash) {
		m.die(p)
		return false
	}
	p.freed = map[string]proofbox.Money{}
	return true
}

func (m *model) one(t *rapid.T) (p, other *process) {
	i := rapid.IntRange(0, 1).Draw(t, "process")
	return m.processes[i], m.processes[1-i]
}

// aside is what nobody but a process can spend.
func (p *process) aside(account string) proofbox.Money {
	return spend.Free(p.ledger, account) + p.freed[account]
}

func (m *model) cap(t *rapid.T) {
	p, other := m.one(t)
	account := rapid.SampledFrom(accounts).Draw(t, "account")
	amount := proofbox.Money(rapid.Int64Range(0, 4000).Draw(t, "cap"))
	err := p.ledger.SetCap(context.Background(), account, proofbox.Total, amount)
	if !m.survived(p, err) {
		return
	}
	if spent := m.spent[account] + other.aside(account); (err == nil) != (amount >= spent) {
		t.Fatalf("a cap of %d where %d is spent: %v", amount, spent, err)
	}
	if err == nil {
		m.caps[account] = amount
	}
}

func (m *model) reserve(t *rapid.T) {
	p, other := m.one(t)
	c := spend.Claim{
		Account: rapid.SampledFrom([]string{"a/b", "a/c"}).Draw(t, "account"), Owner: p.owner,
		Fixed: proofbox.Money(rapid.Int64Range(0, 200).Draw(t, "fixed")), Each: proofbox.Money(rapid.Int64Range(0, 5).Draw(t, "each")),
		Least: rapid.Int64Range(0, 5).Draw(t, "least"),
	}
	c.Units = c.Least + rapid.Int64Range(0, 100).Draw(t, "more")
	for range rapid.IntRange(1, 6).Draw(t, "calls") {
		if !m.reserveOne(t, p, other, c) {
			return
		}
	}
}

// reserveOne says whether the process lives on.
func (m *model) reserveOne(t *rapid.T, p, other *process, c spend.Claim) bool {
	h, err := p.ledger.Reserve(context.Background(), c)
	if h.Lease == 0 && !m.survived(p, err) {
		return false
	}
	want := c.Units
	for want >= c.Least && !m.fits(c.Account, spend.Cost(c, want), other) {
		want--
	}
	if fits := want >= c.Least; (err == nil) != fits || fits && h.Units != want {
		t.Fatalf("%+v: held %+v, %v; want %d units, %t", c, h, err, want, fits)
	}
	if err == nil {
		p.holds[h.ID] = held{c.Account, h.Amount}
		m.count(c.Account, h.Amount)
		m.leased += min(1, h.Lease)
	}
	return true
}

func (m *model) fits(account string, amount proofbox.Money, other *process) bool {
	for _, a := range above(account) {
		if limit, ok := m.caps[a]; ok && m.spent[a]+other.aside(a)+amount > limit {
			return false
		}
	}
	return true
}

func (m *model) count(account string, amount proofbox.Money) {
	for _, a := range above(account) {
		m.spent[a] += amount
	}
}

// lease has a process set something aside, as it would with many calls at once.
func (m *model) lease(t *rapid.T) {
	p, _ := m.one(t)
	account := rapid.SampledFrom([]string{"a/b", "a/c"}).Draw(t, "account")
	err := spend.Fill(p.ledger, account, p.owner, proofbox.Money(rapid.Int64Range(1, 300).Draw(t, "amount")))
	if m.survived(p, err) && err != nil {
		t.Fatal(err)
	}
}

// any draws one of a process's holds; there may be none.
func (m *model) any(t *rapid.T, p *process) (id int64, h held, ok bool) {
	if len(p.holds) == 0 {
		return 0, held{}, false
	}
	id = rapid.SampledFrom(slices.Sorted(maps.Keys(p.holds))).Draw(t, "hold")
	return id, p.holds[id], true
}

func (m *model) settle(t *rapid.T) {
	p, _ := m.one(t)
	id, h, ok := m.any(t, p)
	if !ok {
		return
	}
	charge := proofbox.Money(rapid.Int64Range(0, int64(h.amount)+10).Draw(t, "charge"))
	err := p.ledger.Settle(context.Background(), id, charge)
	if !m.survived(p, err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	delete(p.holds, id)
	m.count(h.account, min(charge, h.amount)-h.amount)
}

func (m *model) settleSoon(t *rapid.T) {
	p, _ := m.one(t)
	id, h, ok := m.any(t, p)
	if !ok {
		return
	}
	charge := proofbox.Money(rapid.Int64Range(0, int64(h.amount)+10).Draw(t, "charge"))
	before := spend.Free(p.ledger, h.account)
	p.ledger.SettleSoon(id, charge)
	delete(p.holds, id)
	rest := h.amount - min(charge, h.amount)
	m.count(h.account, -rest)
	// What does not go back to a lease is the account's when it is written.
	rest -= spend.Free(p.ledger, h.account) - before
	for _, a := range above(h.account) {
		p.freed[a] += rest
	}
}

func (m *model) tend(t *rapid.T) {
	p, _ := m.one(t)
	if err := spend.Tend(p.ledger); m.survived(p, err) && err != nil {
		t.Fatal(err)
	}
}

// restart ends a process as it should. Its holds are charged by the next.
func (m *model) restart(t *rapid.T) {
	p, _ := m.one(t)
	spend.CrashAt(p.ledger, nil)
	if err := p.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	m.start(p)
}

func (m *model) kill(t *rapid.T) {
	p, _ := m.one(t)
	m.die(p)
}

func (m *model) abandon(t *rapid.T) {
	p, _ := m.one(t)
	n, err := p.ledger.Abandon(context.Background(), p.owner)
	if !m.survived(p, err) {
		return
	}
	if err != nil || n != len(p.holds) {
		t.Fatalf("%d abandoned of %d, %v", n, len(p.holds), err)
	}
	m.forget(p)
}

// check looks at what is on the disk, from outside.
func (m *model) check(t *rapid.T) {
	sound(t, m.reader)
	list, err := m.reader.Balances(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		want := m.spent[b.Account]
		for _, p := range m.processes {
			want += p.aside(b.Account)
		}
		if b.Period == string(proofbox.Total) && b.Charged+b.Held != want {
			t.Fatalf("%+v, want %d in all", b, want)
		}
		if b.Cap != nil && b.Period == string(proofbox.Total) && b.Charged+b.Held > *b.Cap {
			t.Fatalf("%+v is over its cap", b)
		}
	}
}
