package tag

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// PRF is a keyed function from bytes to 16 bytes that nobody without the key can
// tell from chance: CBC-MAC with AES-256 over messages none of which begins
// another one (Bellare, Kilian, Rogaway: The Security of the Cipher Block
// Chaining Message Authentication Code). It is used instead of HMAC because a
// tag is found by trying, and a try takes it a tenth of the time. It is not for
// several goroutines at once.
type PRF struct {
	block cipher.Block
	state [aes.BlockSize]byte // here, because what is given to an interface is allocated
}

// long begins a message that does not fit into the block of its length.
const long = 0xff

// NewPRF derives a function from a secret, another one for each purpose (HKDF,
// RFC 5869, with SHA-256).
func NewPRF(secret []byte, purpose string) *PRF {
	key, err := hkdf.Key(sha256.New, secret, nil, "proofbox "+purpose, 32)
	if err != nil {
		panic(fmt.Sprintf("tag: deriving a key: %v", err)) // only of a length that HKDF does not have
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(fmt.Sprintf("tag: %v", err)) // only of a length that AES does not have
	}
	return &PRF{block: block}
}

// Sum gives the function's value. A message of up to 15 bytes is one block: its length
// and itself; a longer one has a first block with its length.
func (p *PRF) Sum(message []byte) [aes.BlockSize]byte {
	p.state = [aes.BlockSize]byte{}
	if len(message) < aes.BlockSize {
		p.state[0] = byte(len(message))
		copy(p.state[1:], message)
		p.block.Encrypt(p.state[:], p.state[:])
		return p.state
	}
	p.state[0] = long
	binary.BigEndian.PutUint64(p.state[8:], uint64(len(message)))
	p.block.Encrypt(p.state[:], p.state[:])
	for len(message) > 0 {
		n := min(len(message), aes.BlockSize)
		for i := range n {
			p.state[i] ^= message[i]
		}
		p.block.Encrypt(p.state[:], p.state[:])
		message = message[n:]
	}
	return p.state
}
