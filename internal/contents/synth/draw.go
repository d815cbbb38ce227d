package synth

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// draw is a source of choices. The same beginning gives the same choices on
// every machine: nothing of it is a floating-point number.
type draw struct{ r *rand.PCG }

// newDraw begins from the seed and from what is drawn for, such as a table and a
// record's number. So a record can be made again without those before it.
func newDraw(seed uint64, what string, number int64) *draw {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s %d", Version, seed, what, number))
	return &draw{rand.NewPCG(binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:]))}
}

// n gives a number from 0 up to, and without, n.
func (d *draw) n(n int) int {
	high, _ := bits.Mul64(d.r.Uint64(), uint64(n))
	return int(high)
}

// between gives a number of low to high, both included.
func (d *draw) between(low, high int) int { return low + d.n(high-low+1) }

// chance says yes so often in a thousand times.
func (d *draw) chance(perThousand int) bool { return d.n(1000) < perThousand }

// rank gives a number below n, small ones more often, as names are spread: the
// first tenth gets about a third.
func (d *draw) rank(n int) int { return min(d.n(n), d.n(n)) }

func pick[T any](d *draw, list []T) T { return list[d.n(len(list))] }

// fill replaces # by digits and A by letters.
func (d *draw) fill(pattern string) string {
	out := []byte(pattern)
	for i, c := range out {
		switch c {
		case '#':
			out[i] = byte('0' + d.n(10))
		case 'A':
			out[i] = "ABDEFGHJLNPQRSTUWXYZ"[d.n(20)]
		}
	}
	return string(out)
}
