package mint

import (
	"slices"
	"strings"
)

// sum puts a check digit behind as many digits as there are weights: their weighed
// sum. It cannot where the remainder is none of the digits, so that the number is not
// given out.
func sum(modulus int, weights ...int) func([]byte) bool {
	return func(c []byte) bool {
		if len(c) <= len(weights) {
			return false
		}
		n := 0
		for i, w := range weights {
			n += w * int(c[i]-'0')
		}
		n %= modulus
		c[len(weights)] = byte('0' + n%10)
		return n < 10
	}
}

// both puts two check digits in.
func both(first, second func([]byte) bool) func([]byte) bool {
	return func(c []byte) bool { return first(c) && second(c) }
}

// number reads digits, from a remainder on.
func number(c []byte, n, modulus int) int {
	for _, b := range c {
		n = (n*10 + int(b-'0')) % modulus
	}
	return n
}

// two writes a number of two digits.
func two(c []byte, n int) { c[0], c[1] = byte('0'+n/10%10), byte('0'+n%10) }

func luhn(c []byte) bool {
	n := 0
	for i := range len(c) - 1 {
		d := int(c[len(c)-2-i] - '0')
		if i%2 == 0 {
			d = d*2/10 + d*2%10
		}
		n += d
	}
	c[len(c)-1] = byte('0' + (10-n%10)%10)
	return true
}

func ibanCheck(c []byte) bool {
	if len(c) < 5 {
		return false
	}
	n := 0
	for _, b := range slices.Concat(c[4:], c[:2], []byte("00")) {
		if b >= 'A' {
			n = (n*100 + int(b-'A') + 10) % 97
		} else {
			n = (n*10 + int(b-'0')) % 97
		}
	}
	two(c[2:], 98-n)
	return true
}

func nir(c []byte) bool {
	if len(c) != 15 {
		return false
	}
	place := []byte{c[5], c[6]}
	if c[6] >= 'A' { // Corsica
		c[5], c[6] = '2', 'A'
		place = []byte("19")
	}
	two(c[13:], 97-number(slices.Concat(c[:5], place, c[7:13]), 0, 97))
	return true
}

func dni(c []byte) bool {
	if len(c) != 9 {
		return false
	}
	first := c[0]
	if first >= 'A' {
		c[0] = "XYZ"[first%3]
		first = c[0] - 'X' + '0'
	}
	c[8] = "TRWAGMYFPDXBNJZSQVHLCKE"[number(c[1:8], int(first-'0'), 23)]
	return true
}

// codiceFiscale gives the month a letter, the day what the sex adds to it, and the
// last letter, the sum of what the odd and the even places stand for.
func codiceFiscale(c []byte) bool {
	if len(c) != 16 {
		return false
	}
	const odd = "BAKPLCQDREVOSFTGUHMINJWZYX" // the letter whose place is the value
	c[8] = "ABCDEHLMPRST"[c[8]%12]
	two(c[9:], int(c[9]%2)*40+int(c[10])%28+1)
	n := 0
	for i, b := range c[:15] {
		if b >= 'A' {
			b -= 'A'
		} else {
			b -= '0'
		}
		if i%2 == 0 {
			n += strings.IndexByte(odd, 'A'+b)
		} else {
			n += int(b)
		}
	}
	c[15] = byte('A' + n%26)
	return true
}

// steuerID makes one of the first ten digits occur twice and the others once or not
// at all.
func steuerID(c []byte) bool {
	if len(c) != 11 {
		return false
	}
	all := []byte("123456789")
	for i := range all {
		j := i + int(c[i])*7%(len(all)-i)
		all[i], all[j] = all[j], all[i]
	}
	again := all[c[9]%9]
	copy(c, all)
	c[9] = again
	product := 10
	for _, b := range c[:10] {
		n := (int(b-'0') + product) % 10
		if n == 0 {
			n = 10
		}
		product = n * 2 % 11
	}
	c[10] = byte('0' + (11-product)%10)
	return true
}

func personnummer(c []byte) bool {
	if len(c) < 10 {
		return false
	}
	copy(c[:len(c)-10], "19")
	c = c[len(c)-10:]
	two(c[2:], int(c[2]+c[3])%12+1)
	two(c[4:], int(c[4])*10%28+int(c[5])%3+1)
	return luhn(c)
}

func hetu(c []byte) bool {
	last := len(c) - 1
	if last < 9 {
		return false
	}
	if last == 10 {
		c[6] = 'A'
	}
	c[last] = "0123456789ABCDEFHJKLMNPRSTUVWXY"[number(slices.Concat(c[:6], c[last-3:last]), 0, 31)]
	return true
}

func rijksregister(c []byte) bool {
	if len(c) != 11 {
		return false
	}
	two(c[9:], 97-number(c[:9], 0, 97))
	return true
}

func nif(c []byte) bool {
	if len(c) != 9 {
		return false
	}
	c[0] = "123568"[c[0]%6]
	n := 0
	for i, b := range c[:8] {
		n += (i + 2) * int(b-'0')
	}
	c[8] = byte('0' + n%11%10)
	return true
}

func nric(c []byte) bool {
	if len(c) != 9 {
		return false
	}
	n := 0
	for i, w := range []int{2, 7, 6, 5, 4, 3, 2} {
		n += w * int(c[i+1]-'0')
	}
	letters := "JZIHGFEDCBA"
	if c[0] == 'F' || c[0] == 'G' {
		letters = "XWUTRQPNMLK"
	}
	if c[0] == 'T' || c[0] == 'G' {
		n += 4
	}
	c[8] = letters[n%11]
	return true
}

// verhoeff is J. Verhoeff, Error detecting decimal codes (1969): digits are
// permuted by their place and multiplied as symmetries of a pentagon.
func verhoeff(c []byte) bool {
	if len(c) == 0 || c[0] < '2' {
		return false
	}
	last := len(c) - 1
	state := 0
	for i := range last {
		d := int(c[last-1-i] - '0')
		for range (i + 1) % 8 {
			d = int("1576283094"[d] - '0')
		}
		if state < 5 {
			state = (state+d)%5 + d/5*5
		} else {
			state = (state-d+10)%5 + (1-d/5)*5
		}
	}
	if state < 5 {
		state = (5 - state) % 5 // its inverse; the others are their own
	}
	c[last] = byte('0' + state)
	return true
}

func pan(c []byte) bool {
	if len(c) != 10 {
		return false
	}
	c[3] = "ABCFGHLJPT"[c[3]%10]
	return true
}

func nino(c []byte) bool {
	if len(c) != 9 {
		return false
	}
	const letters = "ACEGHJKLMNPRSTWXYZ" // no area has another
	c[0], c[1], c[8] = letters[c[0]%18], letters[c[1]%18], "ABCD"[c[8]%4]
	return true
}
