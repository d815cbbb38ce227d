package model

import (
	"math/big"

	"proofbox"
)

// Prices are what a model costs.
type Prices proofbox.Price

const million = 1_000_000

// Usage is what a provider says a call has used.
type Usage proofbox.TokenUsage

// credible says whether it can be: no call takes less than a token in, or gives
// any back.
func (u Usage) credible() bool {
	return min(u.Input, u.CacheRead, u.CacheWrite, u.CacheWrite1h, u.Output) >= 0 && u.input() > 0
}

// input is all that was not written by the model.
func (u Usage) input() int64 {
	sum := int64(0)
	for _, n := range []int64{u.Input, u.CacheRead, u.CacheWrite, u.CacheWrite1h} {
		if n > 0 {
			sum += min(n, 1<<60-sum) // no provider's word makes it pass what can be counted
		}
	}
	return sum
}

// at gives the rates of a call with so many tokens of input.
func (p Prices) at(input int64) proofbox.Rates {
	if p.Above != nil && input > int64(p.Above.Tokens) {
		return p.Above.Rates
	}
	return p.Rates
}

// worst gives the dearest rate at which a call can be charged whose input has at
// most so many tokens: one for input, and one for output.
func (p Prices) worst(input int64) (in, out proofbox.Money) {
	for _, r := range []proofbox.Rates{p.Rates, p.at(input)} {
		for _, rate := range []proofbox.Money{r.Input, r.CacheRead, r.CacheWrite, r.CacheWrite1h} {
			in = max(in, rate)
		}
		out = max(out, r.Output)
	}
	return in, out
}

// cost gives what a usage costs, rounded up. It is not bounded by anything that
// a provider says: what does not fit is the most that there is.
func (p Prices) cost(u Usage) proofbox.Money {
	r := p.at(u.input())
	sum := new(big.Int)
	for _, part := range []struct {
		tokens int64
		rate   proofbox.Money
	}{
		{u.Input, r.Input},
		{u.Output, r.Output},
		{u.CacheRead, known(r.CacheRead, r)},
		{u.CacheWrite, known(r.CacheWrite, r)},
		{u.CacheWrite1h, known(max(r.CacheWrite1h, r.CacheWrite), r)},
	} {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(max(0, part.tokens)), big.NewInt(int64(part.rate))))
	}
	return perMillion(sum)
}

// known is a rate, or that of input where it is not known: nothing is free.
func known(rate proofbox.Money, r proofbox.Rates) proofbox.Money {
	if rate == 0 {
		return r.Input
	}
	return rate
}

// tokensAt gives what so many tokens cost at a rate, rounded up.
func tokensAt(tokens int64, rate proofbox.Money) proofbox.Money {
	return perMillion(new(big.Int).Mul(big.NewInt(tokens), big.NewInt(int64(rate))))
}

func perMillion(sum *big.Int) proofbox.Money {
	sum.Add(sum, big.NewInt(million-1)).Div(sum, big.NewInt(million))
	if !sum.IsInt64() {
		return 1<<63 - 1
	}
	return proofbox.Money(sum.Int64())
}

// each is what one token can cost, rounded up.
func each(price proofbox.Money) proofbox.Money { return (price + million - 1) / million }
