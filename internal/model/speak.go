package model

import (
	"fmt"
	"strings"
)

// fields is a JSON object that is written.
type fields = map[string]any

func (openAI) ask(data []byte) (*question, error) { return askMessages(data) }

func (openAI) calls(r *reply) []any {
	var list []any
	for i, c := range r.calls {
		list = append(list, fields{
			"index": i, "id": fmt.Sprintf("call_%s_%d", r.id, i), "type": "function",
			"function": fields{"name": c.Tool, "arguments": c.arguments()},
		})
	}
	return list
}

func (openAI) finish(r *reply) string {
	switch {
	case r.short:
		return "length"
	case len(r.calls) > 0:
		return "tool_calls"
	default:
		return "stop"
	}
}

func (openAI) usage(r *reply) fields {
	return fields{"prompt_tokens": r.input, "completion_tokens": r.output, "total_tokens": r.input + r.output}
}

func (o openAI) whole(r *reply) any {
	message := fields{"role": "assistant", "content": strings.Join(r.text, ""), "refusal": nil}
	if calls := o.calls(r); calls != nil {
		message["tool_calls"] = calls
	}
	return fields{
		"id": r.id, "object": "chat.completion", "created": 0, "model": r.model,
		"choices": []any{fields{"index": 0, "message": message, "finish_reason": o.finish(r), "logprobs": nil}},
		"usage":   o.usage(r),
	}
}

func (o openAI) events(r *reply) (list [][2]any) {
	chunk := func(delta fields, finish any) {
		list = append(list, [2]any{"", fields{
			"id": r.id, "object": "chat.completion.chunk", "created": 0, "model": r.model,
			"choices": []any{fields{"index": 0, "delta": delta, "finish_reason": finish}},
		}})
	}
	chunk(fields{"role": "assistant", "content": ""}, nil)
	for _, text := range r.text {
		chunk(fields{"content": text}, nil)
	}
	for _, call := range o.calls(r) {
		chunk(fields{"tool_calls": []any{call}}, nil)
	}
	chunk(fields{}, o.finish(r))
	if r.usage {
		list = append(list, [2]any{"", fields{
			"id": r.id, "object": "chat.completion.chunk", "created": 0, "model": r.model, "choices": []any{}, "usage": o.usage(r),
		}})
	}
	return append(list, [2]any{"", "[DONE]"})
}

func (anthropic) ask(data []byte) (*question, error) { return askMessages(data) }

func (anthropic) finish(r *reply) string {
	switch {
	case r.short:
		return "max_tokens"
	case len(r.calls) > 0:
		return "tool_use"
	default:
		return "end_turn"
	}
}

// blocks gives the parts of an answer.
func (anthropic) blocks(r *reply) []fields {
	list := []fields{}
	if len(r.text) > 0 {
		list = append(list, fields{"type": "text", "text": strings.Join(r.text, "")})
	}
	for i, c := range r.calls {
		input := c.Input
		if input == nil {
			input = fields{}
		}
		list = append(list, fields{"type": "tool_use", "id": fmt.Sprintf("toolu_%s_%d", r.id, i), "name": c.Tool, "input": input})
	}
	return list
}

func (a anthropic) message(r *reply, content any, stop any, output int64) fields {
	return fields{
		"id": r.id, "type": "message", "role": "assistant", "model": r.model, "content": content,
		"stop_reason": stop, "stop_sequence": nil,
		"usage": fields{"input_tokens": r.input, "output_tokens": output, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
	}
}

func (a anthropic) whole(r *reply) any { return a.message(r, a.blocks(r), a.finish(r), r.output) }

func (a anthropic) events(r *reply) (list [][2]any) {
	event := func(name string, more fields) {
		more["type"] = name
		list = append(list, [2]any{name, more})
	}
	event("message_start", fields{"message": a.message(r, []any{}, nil, 1)})
	for i, block := range a.blocks(r) {
		if block["type"] == "text" {
			event("content_block_start", fields{"index": i, "content_block": fields{"type": "text", "text": ""}})
			for _, text := range r.text {
				event("content_block_delta", fields{"index": i, "delta": fields{"type": "text_delta", "text": text}})
			}
		} else {
			use := r.calls[len(r.calls)-(len(a.blocks(r))-i)]
			event("content_block_start", fields{"index": i, "content_block": fields{"type": "tool_use", "id": block["id"], "name": block["name"], "input": fields{}}})
			event("content_block_delta", fields{"index": i, "delta": fields{"type": "input_json_delta", "partial_json": use.arguments()}})
		}
		event("content_block_stop", fields{"index": i})
	}
	event("message_delta", fields{"delta": fields{"stop_reason": a.finish(r), "stop_sequence": nil}, "usage": fields{"output_tokens": r.output}})
	event("message_stop", fields{})
	return list
}
