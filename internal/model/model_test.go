package model_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"proofbox"
	"proofbox/internal/model"
)

// purse is a cap of one account, in memory.
type purse struct {
	mu    sync.Mutex
	left  proofbox.Money
	holds map[int64]proofbox.Money
	spent []proofbox.Money // in the order of settling
	last  int64
}

func (p *purse) Hold(_ context.Context, fixed, each proofbox.Money, wanted int64, _ string) (int64, proofbox.CapCertificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	units := wanted
	for units > 0 && fixed+each*proofbox.Money(units) > p.left {
		units--
	}
	if units == 0 {
		return 0, proofbox.CapCertificate{}, fmt.Errorf("%w: nothing is left", model.ErrNoMoney)
	}
	p.last++
	bound := fixed + each*proofbox.Money(units)
	p.left -= bound
	p.holds[p.last] = bound
	return units, proofbox.CapCertificate{Hold: p.last, Bound: bound}, nil
}

func (p *purse) Settle(hold int64, charge proofbox.Money) {
	p.mu.Lock()
	defer p.mu.Unlock()
	bound, ok := p.holds[hold]
	if !ok {
		panic(fmt.Sprintf("there is no hold %d", hold))
	}
	delete(p.holds, hold)
	charge = min(charge, bound)
	p.left += bound - charge
	p.spent = append(p.spent, charge)
}

// prices are a dollar for a million tokens in, and ten for a million out: a
// micro-dollar for each token, and ten.
var prices = model.Prices{Rates: proofbox.Rates{Input: 1 * proofbox.Dollar, Output: 10 * proofbox.Dollar}}

const micro = proofbox.Dollar / 1e6

// provider is a provider that a test makes.
func provider(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *purse) {
	t.Helper()
	upstream := httptest.NewServer(handler)
	t.Cleanup(upstream.Close)
	p := &purse{left: proofbox.Dollar, holds: map[int64]proofbox.Money{}}
	desk := httptest.NewServer(&model.Desk{Purse: p, Models: []model.Model{{
		Name: "m", Formats: []string{"openai", "anthropic"}, Base: upstream.URL, Transport: http.DefaultTransport,
		Key: "the real key", Prices: prices, MaxOutput: 1000,
	}}})
	t.Cleanup(desk.Close)
	return desk, p
}

// post makes a call, and gives the answer as far as it came.
func post(t *testing.T, s *httptest.Server, path, body string) (status int, header http.Header, answer string) {
	t.Helper()
	r, err := http.Post(s.URL+path, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, nil, err.Error()
	}
	defer r.Body.Close()
	data, _ := io.ReadAll(r.Body) // it may be cut
	return r.StatusCode, r.Header, string(data)
}

const (
	chat     = "/openai/v1/chat/completions"
	messages = "/anthropic/v1/messages"
	reply    = "/openai/v1/responses"
	embed    = "/openai/v1/embeddings"
	count    = "/anthropic/v1/messages/count_tokens"
	asked    = `{"model":"m","input":"x","max_output_tokens":10}`
	embedded = `{"model":"m","input":["x","y"]}`
	question = `{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":10}`
)

// TestSettling: what a call costs is what its provider reports at its end, and
// everything else costs what was held.
func TestSettling(t *testing.T) {
	t.Parallel()
	const openAIUsage = `"usage":{"prompt_tokens":100,"completion_tokens":5}`
	const replyUsage = `"usage":{"input_tokens":100,"output_tokens":5}`
	held := func(body string) proofbox.Money {
		return proofbox.Money(len(body)+2048)*micro + 10*10*micro
	}
	stream := strings.Replace(question, `"max_tokens":10`, `"max_tokens":10,"stream":true`, 1)
	const wished = len(`"stream_options":{"include_usage":true},`) // is written into a stream
	for name, c := range map[string]struct {
		path, body string
		status     int
		kind       string
		answer     string
		want       proofbox.Money
	}{
		"whole":                     {chat, question, 200, "application/json", `{"object":"chat.completion",` + openAIUsage + `}`, 150 * micro},
		"no usage":                  {chat, question, 200, "application/json", `{"object":"chat.completion"}`, held(question)},
		"zero usage":                {chat, question, 200, "application/json", `{"object":"chat.completion","usage":{"prompt_tokens":0,"completion_tokens":0}}`, held(question)},
		"usage beyond the bound":    {chat, question, 200, "application/json", `{"object":"chat.completion","usage":{"prompt_tokens":100000000,"completion_tokens":9223372036854775807}}`, held(question)},
		"usage below zero":          {chat, question, 200, "application/json", `{"object":"chat.completion","usage":{"prompt_tokens":-5,"completion_tokens":-5}}`, held(question)},
		"usage partly below zero":   {chat, question, 200, "application/json", `{"object":"chat.completion","usage":{"prompt_tokens":100,"completion_tokens":-90}}`, held(question)},
		"HTML":                      {chat, question, 200, "text/html", `<html>`, held(question)},
		"refused":                   {chat, question, 400, "application/json", `{"error":{}}`, 0},
		"too many":                  {chat, question, 429, "application/json", `{"error":{}}`, 0},
		"broken":                    {chat, question, 500, "application/json", `{"error":{}}`, held(question)},
		"stream":                    {chat, stream, 200, "text/event-stream", "data: {\"object\":\"chat.completion.chunk\"}\n\ndata: {" + openAIUsage + "}\n\ndata: [DONE]\n\n", 150 * micro},
		"stream with CRLF":          {chat, stream, 200, "text/event-stream; charset=utf-8", "data:{" + openAIUsage + "}\r\n\r\ndata: [DONE]\r\n\r\n", 150 * micro},
		"stream, usage twice":       {chat, stream, 200, "text/event-stream", "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: {" + openAIUsage + "}\n\ndata: [DONE]\n\n", 150 * micro},
		"stream without end":        {chat, stream, 200, "text/event-stream", "data: {" + openAIUsage + "}\n\n", held(stream)},
		"stream without usage":      {chat, stream, 200, "text/event-stream", "data: {}\n\ndata: [DONE]\n\n", held(stream)},
		"stream of rubbish":         {chat, stream, 200, "text/event-stream", "data: {\n\ndata: [DONE]\n\n", held(stream)},
		"stream, error in the end":  {chat, stream, 200, "text/event-stream", "data: {\"error\":{}}\n\n", held(stream)},
		"messages":                  {messages, question, 200, "application/json", `{"type":"message","usage":{"input_tokens":100,"output_tokens":5}}`, 150 * micro},
		"messages, cached":          {messages, question, 200, "application/json", `{"type":"message","usage":{"input_tokens":10,"cache_read_input_tokens":50,"output_tokens":5}}`, 110 * micro},
		"messages, only the start":  {messages, stream, 200, "text/event-stream", "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":100,\"output_tokens\":1}}}\n\n", held(stream)},
		"messages, start and end":   {messages, stream, 200, "text/event-stream", "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":100,\"output_tokens\":1}}}\n\ndata: {\"type\":\"message_stop\"}\n\n", held(stream)},
		"messages, whole stream":    {messages, stream, 200, "text/event-stream", "event: x\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":100,\"output_tokens\":1}}}\n\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}\n\ndata: {\"type\":\"message_stop\"}\n\n", 150 * micro},
		"response":                  {reply, asked, 200, "application/json", `{"object":"response","status":"completed",` + replyUsage + `}`, 150 * micro},
		"response, at its limit":    {reply, asked, 200, "application/json", `{"object":"response","status":"incomplete",` + replyUsage + `}`, 150 * micro},
		"response, in part":         {reply, asked, 200, "application/json", `{"object":"response","status":"in_progress",` + replyUsage + `}`, held(asked)},
		"response, failed":          {reply, asked, 200, "application/json", `{"object":"response","status":"failed","usage":null}`, held(asked)},
		"response, cached":          {reply, asked, 200, "application/json", `{"object":"response","status":"completed","usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":90},"output_tokens":5}}`, 150 * micro},
		"response, whole stream":    {reply, asked, 200, "text/event-stream", "event: x\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"usage\":null}}\n\ndata: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\"," + replyUsage + "}}\n\n", 150 * micro},
		"response, an item is done": {reply, asked, 200, "text/event-stream", "data: {\"type\":\"response.output_item.done\",\"item\":{\"status\":\"completed\"}}\n\n", held(asked)},
		"embeddings":                {embed, embedded, 200, "application/json", `{"object":"list","usage":{"prompt_tokens":100}}`, 100 * micro},
		"embeddings, no usage":      {embed, embedded, 200, "application/json", `{"object":"list"}`, proofbox.Money(len(embedded)+2048) * micro},
		"count of tokens":           {count, question, 200, "application/json", `{"input_tokens":7}`, 0},
		"count of tokens, broken":   {count, question, 500, "application/json", `{}`, 0},
		"messages, cut before stop": {messages, stream, 200, "text/event-stream", "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}\n\n", held(stream)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body []byte
			desk, p := provider(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ = io.ReadAll(r.Body)
				if r.Header.Get("Authorization") != "Bearer the real key" && r.Header.Get("X-Api-Key") != "the real key" {
					t.Errorf("the key is missing: %v", r.Header)
				}
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			})
			status, header, answer := post(t, desk, c.path, c.body)
			if status != c.status || answer != c.answer || header.Get("Proofbox-Certificate") == "" {
				t.Errorf("answered %d %q %v", status, answer, header)
			}
			if len(p.spent) != 1 || p.spent[0] != c.want || len(p.holds) != 0 {
				t.Errorf("charged %v, want %s; open %v", p.spent, c.want, p.holds)
			}
			extra := 0
			if c.path == chat && c.body == stream {
				extra = wished
			}
			if len(body) != len(c.body)+extra {
				t.Errorf("the provider was asked %s", body)
			}
		})
	}
}

// TestConnectionsThatBreak: a provider that resets, and a client that leaves.
func TestConnectionsThatBreak(t *testing.T) {
	t.Parallel()
	desk, p := provider(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if status, _, answer := post(t, desk, chat, question); status != http.StatusBadGateway || !strings.Contains(answer, `"error"`) {
		t.Errorf("a provider that resets: %d %q", status, answer)
	}
	if len(p.spent) != 1 || p.spent[0] == 0 {
		t.Errorf("charged %v: it may have worked before it broke off", p.spent)
	}
	came, left := make(chan bool), make(chan bool)
	desk, p = provider(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		close(came)
		<-r.Context().Done() // when the desk has noticed
		close(left)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-came
		cancel()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, desk.URL+chat, strings.NewReader(question))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	<-left
	desk.Close() // waits for the call
	if len(p.spent) != 1 || p.spent[0] == 0 || len(p.holds) != 0 {
		t.Errorf("charged %v, open %v", p.spent, p.holds)
	}
}

// TestOutputIsClamped: the limit that fits is written into the request, and
// nothing else of it is changed.
func TestOutputIsClamped(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{ "model":"m", "max_tokens" : 900 , "messages":[] }`:                       `{ "model":"m", "max_tokens" : 100 , "messages":[] }`,
		`{"model":"m","max_completion_tokens":900,"messages":[]}`:                   `{"model":"m","max_completion_tokens":100,"messages":[]}`,
		`{"model":"m","messages":[]}`:                                               `{"max_completion_tokens":100,"model":"m","messages":[]}`,
		`{"model":"m","max_tokens":null,"messages":[]}`:                             `{"max_completion_tokens":100,"model":"m","max_tokens":null,"messages":[]}`,
		`{"model":"m","max_tokens":99,"messages":[]}`:                               `{"model":"m","max_tokens":99,"messages":[]}`,
		`{"model":"m","max_tokens":900,"messages":[],"note":"ü\u00fc\ud83d\ude00"}`: `{"model":"m","max_tokens":100,"messages":[],"note":"ü\u00fc\ud83d\ude00"}`,
	} {
		var asked []byte
		desk, p := provider(t, func(w http.ResponseWriter, r *http.Request) { asked, _ = io.ReadAll(r.Body) })
		p.left = proofbox.Money(len(body)+2048)*micro + 100*10*micro
		status, header, _ := post(t, desk, chat, body)
		if status != 200 || string(asked) != want {
			t.Errorf("%s was sent as %s, want %s", body, asked, want)
		}
		if fits := header.Get("Proofbox-Fits"); (fits == "100") != (want != body) {
			t.Errorf("%s: fits %q", body, fits)
		}
	}
}

// TestOverTheCap answers in the words of each format, and sends nothing.
func TestOverTheCap(t *testing.T) {
	t.Parallel()
	desk, p := provider(t, func(http.ResponseWriter, *http.Request) { t.Error("a call left") })
	p.left = 10
	for path, want := range map[string]string{
		chat:     `{"error":{"code":"billing_error","message":"the cap is reached: nothing is left","param":null,"type":"billing_error"}}`,
		messages: `{"error":{"message":"the cap is reached: nothing is left","type":"billing_error"},"type":"error"}`,
	} {
		if status, _, answer := post(t, desk, path, question); status != http.StatusPaymentRequired || strings.TrimSpace(answer) != want {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
}

// TestUnboundedIsRefused: what could cost more than the request shows.
func TestUnboundedIsRefused(t *testing.T) {
	t.Parallel()
	desk, p := provider(t, func(http.ResponseWriter, *http.Request) { t.Error("a call left") })
	for _, more := range []string{
		`"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]`,
		`"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}]`,
		`"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]`,
		`"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]`,
		`"tools":[{"type":"web_search_20250305","name":"web_search"}]`,
		`"service_tier":"priority"`, `"web_search_options":{}`, `"audio":{}`, `"previous_response_id":"x"`, `"mcp_servers":[]`,
		`"n":1000`, `"n":-1`, `"max_tokens":-5`, `"max_tokens":1e3`, `"max_tokens":"9"`, `"max_tokens":1,"max_completion_tokens":2`,
		`"MAX_TOKENS":100000`, `"max_tokens":10,"max_tokens":100000`, `"Model":"other"`,
	} {
		for _, path := range []string{chat, messages} {
			body := `{"model":"m","max_tokens":10,` + more + `}`
			if strings.Contains(more, "max_tokens") && !strings.Contains(more, "MAX") {
				body = `{"model":"m",` + more + `}`
			}
			if path == messages && strings.Contains(more, `"n":`) || path == messages && strings.Contains(more, "completion") {
				continue // means nothing there
			}
			if status, _, answer := post(t, desk, path, body); status != http.StatusBadRequest {
				t.Errorf("%s %s: %d %s", path, body, status, answer)
			}
		}
	}
	for _, more := range []string{
		`"previous_response_id":"x"`, `"conversation":"x"`, `"background":true`, `"prompt":{"id":"x"}`, `"context_management":[]`,
		`"tools":[{"type":"web_search"}]`, `"tools":[{"type":"mcp","server_url":"x"}]`, `"tools":[{}]`, `"tools":{}`,
		`"input":[{"type":"item_reference","id":"x"}]`, `"input":[{"role":"user","content":[{"type":"input_file","file_url":"x"}]}]`,
		`"input":[{"role":"user","content":[{"type":"input_file","file_data":"data:application/pdf;base64,eA=="}]}]`,
		`"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x"}]}]`,
		`"input":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]`, `"max_output_tokens":-1`,
	} {
		if status, _, answer := post(t, desk, reply, `{"model":"m",`+more+`}`); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", more, status, answer)
		}
	}
	for _, body := range []string{``, `[]`, `null`, `{`, `{"model":1}`, `{"model":"m"} x`, strings.Repeat("[", 100000), `{"model":"m","max_tokens":10,"messages":"` + strings.Repeat("x", 33<<20) + `"}`} {
		if status, _, answer := post(t, desk, chat, body); status < 400 || status >= 500 {
			t.Errorf("%.40s: %d %.200s", body, status, answer)
		}
	}
	if len(p.spent) > 0 || len(p.holds) > 0 {
		t.Errorf("charged %v, open %v", p.spent, p.holds)
	}
}

// TestScript has the script answer in every way, through a desk.
func TestScript(t *testing.T) {
	t.Parallel()
	desk, p := scripted(t, `
version: 1
turns:
  - {contains: weather, number: 1, text: "I look. Ü😀", calls: [{tool: look, input: {where: "Zürich"}}]}
  - {contains: rain, number: 2, text: It rains.}
  - {contains: fail, error: {status: 429, message: slow down}}
  - {contains: cut, text: "this is a text that is cut in its middle, before it has come to its end", cut: 3}
  - {contains: long, text: "`+strings.Repeat("ü", 500)+`"}
`)
	for _, c := range []struct {
		path, more, said string
		status           int
		want             []string
	}{
		{chat, ``, "weather", 200, []string{`"content":"I look. Ü😀"`, `"finish_reason":"tool_calls"`, `"arguments":"{\"where\":\"Zürich\"}"`, `"completion_tokens":`}},
		{chat, `,"stream":true`, "weather", 200, []string{`"content":"I look. Ü😀"`, `"tool_calls":[{"function":`, "data: [DONE]\n\n", `"usage":{`}},
		{messages, ``, "weather", 200, []string{`"text":"I look. Ü😀"`, `"stop_reason":"tool_use"`, `"input":{"where":"Zürich"}`}},
		{messages, `,"stream":true`, "weather", 200, []string{"event: message_start\n", `"partial_json":"{\"where\":\"Zürich\"}"`, "event: message_stop\n"}},
		{chat, ``, "fail", 429, []string{`"message":"slow down"`}},
		{messages, ``, "long", 200, []string{`"stop_reason":"max_tokens"`, `"output_tokens":50`, strings.Repeat("ü", 100) + `"`}},
		{chat, ``, "nothing of it", 400, []string{`the script has no turn`}},
	} {
		body := `{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"` + c.said + `"}]` + c.more + `}`
		status, _, answer := post(t, desk, c.path, body)
		for _, want := range c.want {
			if status != c.status || !strings.Contains(answer, want) {
				t.Errorf("%s %s: %d %s, want %s", c.path, body, status, answer, want)
			}
		}
		if _, _, again := post(t, desk, c.path, body); again != answer {
			t.Errorf("%s: another answer to the same: %s", body, again)
		}
	}
	for path, want := range map[string]string{
		count: `{"input_tokens":21}`,
		embed: `{"data":[{"embedding":[-0.23073566,0.42389524],`,
	} {
		status, _, answer := post(t, desk, path, `{"model":"m","input":"x","dimensions":2,"messages":[{"role":"user","content":"x"}]}`)
		if status != 200 || !strings.HasPrefix(answer, want) {
			t.Errorf("%s: %d %s, want %s", path, status, answer, want)
		}
	}
	before := len(p.spent)
	_, _, answer := post(t, desk, chat, `{"model":"m","messages":[{"role":"user","content":"cut"}],"max_tokens":50,"stream":true}`)
	if strings.Contains(answer, "[DONE]") || !strings.Contains(answer, "this is a text") {
		t.Errorf("a stream that is cut: %s", answer)
	}
	desk.Close()
	if p.spent[before] < 50*10*micro {
		t.Errorf("a stream that was cut is charged with %s", p.spent[before])
	}
}

func TestScriptsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "version: 2\nturns: []", "version: 1\nturn: []", "version: 1\nturns: [{}]", "version: 1\nturns: [{error: {status: 200}}]", "version: 1\nturns: [{text: x, delay: soon}]", "x", "[]"} {
		if _, err := model.ReadScript([]byte(text)); err == nil {
			t.Errorf("%q is a script", text)
		}
	}
}

// FuzzRequest: whatever a box asks for, what leaves has one model and one limit,
// which is within what was held, and is JSON that differs in nothing else.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(question))
	f.Add([]byte(`{"model":"m","max_tokens":900,"n":3,"messages":[{"content":"\u0000"}],"stream":true}`))
	f.Add([]byte(`{"model":"m","max_completion_tokens":18446744073709551616}`))
	var asked []byte
	p := &purse{holds: map[int64]proofbox.Money{}}
	desk := &model.Desk{Purse: p, Models: []model.Model{{
		Name: "m", Formats: []string{"openai"}, Base: "http://x", Prices: prices, MaxOutput: 1000,
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked, _ = io.ReadAll(r.Body)
			return &http.Response{StatusCode: 400, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		}),
	}}}
	f.Fuzz(func(t *testing.T, body []byte) {
		asked, p.left = nil, proofbox.Money(len(body)+2048)*micro+100*10*micro
		desk.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, chat, bytes.NewReader(body)))
		if len(p.holds) > 0 {
			t.Fatalf("%q leaves a hold", body)
		}
		if asked == nil {
			return
		}
		var q struct {
			Model string      `json:"model"`
			Old   json.Number `json:"max_tokens"`
			New   json.Number `json:"max_completion_tokens"`
			N     json.Number `json:"n"`
		}
		if err := json.Unmarshal(asked, &q); err != nil || q.Model != "m" {
			t.Fatalf("%q leaves as %q: %v", body, asked, err)
		}
		limit, _ := (q.Old + q.New).Int64()
		n, _ := q.N.Int64()
		if limit*max(n, 1) > 100 || (q.Old != "") && (q.New != "") {
			t.Fatalf("%q leaves as %q", body, asked)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTokensAreCountedNearTheCap: what is too much by its bytes may fit by its tokens,
// where it is known how they are counted, and then it is charged by those at most.
func TestTokensAreCountedNearTheCap(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 200) // 9,000 bytes, about 2,000 tokens
	body := `{"model":"gpt-4o","messages":[{"role":"user","content":"` + text + `"}],"max_tokens":500}`
	for name, c := range map[string]struct {
		counter model.Counter
		left    proofbox.Money
		status  int
		fits    string
	}{
		"enough":           {model.CounterOf("gpt-4o"), proofbox.Dollar, 200, ""},
		"clamped no more":  {model.CounterOf("gpt-4o"), 12_000 * micro, 200, ""},
		"refused no more":  {model.CounterOf("gpt-4o"), 8_000 * micro, 200, "386"},
		"too much anyway":  {model.CounterOf("gpt-4o"), 3_000 * micro, http.StatusPaymentRequired, ""},
		"clamped, unknown": {nil, 12_000 * micro, 200, "87"},
		"refused, unknown": {nil, 8_000 * micro, http.StatusPaymentRequired, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":2007,"completion_tokens":5}}`)
			}))
			defer upstream.Close()
			p := &purse{left: c.left, holds: map[int64]proofbox.Money{}}
			desk := httptest.NewServer(&model.Desk{Purse: p, Models: []model.Model{{
				Name: "gpt-4o", Formats: []string{"openai"}, Base: upstream.URL, Transport: http.DefaultTransport, Prices: prices, MaxOutput: 1000, Counter: c.counter,
			}}})
			defer desk.Close()
			status, header, answer := post(t, desk, chat, body)
			if status != c.status || header.Get("Proofbox-Fits") != c.fits {
				t.Errorf("%d, fits %q: %s", status, header.Get("Proofbox-Fits"), answer)
			}
			desk.Close() // waits for the settlement
			if len(p.holds) != 0 || status == 200 && c.left-p.left != (2007+5*10)*micro {
				t.Errorf("%d holds are open, and %v is charged", len(p.holds), c.left-p.left)
			}
		})
	}
}
