package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"proofbox"
	"proofbox/internal/telemetry"
)

// Names of attributes.
const (
	attrOperation = "gen_ai.operation.name"
	attrProvider  = "gen_ai.provider.name"
	attrModel     = "gen_ai.request.model"
	attrSaid      = "gen_ai.input.messages"
	attrAnswered  = "gen_ai.output.messages"
	attrInput     = "gen_ai.usage.input_tokens"
	attrOutput    = "gen_ai.usage.output_tokens"
)

// WriteOTel writes an exchange as a line with one span. run makes its trace: the
// calls of one run are one.
func WriteOTel(w io.Writer, run string, e proofbox.Exchange) error {
	c, err := understand(e)
	if err != nil {
		return err
	}
	c.Answer.Finish = c.Finish
	said, err := json.Marshal(c.Said)
	if err != nil {
		return fmt.Errorf("writing exchange %d: %w", e.Number, err)
	}
	answered, err := json.Marshal([]message{c.Answer})
	if err != nil {
		return fmt.Errorf("writing exchange %d: %w", e.Number, err)
	}
	provider, _, _ := strings.Cut(e.Format, ".")
	s := telemetry.Span{
		TraceID: telemetry.TraceID(run), SpanID: telemetry.SpanID(run + "/" + strconv.Itoa(e.Number)), Name: "chat " + e.Model, Kind: telemetry.Client,
		Start: telemetry.Nanos(e.Time), End: telemetry.Nanos(e.Time.Add(took(e))),
		Attributes: []telemetry.Attribute{
			telemetry.Text(attrOperation, "chat"), telemetry.Text(attrProvider, provider), telemetry.Text(attrModel, e.Model),
			telemetry.Text(attrSaid, string(said)), telemetry.Text(attrAnswered, string(answered)),
		},
	}
	if u := e.Usage; u != nil {
		s.Attributes = append(s.Attributes, telemetry.Number(attrInput, u.Input+u.CacheRead+u.CacheWrite+u.CacheWrite1h), telemetry.Number(attrOutput, u.Output))
	}
	return json.NewEncoder(w).Encode(telemetry.Services([]telemetry.Attribute{telemetry.Text("service.name", "proofbox")}, s))
}

// took is how long an answer took.
func took(e proofbox.Exchange) time.Duration {
	if len(e.Answer) == 0 {
		return 0
	}
	return time.Duration(e.Answer[len(e.Answer)-1].After)
}

// ReadOTel gives the spans of conversations in lines of OTLP as exchanges. Other
// spans are passed over.
func ReadOTel(r io.Reader) iter.Seq2[proofbox.Exchange, error] {
	return func(yield func(proofbox.Exchange, error) bool) {
		number := 0
		for line, err := range lines(r) {
			var t telemetry.Traces
			if err == nil {
				err = json.Unmarshal(line.text, &t)
			}
			if err != nil {
				yield(proofbox.Exchange{}, fmt.Errorf("line %d of the spans: %w", line.number, err))
				return
			}
			for _, s := range conversations(t) {
				number++
				e, err := s.exchange(number)
				if err != nil {
					err = fmt.Errorf("line %d of the spans, %q: %w", line.number, s.Name, err)
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// conversations gives the spans that have what was said.
func conversations(t telemetry.Traces) (list []span) {
	for _, r := range t.ResourceSpans {
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				if s := span(s); s.get(attrSaid) != "" {
					list = append(list, s)
				}
			}
		}
	}
	return list
}

// span is one that may have what was said.
type span telemetry.Span

// get is an attribute's value as text; empty where there is none.
func (s span) get(key string) string {
	for _, a := range s.Attributes {
		switch {
		case a.Key != key:
		case a.Value.String != nil:
			return *a.Value.String
		case a.Value.Int != nil:
			return *a.Value.Int
		}
	}
	return ""
}

// exchange makes an exchange of chat completions of a span.
func (s span) exchange(number int) (e proofbox.Exchange, err error) {
	var said, answered []message
	if err := json.Unmarshal([]byte(s.get(attrSaid)), &said); err != nil {
		return e, fmt.Errorf("%s: %w", attrSaid, err)
	}
	if err := json.Unmarshal([]byte(s.get(attrAnswered)), &answered); err != nil {
		return e, fmt.Errorf("%s: %w", attrAnswered, err)
	}
	if len(answered) == 0 {
		return e, errors.New("it has no answer")
	}
	var input []chatMessage
	for _, m := range said {
		input = append(input, m.chat()...)
	}
	answer := answered[0].chat()
	e, err = asChat(number, s.get(attrModel), input, answer[len(answer)-1], answered[0].Finish)
	if n, err := strconv.ParseInt(s.Start, 10, 64); err == nil {
		e.Time = time.Unix(0, n).UTC()
	}
	return e, err
}
