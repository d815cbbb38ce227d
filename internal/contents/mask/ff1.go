package mask

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/big"
)

// ff1 is the format-preserving encryption FF1 of NIST SP 800-38G, Revision 1 (second draft of February 2025):
// numerals of a radix become numerals of the same number. There is no library for it that is kept.
type ff1 struct {
	block cipher.Block
	radix int
}

// Bounds of what FF1 encrypts here. The standard asks for at least a million possible values.
const (
	minDomain   = 1_000_000
	maxNumerals = 56
	ff1Rounds   = 10
)

// newFF1 makes one with a key of 16, 24 or 32 bytes.
func newFF1(key []byte, radix int) (*ff1, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making FF1: %w", err)
	}
	return &ff1{block: block, radix: radix}, nil
}

// domain refuses numerals that have too few other ones to hide among.
func (f *ff1) domain(n int) error {
	size := 1
	for range min(n, maxNumerals) {
		if size *= f.radix; size >= minDomain {
			break
		}
	}
	if size < minDomain || n > maxNumerals {
		return fmt.Errorf("%d numerals of radix %d have fewer than %d values, or are more than %d", n, f.radix, minDomain, maxNumerals)
	}
	return nil
}

// encrypt is algorithm 7, decrypt algorithm 8. A tweak gives another permutation.
func (f *ff1) encrypt(numerals, tweak []byte) ([]byte, error) {
	return f.rounds(numerals, tweak, false)
}

func (f *ff1) decrypt(numerals, tweak []byte) ([]byte, error) { return f.rounds(numerals, tweak, true) }

func (f *ff1) rounds(x, tweak []byte, back bool) ([]byte, error) {
	if err := f.domain(len(x)); err != nil {
		return nil, err
	}
	u := len(x) / 2
	v := len(x) - u
	most := new(big.Int).Exp(big.NewInt(int64(f.radix)), big.NewInt(int64(v)), nil)
	bytes := (most.Sub(most, big.NewInt(1)).BitLen() + 7) / 8
	p := f.header(len(x), u, len(tweak))
	a, b := f.number(x[:u]), f.number(x[u:])
	for n := range ff1Rounds {
		i := n
		if back {
			i = ff1Rounds - 1 - n
		}
		m := v
		if i%2 == 0 {
			m = u
		}
		modulus := new(big.Int).Exp(big.NewInt(int64(f.radix)), big.NewInt(int64(m)), nil)
		if back {
			c := new(big.Int).Sub(b, f.round(p, tweak, i, a, bytes))
			b, a = a, c.Mod(c, modulus)
		} else {
			c := new(big.Int).Add(a, f.round(p, tweak, i, b, bytes))
			a, b = b, c.Mod(c, modulus)
		}
	}
	return append(f.numerals(a, u), f.numerals(b, v)...), nil
}

// header is P of step 5.
func (f *ff1) header(n, u, tweak int) []byte {
	p := []byte{1, 2, 1, byte(f.radix >> 16), byte(f.radix >> 8), byte(f.radix), ff1Rounds, byte(u)}
	p = binary.BigEndian.AppendUint32(p, uint32(n))
	return binary.BigEndian.AppendUint32(p, uint32(tweak))
}

// round is y of step 6: a number of d bytes that depends on the tweak, the round and one half.
func (f *ff1) round(p, tweak []byte, i int, half *big.Int, bytes int) *big.Int {
	q := append([]byte(nil), tweak...)
	for (len(q)+1+bytes)%aes.BlockSize != 0 {
		q = append(q, 0)
	}
	q = append(q, byte(i))
	q = append(q, half.FillBytes(make([]byte, bytes))...)
	var r [aes.BlockSize]byte
	for message := append(append([]byte(nil), p...), q...); len(message) > 0; message = message[aes.BlockSize:] {
		for j := range r {
			r[j] ^= message[j]
		}
		f.block.Encrypt(r[:], r[:])
	}
	d := 4*((bytes+3)/4) + 4
	s := append([]byte(nil), r[:]...)
	for j := 1; len(s) < d; j++ {
		next := r
		var count [aes.BlockSize]byte
		binary.BigEndian.PutUint64(count[8:], uint64(j))
		for k := range next {
			next[k] ^= count[k]
		}
		f.block.Encrypt(next[:], next[:])
		s = append(s, next[:]...)
	}
	return new(big.Int).SetBytes(s[:d])
}

// number is NUM, numerals STR: the first numeral counts most.
func (f *ff1) number(x []byte) *big.Int {
	n, radix := new(big.Int), big.NewInt(int64(f.radix))
	for _, c := range x {
		n.Add(n.Mul(n, radix), big.NewInt(int64(c)))
	}
	return n
}

func (f *ff1) numerals(n *big.Int, m int) []byte {
	out := make([]byte, m)
	rest, radix, digit := new(big.Int).Set(n), big.NewInt(int64(f.radix)), new(big.Int)
	for i := m - 1; i >= 0; i-- {
		rest.DivMod(rest, radix, digit)
		out[i] = byte(digit.Int64())
	}
	return out
}
