package model

import (
	"encoding/json"
	"strconv"
)

// openAI is the format of OpenAI's chat completions.
type openAI struct{}

func (openAI) name() string     { return "openai" }
func (openAI) prefix() string   { return "/openai/v1" }
func (openAI) callPath() string { return "/chat/completions" }
func (openAI) format() string   { return "openai.chat" }

func (openAI) key(key string) (header, value string) { return "Authorization", "Bearer " + key }

func (openAI) bound(o *object) (bound, error) {
	input, err := inputOf(o)
	b := bound{input: input, times: 1}
	if err != nil {
		return b, err
	}
	var old, limit, n number
	for name, v := range map[string]any{"model": &b.model, "stream": &b.stream, "max_tokens": &old, "max_completion_tokens": &limit, "n": &n} {
		if _, err := o.get(name, v); err != nil {
			return b, err
		}
	}
	if old > 0 && limit > 0 {
		return b, invalid(`the request has both "max_tokens" and "max_completion_tokens"`)
	}
	if n > 128 {
		return b, invalid(`"n" is above 128`)
	}
	b.output, b.times = int64(max(old, limit)), int64(max(n, 1))
	return b, nil
}

func (openAI) limit(o *object, tokens int64, stream bool) error {
	name := "max_completion_tokens"
	var old number
	if there, err := o.get("max_tokens", &old); err != nil {
		return err
	} else if there {
		name = "max_tokens"
	}
	if err := o.set(name, strconv.FormatInt(tokens, 10)); err != nil || !stream {
		return err
	}
	return o.set("stream_options", `{"include_usage":true}`)
}

func (openAI) failure(f *failure) any {
	return map[string]any{"error": map[string]any{"message": f.text, "type": f.kind, "code": f.kind, "param": nil}}
}

func (openAI) list(models []string) any {
	data := []any{}
	for _, m := range models {
		data = append(data, map[string]any{"id": m, "object": "model", "created": 0, "owned_by": "proofbox"})
	}
	return map[string]any{"object": "list", "data": data}
}

// report reads a chunk, the mark after the last of them, or a whole answer.
func (openAI) report(data []byte, r *report) error {
	if string(data) == "[DONE]" {
		r.ended = true
		return nil
	}
	var m struct {
		Object string
		Usage  *struct {
			PromptTokens     int64  `json:"prompt_tokens"`
			CompletionTokens int64  `json:"completion_tokens"`
			Details          cached `json:"prompt_tokens_details"`
		}
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if m.Usage != nil {
		r.known, r.usage = true, m.Usage.Details.of(m.Usage.PromptTokens, m.Usage.CompletionTokens)
	}
	r.ended = r.ended || m.Object == "chat.completion"
	return nil
}

// cached is how much of the input was read from a cache, or written to one.
type cached struct {
	Read  int64 `json:"cached_tokens"`
	Write int64 `json:"cache_write_tokens"`
}

// of takes the input apart.
func (c cached) of(input, output int64) Usage {
	read := max(0, min(c.Read, input))
	write := max(0, min(c.Write, input-read))
	return Usage{Input: input - read - write, CacheRead: read, CacheWrite: write, Output: output}
}
