package recording

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"proofbox"
)

// traces is a line of OTLP in JSON, as the collector's file exporter writes it: see
// the OpenTelemetry protocol, and its semantic conventions for generative AI.
type traces struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource struct {
		Attributes []attribute `json:"attributes"`
	} `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
}

type scopeSpans struct {
	Scope struct {
		Name string `json:"name"`
	} `json:"scope"`
	Spans []span `json:"spans"`
}

type span struct {
	TraceID    string      `json:"traceId"`
	SpanID     string      `json:"spanId"`
	Name       string      `json:"name"`
	Kind       int         `json:"kind"`
	Start      string      `json:"startTimeUnixNano"`
	End        string      `json:"endTimeUnixNano"`
	Attributes []attribute `json:"attributes"`
}

type attribute struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

// value is text or a number, which is text in OTLP's JSON.
type value struct {
	String *string `json:"stringValue,omitempty"`
	Int    *string `json:"intValue,omitempty"`
}

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

const clientSpan = 3 // SPAN_KIND_CLIENT

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
	s := span{
		TraceID: id(run, 16), SpanID: id(run+"/"+strconv.Itoa(e.Number), 8), Name: "chat " + e.Model, Kind: clientSpan,
		Start: nanos(e.Time), End: nanos(e.Time.Add(took(e))),
		Attributes: []attribute{
			words(attrOperation, "chat"), words(attrProvider, provider), words(attrModel, e.Model),
			words(attrSaid, string(said)), words(attrAnswered, string(answered)),
		},
	}
	if u := e.Usage; u != nil {
		s.Attributes = append(s.Attributes, count(attrInput, u.Input+u.CacheRead+u.CacheWrite+u.CacheWrite1h), count(attrOutput, u.Output))
	}
	r := resourceSpans{ScopeSpans: []scopeSpans{{Spans: []span{s}}}}
	r.Resource.Attributes = []attribute{words("service.name", "proofbox")}
	r.ScopeSpans[0].Scope.Name = "proofbox"
	return json.NewEncoder(w).Encode(traces{[]resourceSpans{r}})
}

func words(key, s string) attribute { return attribute{key, value{String: &s}} }

func count(key string, n int64) attribute {
	s := strconv.FormatInt(n, 10)
	return attribute{key, value{Int: &s}}
}

// id is a number of so many bytes that follows from a name.
func id(name string, n int) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:n])
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

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
			var t traces
			if err == nil {
				err = json.Unmarshal(line.text, &t)
			}
			if err != nil {
				yield(proofbox.Exchange{}, fmt.Errorf("line %d of the spans: %w", line.number, err))
				return
			}
			for _, s := range t.conversations() {
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
func (t traces) conversations() (list []span) {
	for _, r := range t.ResourceSpans {
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				if s.get(attrSaid) != "" {
					list = append(list, s)
				}
			}
		}
	}
	return list
}

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
