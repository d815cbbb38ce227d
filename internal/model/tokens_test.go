package model

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCounterOf(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{
		"gpt-4o": true, "gpt-4o-2024-08-06": true, "gpt-4o-mini": true, "gpt-4-turbo": true, "o3-pro": true, "gpt-5-nano": true, "text-embedding-3-small": true,
		"gpt-5.2": false, "gpt-6-astra": false, "gpt-4omni": false, "claude-opus-4-1": false, "": false,
	} {
		count := CounterOf(name)
		if (count != nil) != known {
			t.Errorf("how %q counts is known: %t", name, count != nil)
		}
	}
	if n, err := CounterOf("gpt-4o")("hello world"); n != 2 || err != nil {
		t.Errorf("%d tokens, %v", n, err)
	}
}

// TestCloserIsABound: it is between the tokens of all that is said, put together in any
// way, and the bytes of the request.
func TestCloserIsABound(t *testing.T) {
	t.Parallel()
	m := &Model{Counter: CounterOf("gpt-4o")}
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z ,.]{0,300}`), rapid.StringMatching(`(ab|\n|é|字){0,90}`)), 1, 6).Draw(t, "texts")
		var messages []any
		for i, text := range texts {
			messages = append(messages, map[string]any{"role": "user", "content": []any{text, []any{map[string]any{"type": "text", "text": text}}}[i%2]})
		}
		data, err := json.Marshal(map[string]any{"messages": messages, "tools": []any{strings.Join(texts, "")}})
		if err != nil {
			t.Fatal(err)
		}
		o, err := parse(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.closer(o, int64(len(data)))
		if err != nil || got > int64(len(data)) {
			t.Fatalf("%d for %d bytes, %v", got, len(data), err)
		}
		all, err := m.Counter(strings.Join(texts, "") + strings.Join(texts, ""))
		if err != nil || got < int64(all) {
			t.Fatalf("%d, for %d tokens, %v", got, all, err)
		}
	})
}
