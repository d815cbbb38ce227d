package plant

import "math"

// Confidence of [Bound].
const Confidence = .95

// Bound is the upper end of Clopper and Pearson's one-sided interval (Biometrika
// 26, 1934) for the share that is missed, where k of n were: the share with which k or
// fewer of n are missed with a probability of 1 - [Confidence].
func Bound(k, n int) float64 {
	if k >= n {
		return 1
	}
	low, high := 0., 1.
	for range 60 {
		if p := (low + high) / 2; atMost(k, n, p) > 1-Confidence {
			low = p
		} else {
			high = p
		}
	}
	return high
}

// atMost is the probability of k or fewer of n, each by a chance of p.
func atMost(k, n int, p float64) float64 {
	sum := 0.
	all, _ := math.Lgamma(float64(n + 1))
	for i := range k + 1 {
		hit, _ := math.Lgamma(float64(i + 1))
		miss, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - hit - miss + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}
