package model

import (
	"encoding/json"
	"strconv"
)

// anthropic is the format of Anthropic's messages.
type anthropic struct{}

func (anthropic) name() string     { return "anthropic" }
func (anthropic) prefix() string   { return "/anthropic/v1" }
func (anthropic) callPath() string { return "/messages" }
func (anthropic) format() string   { return "anthropic.messages" }

func (anthropic) key(key string) (header, value string) { return "X-Api-Key", key }

func (anthropic) bound(o *object) (bound, error) {
	input, err := inputOf(o)
	b := bound{input: input, times: 1}
	if err != nil {
		return b, err
	}
	var limit number
	for name, v := range map[string]any{"model": &b.model, "stream": &b.stream, "max_tokens": &limit} {
		if _, err := o.get(name, v); err != nil {
			return b, err
		}
	}
	if limit == 0 {
		return b, invalid(`"max_tokens" is missing`)
	}
	b.output = int64(limit)
	return b, nil
}

func (anthropic) limit(o *object, tokens int64, _ bool) error {
	return o.set("max_tokens", strconv.FormatInt(tokens, 10))
}

func (anthropic) failure(f *failure) any {
	return map[string]any{"type": "error", "error": map[string]any{"type": f.kind, "message": f.text}}
}

func (anthropic) list(models []string) any {
	data := []any{}
	for _, m := range models {
		data = append(data, map[string]any{"type": "model", "id": m, "display_name": m, "created_at": "1970-01-01T00:00:00Z"})
	}
	return map[string]any{"data": data, "has_more": false, "first_id": nil, "last_id": nil}
}

// anthropicUsage is cumulative: what comes later is of the whole answer, too.
type anthropicUsage struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
	Written      int64 `json:"cache_creation_input_tokens"`
	CacheRead    int64 `json:"cache_read_input_tokens"`
	Creation     struct {
		Hour int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation"`
}

func (u *anthropicUsage) into(r *report) {
	if u == nil {
		return
	}
	hour := max(0, min(u.Creation.Hour, u.Written))
	r.usage = Usage{
		Input: max(r.usage.Input, u.InputTokens), Output: max(r.usage.Output, u.OutputTokens),
		CacheRead: max(r.usage.CacheRead, u.CacheRead), CacheWrite: max(r.usage.CacheWrite, u.Written-hour),
		CacheWrite1h: max(r.usage.CacheWrite1h, hour),
	}
}

// report reads an event of a stream, or a whole answer. The usage at the
// beginning of a stream is not the answer's; see the "message_delta" event.
func (anthropic) report(data []byte, r *report) error {
	var m struct {
		Type    string
		Usage   *anthropicUsage
		Message struct{ Usage *anthropicUsage }
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	switch m.Type {
	case "message_start":
		m.Message.Usage.into(r)
	case "message_delta":
		m.Usage.into(r)
		r.known = r.known || m.Usage != nil
	case "message_stop":
		r.ended = true
	case "message":
		m.Usage.into(r)
		r.known, r.ended = m.Usage != nil, true
	}
	return nil
}
