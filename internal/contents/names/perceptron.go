package names

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// learned are the weights, one byte each, tag after tag.
//
//go:embed weights.gz
var learned []byte

// rows is how many weights a tag has: features are hashed to so many.
const rows = 1 << 17

// tags is how many there are: none, and two of each kind.
var tags = 1 + 2*len(Kinds)

// bias speaks against "none": to miss a name is worse than to see one too many.
// In units of a weight's byte.
const bias = 12

// perceptron is a linear model that tags from left to right.
type perceptron struct {
	weights []int8 // of tag t for feature f at f*tags+t
}

var model = sync.OnceValue(func() *perceptron {
	z, err := gzip.NewReader(bytes.NewReader(learned))
	if err != nil {
		panic(fmt.Sprintf("names: the weights: %v", err)) // they are a part of the program
	}
	data, err := io.ReadAll(z)
	if err != nil || len(data) != rows*tags {
		panic(fmt.Sprintf("names: there are %d weights, not %d: %v", len(data), rows*tags, err))
	}
	m := &perceptron{weights: make([]int8, len(data))}
	for i, b := range data {
		m.weights[i] = int8(b)
	}
	return m
})

// tag gives a tag for each token.
func (m *perceptron) tag(tokens []token) []int {
	result := make([]int, len(tokens))
	scores := make([]int, tags)
	var buf []uint32
	c := contextOf(tokens)
	for i := range tokens {
		buf = c.features(buf[:0], i, result)
		clear(scores)
		for _, f := range buf {
			for t, w := range m.weights[int(f)*tags : int(f+1)*tags] {
				scores[t] += int(w)
			}
		}
		scores[0] -= bias
		result[i] = best(scores, before(result, i))
	}
	return result
}

// best is the tag with the highest score among those that may follow another:
// only what has begun goes on.
func best(scores []int, previous int) int {
	top := 0
	for t := range scores {
		if scores[t] > scores[top] && possible(t, previous) {
			top = t
		}
	}
	return top
}

func possible(tag, previous int) bool {
	return tag == 0 || tag%2 == 1 || previous == tag || previous == tag-1
}

func before(result []int, i int) int {
	if i == 0 {
		return 0
	}
	return result[i-1]
}

// surroundings is what features are made from.
type surroundings struct {
	tokens []token
	keys   []string // the word before the last colon of the line, for each token
	first  []bool   // the token begins a line or a sentence
	small  string   // whether the text has capitals
}

func contextOf(tokens []token) *surroundings {
	c := &surroundings{tokens: tokens, keys: make([]string, len(tokens)), first: make([]bool, len(tokens)), small: "s"}
	key, begins := "", true
	for i, t := range tokens {
		c.first[i], c.keys[i] = begins, key
		begins = t.word == "." || t.word == "!" || t.word == "?" || t.word == "\n" || begins && (t.word == "\"" || t.word == "-")
		switch {
		case t.word == "\n":
			key = ""
		case t.word == ":" && i > 0:
			key = tokens[i-1].word
		}
		if t.shape != "" && t.shape[0] == 'A' {
			c.small = ""
		}
	}
	return c
}

// edge stands for what is before the first token and after the last one.
var edge = token{word: "|", shape: "|", vocabulary: "|"}

func (c *surroundings) at(i int) *token {
	if i < 0 || i >= len(c.tokens) {
		return &edge
	}
	return &c.tokens[i]
}

// features appends the features of a token, as rows of weights.
func (c *surroundings) features(to []uint32, i int, result []int) []uint32 {
	a, b, t, d, e := c.at(i-2), c.at(i-1), c.at(i), c.at(i+1), c.at(i+2)
	p1 := strconv.Itoa(before(result, i))
	p2 := "0"
	if i > 1 {
		p2 = strconv.Itoa(result[i-2])
	}
	list := func(t *token) string { return strconv.Itoa(int(t.lists)) }
	begin := ""
	if c.first[i] {
		begin = "^"
	}
	add := func(name string, parts ...string) { to = append(to, row(name, parts)) }
	add("bias")
	add("w", t.vocabulary)
	add("w-1", b.vocabulary)
	add("w+1", d.vocabulary)
	add("w-2", a.vocabulary)
	add("w+2", e.vocabulary)
	add("ww-", b.vocabulary, t.vocabulary)
	add("ww+", t.vocabulary, d.vocabulary)
	add("www", a.vocabulary, b.vocabulary)
	add("w-+", b.vocabulary, d.vocabulary)
	add("w-s", b.vocabulary, t.shape)
	add("w-l", b.vocabulary, list(t), t.shape)
	add("w-2s", a.vocabulary, t.shape)
	add("s", t.shape, begin, c.small)
	add("s-1", b.shape)
	add("s+1", d.shape)
	add("sss", b.shape, t.shape, d.shape)
	add("ss+", t.shape, d.shape, e.shape)
	add("l", list(t))
	add("ls", list(t), t.shape, begin)
	add("l-1", list(b))
	add("l+1", list(d))
	add("ll-", list(b), list(t))
	add("ll+", list(t), list(d))
	for bit := range 10 {
		if t.lists&(1<<bit) != 0 {
			add("b", strconv.Itoa(bit), t.shape, c.small)
			add("bp", strconv.Itoa(bit), p1)
		}
		if d.lists&(1<<bit) != 0 {
			add("b+", strconv.Itoa(bit), t.shape)
		}
		if b.lists&(1<<bit) != 0 {
			add("b-", strconv.Itoa(bit), t.shape)
		}
	}
	add("suf3", ending(t.word, 3))
	add("suf2", ending(t.word, 2), t.shape)
	add("pre", t.word[:min(3, len(t.word))])
	add("suf+", ending(d.word, 3))
	add("p", p1)
	add("pp", p2, p1)
	add("pw", p1, t.vocabulary)
	add("pw-", p1, b.vocabulary)
	add("ps", p1, t.shape, b.shape)
	add("pl", p1, list(t))
	add("pps", p2, p1, t.shape)
	add("pw+", p1, d.vocabulary)
	add("k", c.keys[i])
	add("kp", c.keys[i], p1, t.shape)
	return to
}

func ending(word string, n int) string { return word[max(0, len(word)-n):] }

// row hashes a feature (FNV-1a).
func row(name string, parts []string) uint32 {
	h := uint32(2166136261)
	mix := func(s string) {
		for i := range len(s) {
			h = (h ^ uint32(s[i])) * 16777619
		}
		h = (h ^ 0xff) * 16777619
	}
	mix(name)
	for _, p := range parts {
		mix(p)
	}
	return (h ^ h>>15) % rows
}
