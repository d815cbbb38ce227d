package recording

import (
	"encoding/json"

	"proofbox"
)

// block is a part of a message of Anthropic's.
type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   json.RawMessage `json:"content"`
	partial   string          // of the input, in a stream
}

func (b block) part(whole string) part {
	switch b.Type {
	case "text":
		return text(b.Text)
	case "tool_use":
		if b.partial != "" {
			b.Input = arguments(b.partial)
		}
		return part{Type: "tool_call", ID: b.ID, Name: b.Name, Arguments: b.Input}
	case "tool_result":
		return part{Type: "tool_call_response", ID: b.ToolUseID, Response: message{Parts: contents(b.Content)}.text()}
	default:
		return part{Type: b.Type, Content: whole}
	}
}

// blocks reads a content that is text, or a list of blocks.
func blocks(data json.RawMessage) []part {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		return contents(data)
	}
	parts := make([]part, len(list))
	for i, item := range list {
		var b block
		if json.Unmarshal(item, &b) != nil {
			b.Type = "unknown"
		}
		parts[i] = b.part(string(item))
	}
	return parts
}

// ofMessages reads an exchange of Anthropic's messages.
func ofMessages(e proofbox.Exchange) (c conversation, err error) {
	var request struct {
		System   json.RawMessage
		Messages []struct {
			Role    string
			Content json.RawMessage
		}
	}
	if err := json.Unmarshal(e.Request, &request); err != nil {
		return c, err
	}
	if system := blocks(request.System); system != nil {
		c.Said = append(c.Said, message{Role: "system", Parts: system})
	}
	for _, m := range request.Messages {
		c.Said = append(c.Said, message{Role: m.Role, Parts: blocks(m.Content)})
	}
	c.Answer = message{Role: "assistant"}
	if events(e) != nil {
		c.Answer.Parts, c.Finish, err = streamed(events(e))
		return c, err
	}
	var answer struct {
		Content json.RawMessage
		Stop    string `json:"stop_reason"`
	}
	err = json.Unmarshal(body(e), &answer)
	c.Answer.Parts, c.Finish = blocks(answer.Content), answer.Stop
	return c, err
}

// streamed puts the blocks of a stream together.
func streamed(events [][]byte) (parts []part, finish string, err error) {
	var found []block
	for _, data := range events {
		var m struct {
			Type  string
			Block block `json:"content_block"`
			Delta struct {
				Text    string
				Partial string `json:"partial_json"`
				Stop    string `json:"stop_reason"`
			}
		}
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, "", err
		}
		switch {
		case m.Type == "content_block_start":
			found = append(found, m.Block)
		case m.Type == "content_block_delta" && len(found) > 0:
			found[len(found)-1].Text += m.Delta.Text
			found[len(found)-1].partial += m.Delta.Partial
		case m.Type == "message_delta":
			finish = m.Delta.Stop
		}
	}
	for _, b := range found {
		parts = append(parts, b.part(""))
	}
	return parts, finish, nil
}
