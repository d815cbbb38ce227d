package model

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// wire is a format that clients and providers speak.
type wire interface {
	name() string
	format() string   // as a recording calls it, see [proofbox.Exchange]
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

// pictureTokens is more than a provider takes a picture for, whatever its size: a
// picture of one colour has few bytes, and is no cheaper for it. The dearest is
// OpenAI's gpt-4o-mini, 2,833 tokens and 5,667 for each of at most 8 tiles.
const pictureTokens = 50_000

// Members of a request whose cost nothing in the request bounds.
var unbounded = []string{
	"previous_response_id", "audio", "web_search_options", "prediction", "mcp_servers", "container", "best_of", "conversation",
	"prompt", "context_management", "speed", "inference_geo",
}

// inputOf gives more tokens than a request can have, and refuses what cannot be
// bounded. A token is at least one byte of the text that it stands for, so the
// bytes of the request are a bound on its tokens, unless it has what is no text
// or names something that is elsewhere.
func inputOf(o *object) (int64, error) {
	for _, name := range unbounded {
		var v any
		if there, err := o.get(name, &v); there || err != nil {
			return 0, invalid("%q makes the cost of a call unbounded; leave it out", name)
		}
	}
	var tier string
	if _, err := o.get("service_tier", &tier); err != nil || !slices.Contains([]string{"", "auto", "default", "flex", "standard_only"}, tier) {
		return 0, invalid("the service_tier %q has a price of its own; leave it out", tier)
	}
	pictures, err := look(o)
	return int64(len(o.text)) + overhead + pictures*pictureTokens, err
}

// look counts the pictures in a request. It refuses parts of messages, and tools,
// that bring in or start what the request does not hold, or what is counted in
// another way than text.
func look(o *object) (pictures int64, err error) {
	for _, name := range []string{"messages", "system", "tools", "input", "instructions"} {
		var v any
		if _, err := o.get(name, &v); err != nil {
			return 0, err
		}
		n, what := parts(v)
		if what != "" {
			return 0, invalid("%s, so what the call costs cannot be bounded; send text, or a picture as data", what)
		}
		pictures += n
	}
	return pictures, nil
}

// parts looks at a part of a request and at all in it.
func parts(v any) (pictures int64, refused string) {
	var inner []any
	switch v := v.(type) {
	case []any:
		inner = v
	case map[string]any:
		var picture bool
		if picture, refused = part(v); refused != "" {
			return 0, refused
		}
		if picture {
			pictures = 1
		}
		inner = slices.Collect(maps.Values(v))
	}
	for _, item := range inner {
		n, refused := parts(item)
		if refused != "" {
			return 0, refused
		}
		pictures += n
	}
	return pictures, ""
}

// part says what one part of a message is: a picture, something that is refused,
// or text.
func part(m map[string]any) (picture bool, refused string) {
	kind, _ := m["type"].(string)
	inner, _ := m["image_url"].(map[string]any)
	source, _ := m["source"].(map[string]any)
	switch {
	case kind == "image_url" && !isData(inner["url"]), kind == "input_image" && !isData(m["image_url"]):
		return false, "an image by its address is not in the request"
	case m["file_url"] != nil, kind == "url" && m["url"] != nil:
		return false, "a document by its address is not in the request"
	case m["file_id"] != nil:
		return false, "a file by its number is not in the request"
	case kind == "item_reference":
		return false, "an item by its number is not in the request"
	case kind == "input_audio":
		return false, "sound has a price of its own"
	case m["file_data"] != nil, kind == "document" && source["type"] == "base64":
		return false, "a document has pages, which are counted as text and as pictures"
	case isOthersTool(kind, m):
		return false, "the tool " + kind + " is run by the provider"
	}
	return kind == "image_url" || kind == "input_image" || kind == "image", ""
}

// callersTools are the kinds of tools that Anthropic names and its callers run.
var callersTools = []string{"function", "custom", "bash_", "text_editor_", "computer_", "memory_"}

// isOthersTool says whether a part is a tool of Anthropic's: those have a kind, a
// name and nothing that their user could fill.
func isOthersTool(kind string, m map[string]any) bool {
	if m["name"] == nil || m["input_schema"] != nil || m["input"] != nil || m["content"] != nil || m["arguments"] != nil {
		return false
	}
	return kind != "" && !slices.ContainsFunc(callersTools, func(own string) bool { return strings.HasPrefix(kind, own) })
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
