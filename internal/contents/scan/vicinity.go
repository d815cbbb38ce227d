package scan

// vicinity knows three bytes of every word that speaks for some kind of identifier. Most text has none of them,
// which one look tells for all rules.
type vicinity struct {
	some  trigrams
	kinds map[uint32]uint64 // whom the words speak for, by their hash
}

// forPhones is the bit of telephone numbers; those of the rules are in their order.
const forPhones = 63

// trigrams has a bit for each hash of three bytes.
type trigrams [1 << 10]uint64

// trigram is a hash of 16 bits of three bytes.
func trigram(v uint32) uint32 { return (v & 0xffffff) * 0x9e3779b1 >> 16 }

func (t *trigrams) set(h uint32)      { t[h>>6] |= 1 << (h & 63) }
func (t *trigrams) has(h uint32) bool { return t[h>>6]>>(h&63)&1 != 0 }

// beginnings are the hashes of what a word begins with. One of two bytes may go on with any.
func beginnings(word string, each func(h uint32)) {
	two := uint32(word[0])<<16 | uint32(word[1])<<8
	if len(word) > 2 {
		each(trigram(two | uint32(word[2])))
		return
	}
	for third := range uint32(256) {
		each(trigram(two | third))
	}
}

// add notes words that speak for a kind.
func (v *vicinity) add(kind int, words []string) {
	for _, w := range words {
		beginnings(w, func(h uint32) {
			v.some.set(h)
			v.kinds[h] |= 1 << kind
		})
	}
}

// in says for whom a word may be in a text in small letters.
func (v *vicinity) in(near []byte) (kinds uint64) {
	three := uint32(0)
	for i := 0; i <= len(near); i++ {
		three <<= 8
		if i < len(near) {
			three |= uint32(near[i])
		}
		if h := trigram(three); v.some.has(h) && i > 1 {
			kinds |= v.kinds[h]
		}
	}
	return kinds
}
