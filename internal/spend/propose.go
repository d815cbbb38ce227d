package spend

import (
	"math"
	"slices"

	"proofbox"
)

// What a proposed cap is for: the part of the runs that it lets end by
// themselves, and how sure that is.
const (
	quantile   = 0.95
	confidence = 0.95
)

// Propose works out a cap for a kind of task from what its runs have cost, at
// least one. The interval is that of order statistics: it supposes that runs are
// alike and come independently, and nothing of how their costs are spread. See
// David and Nagaraja, Order Statistics, 7.1.
func Propose(kind string, costs []proofbox.Money) proofbox.Proposal {
	costs = slices.Sorted(slices.Values(costs))
	n := len(costs)
	p := proofbox.Proposal{
		Kind: kind, Runs: n, Median: costs[(n-1)/2], Max: costs[n-1],
		P95: costs[(19*n+19)/20-1],
	}
	low, high := ranks(n)
	if low > 0 {
		p.Low = &costs[low-1]
	}
	if high <= n {
		p.High, p.Cap = &costs[high-1], &costs[high-1]
	} else {
		p.Missing = enough() - n
	}
	return p
}

// ranks gives which of n costs, from 1 on, are below and above the quantile with
// the confidence: 0 and n+1 stand for none.
func ranks(n int) (low, high int) {
	const tail = (1 - confidence) / 2
	low, high = 0, n+1
	below := 0.0 // the chance that at most k of n are below the quantile
	for k := 0; k <= n; k++ {
		below += binomial(n, k)
		if below <= tail {
			low = k + 1
		}
		if below >= 1-tail {
			return low, k + 1
		}
	}
	return low, high
}

// binomial is the chance that exactly k of n are below the quantile.
func binomial(n, k int) float64 {
	choose := func(n, k int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		return a - b - c
	}
	return math.Exp(choose(n, k) + float64(k)*math.Log(quantile) + float64(n-k)*math.Log(1-quantile))
}

// enough is the smallest number of runs that bounds the quantile from above.
func enough() int {
	return int(math.Ceil(math.Log((1-confidence)/2) / math.Log(quantile)))
}
