package recording

import (
	"encoding/json"
	"slices"
	"strings"

	"proofbox"
)

// chatMessage is a message of OpenAI's chat completions.
type chatMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
	Calls   []chatCall      `json:"tool_calls,omitempty"`
	CallID  string          `json:"tool_call_id,omitempty"`
}

type chatCall struct {
	Index    int          `json:"index,omitempty"`
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// message reads a message.
func (m chatMessage) message() message {
	if m.Role == "tool" {
		return message{Role: "tool", Parts: []part{{Type: "tool_call_response", ID: m.CallID, Response: raw(m.Content)}}}
	}
	out := message{Role: m.Role, Parts: contents(m.Content)}
	for _, c := range m.Calls {
		out.Parts = append(out.Parts, part{Type: "tool_call", ID: c.ID, Name: c.Function.Name, Arguments: arguments(c.Function.Arguments)})
	}
	return out
}

// contents reads a content that is text, or a list of parts.
func contents(data json.RawMessage) []part {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		if s := raw(data); len(data) > 0 && s != "" && string(data) != "null" {
			return []part{text(s)}
		}
		return nil
	}
	var parts []part
	for _, item := range list {
		var p struct {
			Type string
			Text *string
		}
		if json.Unmarshal(item, &p) == nil && p.Text != nil {
			parts = append(parts, text(*p.Text))
		} else {
			parts = append(parts, part{Type: p.Type, Content: string(item)})
		}
	}
	return parts
}

// ofChat reads an exchange of chat completions.
func ofChat(e proofbox.Exchange) (c conversation, err error) {
	var request struct{ Messages []chatMessage }
	if err := json.Unmarshal(e.Request, &request); err != nil {
		return c, err
	}
	for _, m := range request.Messages {
		c.Said = append(c.Said, m.message())
	}
	answer, finish, err := chatAnswer(e)
	c.Answer, c.Finish = answer.message(), finish
	c.Answer.Role = "assistant"
	return c, err
}

// chatAnswer gives the first of the answers, also where it came in pieces.
func chatAnswer(e proofbox.Exchange) (m chatMessage, finish string, err error) {
	type choice struct {
		Index   int
		Message chatMessage
		Delta   chatMessage
		Finish  string `json:"finish_reason"`
	}
	var answer struct{ Choices []choice }
	if pieces := events(e); pieces == nil {
		if err := json.Unmarshal(body(e), &answer); err != nil || len(answer.Choices) == 0 {
			return m, "", err
		}
		return answer.Choices[0].Message, answer.Choices[0].Finish, nil
	}
	var words strings.Builder
	for _, data := range events(e) {
		if string(data) == "[DONE]" {
			break
		}
		if err := json.Unmarshal(data, &answer); err != nil {
			return m, finish, err
		}
		for _, c := range answer.Choices {
			if c.Index == 0 {
				words.WriteString(raw(c.Delta.Content))
				m.Calls = join(m.Calls, c.Delta.Calls)
				finish = c.Finish
			}
		}
		answer.Choices = nil
	}
	m.Content, err = json.Marshal(words.String())
	return m, finish, err
}

// join puts the pieces of calls together.
func join(calls, pieces []chatCall) []chatCall {
	for _, p := range pieces {
		i := slices.IndexFunc(calls, func(c chatCall) bool { return c.Index == p.Index })
		if i < 0 {
			calls = append(calls, p)
			continue
		}
		calls[i].Function.Name += p.Function.Name
		calls[i].Function.Arguments += p.Function.Arguments
	}
	return calls
}

// chat writes a message as chat completions have it; what a tool answered is a
// message of its own for each.
func (m message) chat() (list []chatMessage) {
	out := chatMessage{Role: m.Role}
	words := m.text()
	for _, p := range m.Parts {
		switch p.Type {
		case "tool_call_response":
			list = append(list, chatMessage{Role: "tool", CallID: p.ID, Content: quote(p.Response)})
		case "tool_call":
			out.Calls = append(out.Calls, chatCall{ID: p.ID, Type: "function", Function: chatFunction{p.Name, string(p.Arguments)}})
		}
	}
	if words != "" || len(out.Calls) > 0 || len(list) == 0 {
		out.Content = quote(words)
		list = append(list, out)
	}
	return list
}

func quote(s string) json.RawMessage {
	data, err := json.Marshal(s)
	if err != nil {
		panic("recording: text is always JSON: " + err.Error())
	}
	return data
}
