package model

import (
	"encoding/json"
	"slices"
	"strings"
)

// wire is a format that clients and providers speak.
type wire interface {
	name() string
	prefix() string   // of the paths in the box
	callPath() string // of a call, after the prefix and after a provider's base
	// bound reads what a request can use.
	bound(*object) (bound, error)
	// limit writes the limit of output into a request, and the wish for a usage
	// report.
	limit(o *object, tokens int64, stream bool) error
	key(key string) (header, value string)
	failure(*failure) any
	list(models []string) any
	// report reads one message of an answer, or a whole answer, into what is
	// known of its usage.
	report(data []byte, r *report) error
}

// bound is what a request can use at most.
type bound struct {
	model  string
	stream bool
	input  int64 // tokens
	output int64 // tokens, of each answer; 0 where the request does not say
	times  int64 // answers
}

// report is what an answer has said of its usage so far.
type report struct {
	usage Usage
	known bool // a usage was given
	ended bool // the answer has come to its own end
}

// overhead is more tokens than a provider adds to a request of its own accord:
// the frame of the conversation and of its tools.
const overhead = 2048

// Members of a request whose cost nothing in the request bounds.
var unbounded = []string{"previous_response_id", "audio", "web_search_options", "prediction", "mcp_servers", "container", "best_of", "conversation"}

// bounded refuses what cannot be bounded. A token is at least one byte of the
// text that it stands for, so the bytes of the request are a bound on its
// tokens, unless it names something that is elsewhere.
func bounded(o *object) error {
	for _, name := range unbounded {
		var v any
		if there, err := o.get(name, &v); there || err != nil {
			return invalid("%q makes the cost of a call unbounded; leave it out", name)
		}
	}
	var tier string
	if _, err := o.get("service_tier", &tier); err != nil || !slices.Contains([]string{"", "auto", "default", "flex", "standard_only"}, tier) {
		return invalid("the service_tier %q has a price of its own; leave it out", tier)
	}
	return elsewhere(o)
}

// elsewhere looks for parts of messages, and tools, that bring in or start what
// the request does not hold.
func elsewhere(o *object) error {
	for _, name := range []string{"messages", "system", "tools", "input"} {
		var v any
		if _, err := o.get(name, &v); err != nil {
			return err
		}
		if what := remote(v); what != "" {
			return invalid("%s is not in the request, so what it costs cannot be bounded; send it as data", what)
		}
	}
	return nil
}

// remote finds what stands for something that is elsewhere: images and documents
// by address or number, and tools that the provider runs.
func remote(v any) string {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if what := remote(item); what != "" {
				return what
			}
		}
	case map[string]any:
		return remoteIn(v)
	}
	return ""
}

func remoteIn(m map[string]any) string {
	kind, _ := m["type"].(string)
	switch {
	case kind == "image_url":
		if part, ok := m["image_url"].(map[string]any); !ok || !isData(part["url"]) {
			return "an image by its address"
		}
	case m["file_id"] != nil:
		return "a file by its number"
	case kind == "url" && m["url"] != nil:
		return "a document by its address"
	case kind != "" && kind != "function" && kind != "custom" && m["name"] != nil && m["input_schema"] == nil && m["input"] == nil && m["content"] == nil:
		return "the tool " + kind
	}
	for _, item := range m {
		if what := remote(item); what != "" {
			return what
		}
	}
	return ""
}

func isData(v any) bool {
	s, ok := v.(string)
	return ok && strings.HasPrefix(s, "data:")
}

// number is a JSON number that must be whole and not below zero.
type number int64

// UnmarshalJSON implements [json.Unmarshaler].
func (n *number) UnmarshalJSON(data []byte) error {
	var i int64
	if err := json.Unmarshal(data, &i); err != nil {
		return err
	}
	if i < 0 {
		return invalid("%d is below zero", i)
	}
	*n = number(i)
	return nil
}
