package mess

import (
	"strings"
	"unicode"
)

// Which words count: shorter ones are like each other by chance.
const (
	minWord = 5
	maxWord = 30
)

// spell counts the words of a text.
func (m *Meter) spell(text string) {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if len(word) < minWord || len(word) > maxWord {
			continue
		}
		word = strings.ToLower(word)
		if _, known := m.words[word]; known || len(m.words) < maxWords {
			m.words[word]++
		}
	}
}

// How much more often a word is written as it should be, and how often at least.
const (
	oftener = 20
	often   = 20
)

// misspelt counts the words that are one letter from a word that is written much more often: a letter that is missing,
// too many, another one, or in the place of its neighbour.
func (m *Meter) misspelt() (n int64) {
	near := map[string]int64{} // what is left of a word that is often written, without a letter; how often it is
	for word, count := range m.words {
		if count < often {
			continue
		}
		for _, left := range shortened(word) {
			near[left] = max(near[left], count)
		}
	}
	for word, count := range m.words {
		most := near[word]
		for _, left := range shortened(word) {
			most = max(most, near[left], m.words[left])
		}
		if most >= often && most >= oftener*count {
			n += count
		}
	}
	return n
}

// shortened are a word without each of its letters.
func shortened(word string) []string {
	letters := []rune(word)
	list := make([]string, 0, len(letters))
	for i := range letters {
		list = append(list, string(letters[:i])+string(letters[i+1:]))
	}
	return list
}
