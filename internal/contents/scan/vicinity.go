package scan

import "slices"

// vicinity knows three bytes of every word that speaks for some kind of identifier. Most text has none of them,
// which one look tells for all rules.
type vicinity [1 << 13]uint64

var contexts = func() *vicinity {
	v := new(vicinity)
	v.add(phoneWords)
	for _, r := range slices.Concat(general, national) {
		v.add(r.context)
	}
	return v
}()

// add notes the beginnings of words; one of two bytes may go on with any.
func (v *vicinity) add(words []string) {
	for _, w := range words {
		for third := range 256 {
			if len(w) > 2 {
				third = int(w[2])
			}
			h := trigram(uint32(w[0])<<16 | uint32(w[1])<<8 | uint32(third))
			v[h>>6] |= 1 << (h & 63)
		}
	}
}

// in says whether such a word may be in a text in small letters.
func (v *vicinity) in(near []byte) bool {
	three := uint32(0)
	for i := 0; i <= len(near); i++ {
		three <<= 8
		if i < len(near) {
			three |= uint32(near[i])
		}
		if h := trigram(three); v[h>>6]&(1<<(h&63)) != 0 && i > 1 {
			return true
		}
	}
	return false
}
