// Package telemetry says what goes on in the two forms that others collect:
// spans of OpenTelemetry, which an [Exporter] sends, and numbers in Prometheus's
// text. It is written by hand because the libraries of both register the messages
// of their protocols when a program starts, whether anybody collects or not.
package telemetry

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

// Traces is a message of OTLP in JSON, as collectors take it, and as a line of a
// file that they write: see the OpenTelemetry protocol.
type Traces struct {
	ResourceSpans []ResourceSpans `json:"resourceSpans"`
}

// ResourceSpans are the spans of one service.
type ResourceSpans struct {
	Resource   Resource     `json:"resource"`
	ScopeSpans []ScopeSpans `json:"scopeSpans"`
}

// Resource is what makes spans.
type Resource struct {
	Attributes []Attribute `json:"attributes"`
}

// ScopeSpans are the spans of one part of a service.
type ScopeSpans struct {
	Scope Scope  `json:"scope"`
	Spans []Span `json:"spans"`
}

// Scope is a part of a service.
type Scope struct {
	Name string `json:"name"`
}

// Kinds of spans.
const (
	Internal = 1
	Client   = 3
)

// Span is one thing that took some time.
type Span struct {
	TraceID    string      `json:"traceId"`
	SpanID     string      `json:"spanId"`
	Parent     string      `json:"parentSpanId,omitempty"`
	Name       string      `json:"name"`
	Kind       int         `json:"kind"`
	Start      string      `json:"startTimeUnixNano"`
	End        string      `json:"endTimeUnixNano"`
	Attributes []Attribute `json:"attributes"`
	Status     *Status     `json:"status,omitempty"`
}

// Status says that a span has failed.
type Status struct {
	Code    int    `json:"code"`
	Message string `json:"message,omitempty"`
}

const statusError = 2

// Attribute is something that is said of a span.
type Attribute struct {
	Key   string `json:"key"`
	Value Value  `json:"value"`
}

// Value is text or a number, which is text in OTLP's JSON.
type Value struct {
	String *string `json:"stringValue,omitempty"`
	Int    *string `json:"intValue,omitempty"`
}

// Text is an attribute of words.
func Text(key, s string) Attribute { return Attribute{key, Value{String: &s}} }

// Number is an attribute that counts.
func Number(key string, n int64) Attribute {
	s := strconv.FormatInt(n, 10)
	return Attribute{key, Value{Int: &s}}
}

// Services wraps the spans of one service as a message.
func Services(resource []Attribute, spans ...Span) Traces {
	return Traces{[]ResourceSpans{{Resource{resource}, []ScopeSpans{{Scope{"proofbox"}, spans}}}}}
}

// TraceID is the number of the trace that has a name, and SpanID of a span.
func TraceID(name string) string { return id(name, 16) }
func SpanID(name string) string  { return id(name, 8) }

// id is a number of so many bytes that follows from a name.
func id(name string, n int) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:n])
}

// Nanos is a moment as OTLP writes it.
func Nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// Failed has a span say that it has, and why.
func (s *Span) Failed(why string) { s.Status = &Status{statusError, Clip(why)} }

// maxText bounds, in bytes, what of a text goes into a span or a label.
const maxText = 200

// Clip bounds a text, which may be from a box, and makes it one that every form
// can carry.
func Clip(text string) string {
	text = text[:min(len(text), maxText)]
	if utf8.ValidString(text) {
		return text
	}
	return strconv.QuoteToASCII(text)
}
