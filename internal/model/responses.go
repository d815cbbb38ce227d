package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// responses is the format of OpenAI's responses, where a conversation is a list of
// items, and the provider may keep it. What it keeps is not in the next request and
// cannot be bounded, so a client has to send all of it, as Codex does.
type responses struct{ openAI }

func (responses) callPath() string { return "/responses" }
func (responses) format() string   { return "openai.responses" }

// ownTools are those that the caller runs. What the provider runs costs what it
// likes.
var ownTools = []string{"function", "custom", "local_shell", "apply_patch"}

func (responses) bound(o *object) (bound, error) {
	input, err := inputOf(o)
	b := bound{input: input, times: 1}
	if err != nil {
		return b, err
	}
	var limit number
	var tools []struct{ Type string }
	var later bool
	for name, v := range map[string]any{
		"model": &b.model, "stream": &b.stream, "max_output_tokens": &limit, "tools": &tools, "background": &later,
	} {
		if _, err := o.get(name, v); err != nil {
			return b, err
		}
	}
	for _, tool := range tools {
		if !slices.Contains(ownTools, tool.Type) {
			return b, invalid("the provider runs the tool %q, so what it costs cannot be bounded; leave it out", tool.Type)
		}
	}
	if later {
		return b, invalid(`"background" leaves the answer with the provider, and nothing here fetches it; leave it out`)
	}
	b.output = int64(limit)
	return b, nil
}

func (responses) limit(o *object, tokens int64, _ bool) error {
	return o.set("max_output_tokens", strconv.FormatInt(tokens, 10))
}

// report reads an event of a stream, or a whole answer. One that stopped at a
// limit has its usage, too; one that failed has none.
func (responses) report(data []byte, r *report) error {
	type response struct {
		Object, Status string
		Usage          *struct {
			InputTokens  int64  `json:"input_tokens"`
			OutputTokens int64  `json:"output_tokens"`
			Details      cached `json:"input_tokens_details"`
		}
	}
	var m struct {
		response
		Response *response
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	answer := m.response
	if m.Response != nil {
		answer = *m.Response
	}
	if !slices.Contains([]string{"completed", "incomplete", "failed", "cancelled"}, answer.Status) {
		return nil
	}
	r.ended = true
	if u := answer.Usage; u != nil {
		r.known, r.usage = true, u.Details.of(u.InputTokens, u.OutputTokens)
	}
	return nil
}

// item is one thing of a conversation.
type item struct {
	Type, Role      string
	Content, Output json.RawMessage
}

// answered says whether the model has said it.
func (i item) answered() bool {
	return i.Role == "assistant" || i.Type == "reasoning" || strings.HasSuffix(i.Type, "_call")
}

// ask reads a request. Items of the model that follow each other are one answer.
func (responses) ask(data []byte) (*question, error) {
	var r struct {
		Model  string
		Stream bool
		Limit  int64 `json:"max_output_tokens"`
		Input  json.RawMessage
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	q := &question{model: r.Model, stream: r.Stream, limit: r.Limit, usage: true, turn: 1, last: string(r.Input)}
	if !bytes.HasPrefix(r.Input, []byte("[")) {
		return q, nil
	}
	var items []item
	if err := json.Unmarshal(r.Input, &items); err != nil {
		return nil, err
	}
	for i, it := range items {
		if it.answered() && (i == 0 || !items[i-1].answered()) {
			q.turn++
		}
		q.last = string(it.Content) + string(it.Output)
	}
	return q, nil
}

func (responses) status(r *reply) (status string, why any) {
	if r.short {
		return "incomplete", fields{"reason": "max_output_tokens"}
	}
	return "completed", nil
}

// response is the answer with the items that it has so far.
func (responses) response(r *reply, status string, why any, items []any) fields {
	f := fields{
		"id": r.id, "object": "response", "created_at": 0, "status": status, "model": r.model, "output": items,
		"error": nil, "incomplete_details": why, "instructions": nil, "metadata": fields{}, "parallel_tool_calls": true,
		"temperature": nil, "tool_choice": "auto", "tools": []any{}, "top_p": nil, "usage": nil,
	}
	if status != "in_progress" {
		f["usage"] = fields{
			"input_tokens": r.input, "input_tokens_details": fields{"cached_tokens": 0},
			"output_tokens": r.output, "output_tokens_details": fields{"reasoning_tokens": 0},
			"total_tokens": r.input + r.output,
		}
	}
	return f
}

// message is the text of an answer as an item.
func (responses) message(r *reply, status, text string) fields {
	content := []any{}
	if status != "in_progress" {
		content = []any{textPart(text)}
	}
	return fields{"id": "msg_" + r.id, "type": "message", "role": "assistant", "status": status, "content": content}
}

func textPart(text string) fields {
	return fields{"type": "output_text", "text": text, "annotations": []any{}}
}

func (responses) call(r *reply, i int, status, arguments string) fields {
	return fields{
		"id": fmt.Sprintf("fc_%s_%d", r.id, i), "call_id": fmt.Sprintf("call_%s_%d", r.id, i),
		"type": "function_call", "name": r.calls[i].Tool, "arguments": arguments, "status": status,
	}
}

func (a responses) items(r *reply) []any {
	items := []any{}
	if len(r.text) > 0 {
		items = append(items, a.message(r, "completed", strings.Join(r.text, "")))
	}
	for i, c := range r.calls {
		items = append(items, a.call(r, i, "completed", c.arguments()))
	}
	return items
}

func (a responses) whole(r *reply) any {
	status, why := a.status(r)
	return a.response(r, status, why, a.items(r))
}

// events tells an answer in the steps that OpenAI's documentation of streaming
// has.
func (a responses) events(r *reply) [][2]any {
	s := &steps{}
	s.add("response.created", fields{"response": a.response(r, "in_progress", nil, []any{})})
	s.add("response.in_progress", fields{"response": a.response(r, "in_progress", nil, []any{})})
	at := 0
	if len(r.text) > 0 {
		a.tell(s, r)
		at = 1
	}
	for i, c := range r.calls {
		id := fmt.Sprintf("fc_%s_%d", r.id, i)
		s.add("response.output_item.added", fields{"output_index": at + i, "item": a.call(r, i, "in_progress", "")})
		s.add("response.function_call_arguments.delta", fields{"item_id": id, "output_index": at + i, "delta": c.arguments()})
		s.add("response.function_call_arguments.done", fields{"item_id": id, "output_index": at + i, "name": c.Tool, "arguments": c.arguments()})
		s.add("response.output_item.done", fields{"output_index": at + i, "item": a.call(r, i, "completed", c.arguments())})
	}
	status, _ := a.status(r)
	s.add("response."+status, fields{"response": a.whole(r)})
	return s.list
}

// tell tells the text of an answer.
func (a responses) tell(s *steps, r *reply) {
	text := strings.Join(r.text, "")
	of := func(more fields) fields {
		more["item_id"], more["output_index"], more["content_index"] = "msg_"+r.id, 0, 0
		return more
	}
	s.add("response.output_item.added", fields{"output_index": 0, "item": a.message(r, "in_progress", "")})
	s.add("response.content_part.added", of(fields{"part": textPart("")}))
	for _, piece := range r.text {
		s.add("response.output_text.delta", of(fields{"delta": piece, "logprobs": []any{}}))
	}
	s.add("response.output_text.done", of(fields{"text": text, "logprobs": []any{}}))
	s.add("response.content_part.done", of(fields{"part": textPart(text)}))
	s.add("response.output_item.done", fields{"output_index": 0, "item": a.message(r, "completed", text)})
}

// steps are numbered events.
type steps struct{ list [][2]any }

func (s *steps) add(kind string, event fields) {
	event["type"], event["sequence_number"] = kind, len(s.list)
	s.list = append(s.list, [2]any{kind, event})
}
