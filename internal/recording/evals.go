package recording

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"proofbox"
)

// sample is a line of a data set of OpenAI's evals: what is said, and the answer
// that is expected. See the repository openai/evals, docs/build-eval.md.
type sample struct {
	Input []chatMessage `json:"input"`
	Ideal any           `json:"ideal"` // text, or a list of texts of which any will do
}

// WriteEvals writes an exchange as a sample, whose ideal is what was answered.
func WriteEvals(w io.Writer, e proofbox.Exchange) error {
	c, err := understand(e)
	if err != nil {
		return err
	}
	s := sample{Ideal: c.Answer.text()}
	for _, m := range c.Said {
		s.Input = append(s.Input, m.chat()...)
	}
	return json.NewEncoder(w).Encode(s)
}

// ReadEvals gives samples as exchanges with a model that has answered the ideal;
// the first, where there are several.
func ReadEvals(r io.Reader, model string) iter.Seq2[proofbox.Exchange, error] {
	return func(yield func(proofbox.Exchange, error) bool) {
		number := 0
		for line, err := range lines(r) {
			var s sample
			if err == nil {
				err = json.Unmarshal(line.text, &s)
			}
			if err == nil && len(s.Input) == 0 {
				err = fmt.Errorf(`it has no "input"`)
			}
			if err != nil {
				yield(proofbox.Exchange{}, fmt.Errorf("line %d of the samples: %w", line.number, err))
				return
			}
			number++
			e, err := asChat(number, model, s.Input, chatMessage{Role: "assistant", Content: quote(s.ideal())}, "stop")
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (s sample) ideal() string {
	switch ideal := s.Ideal.(type) {
	case string:
		return ideal
	case []any:
		if len(ideal) > 0 {
			first, _ := ideal[0].(string)
			return first
		}
	}
	return ""
}

// asChat makes an exchange of chat completions.
func asChat(number int, model string, said []chatMessage, answer chatMessage, finish string) (proofbox.Exchange, error) {
	request, err := json.Marshal(map[string]any{"model": model, "messages": said})
	if err != nil {
		return proofbox.Exchange{}, fmt.Errorf("making a request: %w", err)
	}
	text, err := json.Marshal(map[string]any{
		"object": "chat.completion", "model": model,
		"choices": []any{map[string]any{"index": 0, "message": answer, "finish_reason": finish}},
	})
	if err != nil {
		return proofbox.Exchange{}, fmt.Errorf("making an answer: %w", err)
	}
	return proofbox.Exchange{
		Number: number, Format: "openai.chat", Model: model, Request: request, Status: 200, Type: "application/json",
		Answer: []proofbox.Piece{{Text: string(text)}}, Complete: true,
	}, nil
}
