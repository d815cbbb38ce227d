package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tiktoken-go/tokenizer"
)

// Counter counts the tokens of a text.
type Counter func(text string) (int, error)

// families are the models whose tokens are published, by what their names are or
// begin with before a hyphen; OpenAI's tiktoken (MIT), model.py.
var families = map[tokenizer.Encoding][]string{
	tokenizer.O200kBase:  {"gpt-4o", "gpt-4.1", "gpt-5", "o1", "o3", "o4-mini"},
	tokenizer.Cl100kBase: {"gpt-4", "gpt-3.5-turbo", "text-embedding-3-small", "text-embedding-3-large"},
}

// CounterOf gives what counts as OpenAI does for a model, nil where that is not
// published. The tables, which take a tenth of a second to set up, are for who counts.
func CounterOf(name string) Counter {
	for encoding, names := range families {
		if !slices.ContainsFunc(names, func(f string) bool { return name == f || strings.HasPrefix(name, f+"-") }) {
			continue
		}
		return func(text string) (int, error) {
			codec, err := tokenizer.Get(encoding)
			if err != nil {
				return 0, fmt.Errorf("counting tokens: %w", err)
			}
			return codec.Count(text)
		}
	}
	return nil
}

// Bounds of counting: a box that has nothing left can ask again and again.
const (
	maxCounted = 256 << 10 // bytes of a request, which take about 0.2 s
	seam       = 8         // more tokens than two texts can have together and not apart
)

// closer gives a closer bound of a request's input than its bytes: for the texts of its
// messages their tokens, and for all else still its bytes.
func (m *Model) closer(o *object, input int64) (int64, error) {
	if m.Counter == nil || len(o.text) > maxCounted {
		return input, nil
	}
	for _, name := range []string{"messages", "input", "instructions"} {
		var v any
		if _, err := o.get(name, &v); err != nil {
			return input, err
		}
		for _, text := range textsOf(v) {
			n, err := m.Counter(text)
			if err != nil {
				return input, err
			}
			input -= max(0, int64(len(text)-n-seam))
		}
	}
	return input, nil
}

// textsOf gives what a part of a request says as it is: a text, the content of a
// message, the text of a part. What a provider may write in another way before it reads
// it, as a tool's arguments, is not in it. Each is as long as it is in the request, or
// shorter.
func textsOf(v any) (texts []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			texts = append(texts, textsOf(item)...)
		}
	case map[string]any:
		for _, name := range []string{"content", "text"} {
			texts = append(texts, textsOf(v[name])...)
		}
	}
	return texts
}
