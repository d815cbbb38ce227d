package recording

import (
	"encoding/json"
	"fmt"
	"strings"

	"proofbox"
)

// conversation is what was said in an exchange, whatever format it has: as
// OpenTelemetry's conventions write it.
type conversation struct {
	Said   []message // by the box, and by the model in earlier answers
	Answer message
	Finish string // why the answer ended, in the provider's word
}

// message is what one side has said.
type message struct {
	Role   string `json:"role"` // "system", "user", "assistant", "tool"
	Parts  []part `json:"parts"`
	Finish string `json:"finish_reason,omitempty"`
}

// part is a piece of a message: text, a call of a tool, or what a tool answered.
// What is none of them has its own type, and its content as it came.
type part struct {
	Type      string          `json:"type"` // "text", "tool_call", "tool_call_response" …
	Content   string          `json:"content,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Response  string          `json:"response,omitempty"`
}

func text(s string) part { return part{Type: "text", Content: s} }

// text is what is said in words.
func (m message) text() string {
	var words []string
	for _, p := range m.Parts {
		if p.Type == "text" {
			words = append(words, p.Content)
		}
	}
	return strings.Join(words, "\n")
}

// readers are of the formats that are conversations.
var readers = map[string]func(proofbox.Exchange) (conversation, error){
	"openai.chat": ofChat, "openai.responses": ofResponses, "anthropic.messages": ofMessages,
}

// understand reads an exchange.
func understand(e proofbox.Exchange) (conversation, error) {
	read := readers[e.Format]
	if read == nil {
		return conversation{}, fmt.Errorf("an exchange of the format %q is no conversation", e.Format)
	}
	c, err := read(e)
	if err != nil {
		return c, fmt.Errorf("exchange %d: %w", e.Number, err)
	}
	return c, nil
}

// IsConversation says whether an exchange is one that can be written in the format
// of another tool.
func IsConversation(e proofbox.Exchange) bool {
	return e.Status == 200 && readers[e.Format] != nil
}

// body is all that was answered.
func body(e proofbox.Exchange) []byte {
	var b []byte
	for _, p := range e.Answer {
		b = append(append(b, p.Text...), p.Bytes...)
	}
	return b
}

// events gives the data of the events of a stream; nil where the answer is none.
func events(e proofbox.Exchange) (list [][]byte) {
	if !strings.HasPrefix(e.Type, "text/event-stream") {
		return nil
	}
	list = [][]byte{}
	for line := range strings.Lines(string(body(e))) {
		if data, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "data:"); ok {
			list = append(list, []byte(strings.TrimSpace(data)))
		}
	}
	return list
}

// raw is JSON that may be text or something else; as text it is itself.
func raw(data json.RawMessage) string {
	var s string
	if json.Unmarshal(data, &s) == nil {
		return s
	}
	return string(data)
}

// arguments makes JSON of what a model has written for a tool, which may be none.
func arguments(s string) json.RawMessage {
	if json.Valid([]byte(s)) {
		return json.RawMessage(s)
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("recording: text is always JSON: " + err.Error())
	}
	return quoted
}
