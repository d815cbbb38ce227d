package spend

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"proofbox"
)

// tx is one transaction of the ledger, the only one of its process.
type tx struct {
	*Ledger
	ctx context.Context
	at  int64 // nanoseconds since 1970: now, but never before what was

	grabbed  []*record // that were written
	shut     []*lease  // that were given back
	needs    map[payer]proofbox.Money
	extended []extension
}

// begin takes the time. A clock that was set back must not give a day its money
// anew.
func (t *tx) begin(now time.Time) error {
	var last int64
	if _, err := t.one(`SELECT at FROM events ORDER BY seq DESC LIMIT 1`, nil, []any{&last}); err != nil {
		return err
	}
	t.at = max(last, now.UnixNano())
	return nil
}

// undo undoes what was written, if a transaction is open at all. Where it cannot, the
// connection is given up, with which the transaction ends.
func (t *tx) undo() {
	if t.conn == nil {
		return
	}
	_, err := t.conn.ExecContext(t.ctx, `ROLLBACK`)
	if err != nil && !strings.Contains(err.Error(), "no transaction is active") {
		t.disconnect()
	}
}

// before is asked before each write.
func (t *tx) before(name string) error {
	if t.step == nil {
		return nil
	}
	return t.step(name)
}

// prepared gives a statement that is read only once for all transactions.
func (t *tx) prepared(query string) (*sql.Stmt, error) {
	if s := t.statements[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, fmt.Errorf("preparing a statement of the ledger: %w", err)
	}
	t.statements[query] = s
	return s, nil
}

// one reads the first row of an answer; it says whether there was one.
func (t *tx) one(query string, args, into []any) (bool, error) {
	s, err := t.prepared(query)
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(t.ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the ledger: %w", err)
	}
	return true, nil
}

// all reads every row of an answer.
func (t *tx) all(query string, args []any, read func(scan func(...any) error) error) error {
	s, err := t.prepared(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(t.ctx, args...)
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows.Scan); err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	return nil
}

// write makes one change. name says to which table.
func (t *tx) write(name, query string, args ...any) (sql.Result, error) {
	s, err := t.prepared(query)
	if err != nil {
		return nil, err
	}
	if err := t.before(name); err != nil {
		return nil, err
	}
	r, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("writing %s to the ledger: %w", name, err)
	}
	return r, nil
}

// insert makes a row and gives its number. name says in which table.
func (t *tx) insert(name, query string, args ...any) (id int64, err error) {
	if err := t.before(name); err != nil {
		return 0, err
	}
	if _, err := t.one(query+` RETURNING id`, args, []any{&id}); err != nil {
		return 0, fmt.Errorf("writing %s: %w", name, err)
	}
	return id, nil
}

// scopes gives an account and every one above it.
func scopes(account string) []string {
	var list []string
	for i, c := range account {
		if c == '/' {
			list = append(list, account[:i])
		}
	}
	return append(list, account)
}

// spans gives the three periods that a moment is in, as keys.
func spans(at int64) []string {
	t := time.Unix(0, at).UTC()
	return []string{
		string(proofbox.Total),
		string(proofbox.Day) + t.Format(" 2006-01-02"),
		string(proofbox.Month) + t.Format(" 2006-01"),
	}
}

// kindOf gives the kind of a period.
func kindOf(span string) string {
	kind, _, _ := strings.Cut(span, " ")
	return kind
}

// list writes names for the database, see names of [base].
func list(names []string) string {
	text, err := json.Marshal(names)
	if err != nil {
		panic(fmt.Sprintf("spend: encoding names: %v", err))
	}
	return string(text)
}

// capped gives the balances of an account, and of those above it, that have a
// cap.
func (t *tx) capped(account string) ([]proofbox.Balance, error) {
	found := []proofbox.Balance{}
	err := t.all(`SELECT c.account, p.value, c.amount, COALESCE(b.charged, 0), COALESCE(b.held, 0)
		FROM `+t.base.names("$1", "a")+` JOIN caps c ON c.account = a.value
		JOIN `+t.base.names("$2", "p")+` ON c.period = p.value OR p.value LIKE c.period || ' %'
		LEFT JOIN balances b ON b.account = c.account AND b.period = p.value
		ORDER BY a.key, p.key`, []any{list(scopes(account)), list(spans(t.at))}, func(scan func(...any) error) error {
		b := proofbox.Balance{Cap: new(proofbox.Money)}
		err := scan(&b.Account, &b.Period, b.Cap, &b.Charged, &b.Held)
		found = append(found, b)
		return err
	})
	return found, err
}

// tightest says which of some balances leaves the least, and how much.
func tightest(balances []proofbox.Balance) *Refused {
	least := &Refused{Left: math.MaxInt64}
	for _, b := range balances {
		if left := *b.Cap - b.Charged - b.Held; left < least.Left {
			least = &Refused{Account: b.Account, Period: b.Period, Cap: *b.Cap, Left: left}
		}
	}
	return least
}

// hold writes a hold and counts it.
func (t *tx) hold(c Claim, amount proofbox.Money) (int64, error) {
	id, err := t.insert("a hold", `INSERT INTO holds (account, owner, at, amount, detail) VALUES ($1, $2, $3, $4, $5)`, c.Account, c.Owner, t.at, amount, c.Detail)
	if err != nil {
		return 0, err
	}
	if err := t.count(c.Account, t.at, 0, amount); err != nil {
		return 0, err
	}
	return id, t.event(entry{kind: eventHold, account: c.Account, hold: id, amount: amount})
}

// entry is what an event says.
type entry struct {
	kind, account, period string
	hold, lease           int64
	amount                proofbox.Money
	reported              *proofbox.Money
}

func (t *tx) event(e entry) error {
	_, err := t.write("an event", `INSERT INTO events (at, kind, account, period, hold, amount, reported, lease) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		t.at, e.kind, e.account, e.period, e.hold, e.amount, e.reported, e.lease)
	return err
}

// changed says whether a write has found what it was for.
func changed(r sql.Result) bool {
	n, err := r.RowsAffected()
	return err != nil || n > 0
}

// count changes the balances of an account and of those above it, in the periods
// of a moment.
func (t *tx) count(account string, at int64, charged, held proofbox.Money) error {
	_, err := t.write("the balances", `INSERT INTO balances (account, period, charged, held)
		SELECT a.value, p.value, CAST($1 AS BIGINT), CAST($2 AS BIGINT) FROM `+t.base.names("$3", "a")+`, `+t.base.names("$4", "p")+` WHERE true
		ON CONFLICT (account, period) DO UPDATE SET charged = balances.charged + excluded.charged, held = balances.held + excluded.held`,
		charged, held, list(scopes(account)), list(spans(at)))
	return err
}

// settle charges a hold, which may be this process's own. What it counts for are
// the periods in which it was taken.
func (t *tx) settle(hold int64, charge proofbox.Money, own bool) error {
	var account, owner string
	var at int64
	var amount proofbox.Money
	var before sql.NullInt64
	found, err := t.one(`SELECT account, owner, at, amount, charge FROM holds WHERE id = $1`, []any{hold}, []any{&account, &owner, &at, &amount, &before})
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: the ledger has no hold %d", errSettled, hold)
	}
	reported := charge
	charge = min(charge, amount)
	if before.Valid && proofbox.Money(before.Int64) == charge {
		return nil
	}
	if before.Valid {
		return fmt.Errorf("%w: hold %d is settled already, with %s USD", errSettled, hold, proofbox.Money(before.Int64))
	}
	if !own && charge < amount {
		if err := t.nobodys(payer{account, owner}, hold); err != nil {
			return err
		}
	}
	if _, err := t.write("a settlement", `UPDATE holds SET charge = $1 WHERE id = $2`, charge, hold); err != nil {
		return err
	}
	if err := t.count(account, at, charge, -amount); err != nil {
		return err
	}
	return t.event(entry{kind: eventSettle, account: account, hold: hold, amount: charge, reported: &reported})
}

// nobodys refuses to free what another process may have taken from its lease, and will
// take again when the hold is settled there.
func (t *tx) nobodys(p payer, hold int64) error {
	own := int64(0)
	t.mu.Lock()
	if s := t.leases[p]; s != nil {
		own = s.id
	}
	t.mu.Unlock()
	other, err := t.one(`SELECT id FROM leases WHERE account = $1 AND owner = $2 AND id <> $3`, []any{p.account, p.owner, own}, []any{new(int64)})
	if err == nil && other {
		err = fmt.Errorf("%w: hold %d is of another process, which has to settle it, or all that is %s's has to be abandoned", errSettled, hold, p.owner)
	}
	return err
}

// errSettled is that there is nothing to settle.
var errSettled = errors.New("nothing is held")

// openHold is a hold that is not settled.
type openHold struct {
	id     int64
	amount proofbox.Money
}

func (t *tx) open(owner string) (holds []openHold, err error) {
	err = t.all(`SELECT id, amount FROM holds WHERE owner = $1 AND charge IS NULL ORDER BY id`, []any{owner}, func(scan func(...any) error) error {
		var h openHold
		err := scan(&h.id, &h.amount)
		holds = append(holds, h)
		return err
	})
	return holds, err
}

// setCap caps an account. That the account is over it already is refused, and no
// error, see reserve.
func (t *tx) setCap(account string, period proofbox.Period, amount proofbox.Money, last bool) (refused error, again bool, err error) {
	i := slices.Index(proofbox.Periods, period)
	if i < 0 || amount < 0 {
		panic(fmt.Sprintf("spend: a cap of %s USD in each %q", amount, period))
	}
	span := spans(t.at)[i]
	var charged, held proofbox.Money
	ok, again, err := t.room(func() (short string, err error) {
		_, err = t.one(`SELECT charged, held FROM balances WHERE account = $1 AND period = $2`, []any{account, span}, []any{&charged, &held})
		if charged+held > amount {
			short = account
		}
		return short, err
	}, last)
	if err != nil || again {
		return nil, again, err
	}
	if !ok {
		return fmt.Errorf("%s has already spent %s USD in %s and holds %s USD more; a cap can be %s USD or above",
			account, charged, span, held, charged+held), false, nil
	}
	if _, err := t.write("a cap", `INSERT INTO caps (account, period, amount) VALUES ($1, $2, $3)
		ON CONFLICT (account, period) DO UPDATE SET amount = excluded.amount`, account, string(period), amount); err != nil {
		return nil, false, err
	}
	return nil, false, t.event(entry{kind: eventCap, account: account, period: string(period), amount: amount})
}

// balances gives every balance, and every cap of an account that has none.
func (t *tx) balances() ([]proofbox.Balance, error) {
	found := []proofbox.Balance{}
	err := t.all(`SELECT b.account, b.period, b.charged, b.held, c.amount FROM balances b
			LEFT JOIN caps c ON c.account = b.account AND (c.period = b.period OR b.period LIKE c.period || ' %')
		UNION ALL SELECT account, period, 0, 0, amount FROM caps WHERE account NOT IN (SELECT account FROM balances)
		ORDER BY 1, 2`, nil, func(scan func(...any) error) error {
		var b proofbox.Balance
		var limit sql.NullInt64
		err := scan(&b.Account, &b.Period, &b.Charged, &b.Held, &limit)
		if limit.Valid {
			b.Cap = new(proofbox.Money(limit.Int64))
		}
		found = append(found, b)
		return err
	})
	return found, err
}
