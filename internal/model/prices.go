package model

import (
	"math/big"

	"proofbox"
)

// Prices are what a million tokens cost.
type Prices struct {
	Input, Output, CacheRead, CacheWrite proofbox.Money
}

const million = 1_000_000

// Usage is what a provider says a call has used, in tokens.
type Usage struct {
	Input, Output, CacheRead, CacheWrite int64
}

// worstInput is the dearest rate at which input can be charged.
func (p Prices) worstInput() proofbox.Money { return max(p.Input, p.CacheRead, p.CacheWrite) }

// cost gives what a usage costs, rounded up. It is not bounded by anything that
// a provider says: what does not fit is the most that there is.
func (p Prices) cost(u Usage) proofbox.Money {
	sum := new(big.Int)
	for _, part := range []struct {
		tokens int64
		price  proofbox.Money
	}{{u.Input, p.Input}, {u.Output, p.Output}, {u.CacheRead, p.CacheRead}, {u.CacheWrite, p.CacheWrite}} {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(max(0, part.tokens)), big.NewInt(int64(part.price))))
	}
	sum.Add(sum, big.NewInt(million-1)).Div(sum, big.NewInt(million))
	if !sum.IsInt64() {
		return 1<<63 - 1
	}
	return proofbox.Money(sum.Int64())
}

// each is what one token can cost, rounded up.
func each(price proofbox.Money) proofbox.Money { return (price + million - 1) / million }
