package recording

import (
	"encoding/json"

	"proofbox"
)

// item is one thing of a conversation in OpenAI's responses.
type item struct {
	Type      string          `json:"type"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	CallID    string          `json:"call_id"`
	Name      string          `json:"name"`
	Arguments string          `json:"arguments"`
	Output    json.RawMessage `json:"output"`
}

// message reads an item; whole is all of it.
func (i item) message(whole string) message {
	switch i.Type {
	case "function_call":
		return message{Role: "assistant", Parts: []part{{Type: "tool_call", ID: i.CallID, Name: i.Name, Arguments: arguments(i.Arguments)}}}
	case "function_call_output":
		return message{Role: "tool", Parts: []part{{Type: "tool_call_response", ID: i.CallID, Response: raw(i.Output)}}}
	case "", "message":
		return message{Role: i.Role, Parts: contents(i.Content)}
	default:
		return message{Role: "assistant", Parts: []part{{Type: i.Type, Content: whole}}}
	}
}

// items reads a list of them.
func items(list []json.RawMessage) (said []message, err error) {
	for _, data := range list {
		var i item
		if err := json.Unmarshal(data, &i); err != nil {
			return nil, err
		}
		said = append(said, i.message(string(data)))
	}
	return said, nil
}

// ofResponses reads an exchange of OpenAI's responses.
func ofResponses(e proofbox.Exchange) (c conversation, err error) {
	var request struct {
		Instructions string
		Input        json.RawMessage
	}
	if err := json.Unmarshal(e.Request, &request); err != nil {
		return c, err
	}
	if request.Instructions != "" {
		c.Said = append(c.Said, message{Role: "system", Parts: []part{text(request.Instructions)}})
	}
	var list []json.RawMessage
	if json.Unmarshal(request.Input, &list) != nil {
		c.Said = append(c.Said, message{Role: "user", Parts: contents(request.Input)})
	}
	said, err := items(list)
	if err != nil {
		return c, err
	}
	c.Said = append(c.Said, said...)
	var answer struct {
		Status   string
		Output   []json.RawMessage
		Response *struct {
			Status string
			Output []json.RawMessage
		}
	}
	data := body(e)
	if list := events(e); len(list) > 0 {
		data = list[len(list)-1] // the last event has all of it
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return c, err
	}
	if r := answer.Response; r != nil {
		answer.Status, answer.Output = r.Status, r.Output
	}
	parts, err := items(answer.Output)
	c.Answer, c.Finish = message{Role: "assistant"}, answer.Status
	for _, m := range parts {
		c.Answer.Parts = append(c.Answer.Parts, m.Parts...)
	}
	return c, err
}
