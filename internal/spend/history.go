package spend

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"proofbox"
)

// Call is one call as the ledger has it.
type Call struct {
	ID      int64
	Account string
	Owner   string
	At      time.Time      // when it was held
	Begin   int64          // the number of the event that held it
	End     int64          // and of the one that settled it; 0 while it goes on
	Held    proofbox.Money // what it could cost at most
	Charged proofbox.Money // what it did cost; Held while it goes on
	Detail  string
}

// Model is the name in the call's detail.
func (c Call) Model() string {
	var d struct{ Model string }
	if json.Unmarshal([]byte(c.Detail), &d) != nil {
		return "" // what held it did not say
	}
	return d.Model
}

// calls has the columns of a call, and of those of an account and all below it.
const calls = `SELECT h.id, h.account, h.owner, h.at, b.seq, e.seq, h.amount, h.charge, h.detail
	FROM holds h JOIN events b ON b.hold = h.id AND b.kind = 'hold' LEFT JOIN events e ON e.hold = h.id AND e.kind = 'settle'
	WHERE $1 = '' OR h.account = $1 OR substr(h.account, 1, length($1) + 1) = $1 || '/'`

// History gives the newest calls of an account and of those below it, the newest
// first; an empty account is all.
func (l *Ledger) History(ctx context.Context, account string, limit int) (list []Call, err error) {
	err = l.update(ctx, func(t *tx) error {
		return t.calls(calls+` ORDER BY b.seq DESC LIMIT $2`, []any{account, limit}, func(c Call) { list = append(list, c) })
	})
	return list, err
}

// All gives every call of an account and of those below it, in their order.
func (l *Ledger) All(ctx context.Context, account string) (list []Call, err error) {
	err = l.update(ctx, func(t *tx) error {
		return t.calls(calls+` ORDER BY b.seq`, []any{account}, func(c Call) {
			c.Detail = "" // there may be many
			list = append(list, c)
		})
	})
	return list, err
}

func (t *tx) calls(query string, args []any, found func(Call)) error {
	return t.all(query, args, func(scan func(...any) error) error {
		var c Call
		var at int64
		var end, charge sql.NullInt64
		if err := scan(&c.ID, &c.Account, &c.Owner, &at, &c.Begin, &end, &c.Held, &charge, &c.Detail); err != nil {
			return fmt.Errorf("reading a call: %w", err)
		}
		c.At, c.Charged = time.Unix(0, at).UTC(), c.Held
		if charge.Valid {
			c.End, c.Charged = end.Int64, proofbox.Money(charge.Int64)
		}
		found(c)
		return nil
	})
}
