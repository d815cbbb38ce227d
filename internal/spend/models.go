package spend

import (
	"context"

	"proofbox"
)

// ModelUse is what the calls to one model have cost.
type ModelUse struct {
	Model         string // empty where a hold does not say
	Calls, Open   int64
	Charged, Held proofbox.Money
}

// Models gives the models with the most calls, not more than a number of them.
func (l *Ledger) Models(ctx context.Context, most int) (list []ModelUse, err error) {
	query := `SELECT ` + l.base.modelOf("detail") + `,
		COUNT(*), COUNT(*) - COUNT(charge), COALESCE(SUM(charge), 0), SUM(CASE WHEN charge IS NULL THEN amount ELSE 0 END)
		FROM holds GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $1`
	err = l.update(ctx, func(t *tx) error {
		return t.all(query, []any{most}, func(scan func(...any) error) error {
			var u ModelUse
			err := scan(&u.Model, &u.Calls, &u.Open, &u.Charged, &u.Held)
			list = append(list, u)
			return err
		})
	})
	return list, err
}
