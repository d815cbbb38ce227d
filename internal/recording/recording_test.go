package recording_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"proofbox"
	"proofbox/internal/recording"
)

// exchange makes one whose answer comes in the given pieces.
func exchange(format, request string, answer ...string) proofbox.Exchange {
	e := proofbox.Exchange{
		Number: 3, Time: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Format: format, Model: "m", Request: json.RawMessage(request),
		Status: 200, Type: "application/json", Complete: true, Usage: &proofbox.TokenUsage{Input: 5, CacheRead: 2, Output: 3},
	}
	if len(answer) > 1 {
		e.Type = "text/event-stream"
	}
	for i, text := range answer {
		e.Answer = append(e.Answer, proofbox.Piece{After: proofbox.Duration(time.Duration(i+1) * time.Second), Text: text})
	}
	return e
}

// said is one conversation in every format, whole and as a stream: a system's
// word, a question, a call of a tool, its answer; and what was answered to that.
var said = map[string]proofbox.Exchange{
	"chat": exchange("openai.chat", `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Weather?"}]},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":\"Zürich\"}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"rain"}]}`,
		`{"choices":[{"index":0,"message":{"role":"assistant","content":"It rains.","tool_calls":[{"id":"c2","type":"function","function":{"name":"close","arguments":"{\"window\":1}"}}]},"finish_reason":"tool_calls"}]}`),
	"chat, streamed": exchange("openai.chat", `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Weather?"},
		{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":\"Zürich\"}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"rain"}]}`,
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"It \"}}]}\n\n", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"rains.\"}},{\"index\":1,\"delta\":{\"content\":\"Sun.\"}}]}\n\n",
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c2\",\"function\":{\"name\":\"close\",\"arguments\":\"{\\\"win\"}}]}}]}\n\n",
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"dow\\\":1}\"}}]}}]}\n\n",
		"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n", "data: {\"choices\":[],\"usage\":{}}\n\n", "data: [DONE]\n\n"),
	"messages": exchange("anthropic.messages", `{"system":"Be brief.","messages":[{"role":"user","content":"Weather?"},
		{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"look","input":{"at":"Zürich"}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"text","text":"rain"}]}]}]}`,
		`{"content":[{"type":"text","text":"It rains."},{"type":"tool_use","id":"c2","name":"close","input":{"window":1}}],"stop_reason":"tool_calls"}`),
	"messages, streamed": exchange("anthropic.messages", `{"system":[{"type":"text","text":"Be brief."}],"messages":[{"role":"user","content":"Weather?"},
		{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"look","input":{"at":"Zürich"}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"rain"}]}]}`,
		"event: message_start\ndata: {\"type\":\"message_start\"}\n\n", "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\r\n\r\n",
		"data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"It \"}}\n\n", "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"rains.\"}}\n\n",
		"data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":\"close\",\"input\":{}}}\n\n",
		"data: {\"type\":\"content_block_delta\",\"delta\":{\"partial_json\":\"{\\\"window\\\":\"}}\n\n", "data: {\"type\":\"content_block_delta\",\"delta\":{\"partial_json\":\"1}\"}}\n\n",
		"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_calls\"}}\n\n", "data: {\"type\":\"message_stop\"}\n\n"),
	"responses": exchange("openai.responses", `{"instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"Weather?"}]},
		{"type":"function_call","call_id":"c1","name":"look","arguments":"{\"at\":\"Zürich\"}"},{"type":"function_call_output","call_id":"c1","output":"rain"}]}`,
		`{"object":"response","status":"tool_calls","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"It rains."}]},{"type":"function_call","call_id":"c2","name":"close","arguments":"{\"window\":1}"}]}`),
	"responses, streamed": exchange("openai.responses", `{"instructions":"Be brief.","input":[{"type":"message","role":"user","content":"Weather?"},
		{"type":"function_call","call_id":"c1","name":"look","arguments":"{\"at\":\"Zürich\"}"},{"type":"function_call_output","call_id":"c1","output":"rain"}]}`,
		"data: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"output\":[]}}\n\n",
		"data: {\"type\":\"response.completed\",\"response\":{\"status\":\"tool_calls\",\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"It rains.\"}]},{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"close\",\"arguments\":\"{\\\"window\\\":1}\"}]}}\n\n"),
}

const sample = `{"input":[{"role":"system","content":"Be brief."},{"role":"user","content":"Weather?"},` +
	`{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":\"Zürich\"}"}}]},` +
	`{"role":"tool","content":"rain","tool_call_id":"c1"}],"ideal":"It rains."}` + "\n"

// TestEveryFormatSaysTheSame: a conversation is the same sample and the same span,
// whatever format it was in, and comes back from both.
func TestEveryFormatSaysTheSame(t *testing.T) {
	t.Parallel()
	for name, e := range said {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var evals, spans, again bytes.Buffer
			if err := recording.WriteEvals(&evals, e); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sample, evals.String()); diff != "" {
				t.Errorf("the sample (-want +got):\n%s", diff)
			}
			if err := recording.WriteOTel(&spans, "run", e); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				`"name":"chat m","kind":3,"startTimeUnixNano":"1777863721000000000"`, `{"key":"gen_ai.usage.input_tokens","value":{"intValue":"7"}}`,
				`\"type\":\"tool_call\",\"id\":\"c2\",\"name\":\"close\",\"arguments\":{\"window\":1}`, `\"finish_reason\":\"tool_calls\"`,
			} {
				if !strings.Contains(spans.String(), want) {
					t.Errorf("%s is not in the span %s", want, &spans)
				}
			}
			n := 0
			for back, err := range recording.ReadOTel(&spans) {
				if err != nil {
					t.Fatal(err)
				}
				n++
				if err := recording.WriteEvals(&again, back); err != nil || !back.Time.Equal(e.Time) || back.Model != "m" {
					t.Errorf("%+v: %v", back, err)
				}
			}
			if n != 1 || again.String() != sample {
				t.Errorf("%d came back from the spans: %s", n, &again)
			}
		})
	}
}

// TestSamples: samples that others make, and lines that are none.
func TestSamples(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		sample: "It rains.",
		`{"input":[{"role":"user","content":"x"}],"ideal":["a","b"]}`:          "a",
		"\n" + `{"input":[{"role":"user","content":"x"}],"ideal":null}` + "\n": "",
	} {
		for e, err := range recording.ReadEvals(strings.NewReader(text), "m") {
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := recording.WriteEvals(&out, e); err != nil || !strings.Contains(out.String(), `"ideal":"`+want+`"`) {
				t.Errorf("%s: %s, %v", text, &out, err)
			}
		}
	}
	for _, text := range []string{"{", "[]", `{"ideal":"x"}`, `{"input":{}}`, "\n\nx"} {
		failed := false
		for _, err := range recording.ReadEvals(strings.NewReader(text), "m") {
			failed = failed || err != nil && strings.Contains(err.Error(), "line ")
		}
		if !failed {
			t.Errorf("%q is a sample", text)
		}
	}
}

// TestRecordingIsAllUpToAMoment: what was written is read back, and after a write
// that failed nothing is.
func TestRecordingIsAllUpToAMoment(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "r")
	w, err := recording.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := recording.Create(path); err == nil {
		t.Error("there are two writers")
	}
	want := exchange("openai.chat", `{"a": 1}`, "x")
	want.Answer = append(want.Answer, proofbox.Piece{Bytes: []byte{0xff, 0}})
	if err := w.Add(want); err != nil {
		t.Fatal(err)
	}
	bad := want
	bad.Request = json.RawMessage("{")
	if err := w.Add(bad); err == nil {
		t.Error("what is no JSON was kept")
	}
	state, err := w.Close()
	if err != nil || state.Exchanges != 1 || !strings.HasPrefix(state.Digest, "sha256:") {
		t.Errorf("%+v: %v", state, err)
	}
	if w.Add(want) == nil || w.Usable() == nil {
		t.Error("a closed recording is usable")
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for got, err := range recording.Read(f) {
		want.Request = json.RawMessage(`{"a":1}`) // one line
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: %v", info, err)
	}
}

// TestDiskIsFull: the call after one that could not be kept is told.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	w := recording.To(value(os.OpenFile("/dev/full", os.O_WRONLY, 0)))
	if err := w.Add(exchange("openai.chat", "{}", "x")); err == nil || w.Usable() == nil || w.Add(exchange("openai.chat", "{}", "x")) == nil {
		t.Errorf("a full disk: %v, %v", err, w.Usable())
	}
}

func value[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// FuzzImport: whatever is imported is refused, or a recording that can be written
// in every format.
func FuzzImport(f *testing.F) {
	f.Add([]byte(sample))
	var spans bytes.Buffer
	for _, e := range said {
		if err := recording.WriteOTel(&spans, "r", e); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(spans.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, list := range []func(func(proofbox.Exchange, error) bool){recording.ReadEvals(bytes.NewReader(data), "m"), recording.ReadOTel(bytes.NewReader(data))} {
			for e, err := range list {
				if err != nil {
					break
				}
				var out bytes.Buffer
				if err := recording.WriteEvals(&out, e); err != nil {
					t.Fatalf("%+v: %v", e, err)
				}
				if err := recording.WriteOTel(&out, "r", e); err != nil {
					t.Fatalf("%+v: %v", e, err)
				}
			}
		}
	})
}
