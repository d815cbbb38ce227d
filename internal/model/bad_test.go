package model_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"proofbox"
	"proofbox/internal/model"
)

// formats are the callers' own, with what an error looks like in each.
var formats = map[string]func(answer []byte) bool{
	chat: func(answer []byte) bool {
		var a struct {
			Error struct{ Message, Type string }
		}
		return json.Unmarshal(answer, &a) == nil && a.Error.Message != "" && a.Error.Type != ""
	},
	reply: nil, // as chat
	embed: nil,
	messages: func(answer []byte) bool {
		var a struct {
			Type  string
			Error struct{ Message, Type string }
		}
		return json.Unmarshal(answer, &a) == nil && a.Type == "error" && a.Error.Message != "" && a.Error.Type != ""
	},
}

// refuses has every format refuse a body in its own words.
func refuses(t *testing.T, desk *httptest.Server, body string, want int) {
	t.Helper()
	for path, is := range formats {
		if is == nil {
			is = formats[chat]
		}
		status, _, answer := post(t, desk, path, body)
		if status != want || !is([]byte(answer)) {
			t.Errorf("%s: %d %.300s", path, status, answer)
		}
	}
}

// TestMalformedJSON and a body of 100 MB are refused in the caller's own format.
func TestMalformedJSON(t *testing.T) {
	t.Parallel()
	desk, p := provider(t, func(http.ResponseWriter, *http.Request) { t.Error("a call left") })
	for _, body := range []string{"{", `{"model":"m","max_tokens":10,"messages":[}`, "\xff\xfe", `{"model":"m"}{"model":"m"}`, "\x00", `{"model":"\ud800"`} {
		refuses(t, desk, body, http.StatusBadRequest)
	}
	if len(p.spent)+len(p.holds) > 0 {
		t.Errorf("charged %v, open %v", p.spent, p.holds)
	}
}

// endless is a body of so many bytes, which are made when they are read.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = '['
	}
	e.left -= n
	return n, nil
}

func TestBodyOf100MB(t *testing.T) {
	t.Parallel()
	desk := &model.Desk{Purse: &purse{}}
	for path, is := range formats {
		if is == nil {
			is = formats[chat]
		}
		body := &endless{100 << 20}
		w := httptest.NewRecorder()
		desk.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, body))
		if w.Code != http.StatusRequestEntityTooLarge || !is(w.Body.Bytes()) || body.left < 60<<20 {
			t.Errorf("%s: %d %.300s; %d bytes were not read", path, w.Code, w.Body, body.left)
		}
	}
}

// TestStreamCutInARune: pieces of one byte come through as they are, are read for
// the usage and are recorded as text.
func TestStreamCutInARune(t *testing.T) {
	t.Parallel()
	const event = "data: {\"choices\":[{\"delta\":{\"content\":\"ü😀\"}}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n"
	desk, p := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, b := range []byte(event) {
			_, _ = w.Write([]byte{b})
			_ = http.NewResponseController(w).Flush()
		}
	})
	status, _, answer := post(t, desk, chat, strings.Replace(question, `"max_tokens"`, `"stream":true,"max_tokens"`, 1))
	if status != http.StatusOK || answer != event || len(p.spent) != 1 || p.spent[0] != 150*micro {
		t.Errorf("%d %q, charged %v", status, answer, p.spent)
	}
}

// TestProviderThatHangs: whoever leaves because nothing comes has paid all that it
// could have cost.
func TestProviderThatHangs(t *testing.T) {
	t.Parallel()
	came := make(chan bool)
	desk, p := provider(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else a server does not notice who leaves
		close(came)
		<-r.Context().Done()
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-came
		leave()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, desk.URL+chat, strings.NewReader(question))
	if err != nil {
		t.Fatal(err)
	}
	if in, err := http.DefaultClient.Do(r); err == nil {
		in.Body.Close()
		t.Error("there is an answer")
	}
	desk.Close() // waits for the call
	if len(p.spent) != 1 || p.spent[0] == 0 || len(p.holds) != 0 {
		t.Errorf("charged %v, open %v", p.spent, p.holds)
	}
}

// TestStormOf429: refusals cost nothing, however many there are, and leave nothing
// held.
func TestStormOf429(t *testing.T) {
	t.Parallel()
	desk, p := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"error":{"message":"slow down"}}`)
	})
	const storm, atOnce = 400, 20
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for range storm / atOnce {
				if status, header, answer := post(t, desk, chat, question); status != http.StatusTooManyRequests || header.Get("Retry-After") != "7" || !strings.Contains(answer, "slow down") {
					t.Errorf("%d %v %q", status, header, answer)
				}
			}
		})
	}
	all.Wait()
	sum := proofbox.Money(0)
	for _, m := range p.spent {
		sum += m
	}
	if len(p.spent) != storm || sum != 0 || len(p.holds) != 0 {
		t.Errorf("%d calls charged %s, %d open", len(p.spent), sum, len(p.holds))
	}
}

// goneMoney is a purse whose ledger has gone.
type goneMoney struct{}

func (goneMoney) Hold(context.Context, proofbox.Money, proofbox.Money, int64, string) (int64, proofbox.CapCertificate, error) {
	return 0, proofbox.CapCertificate{}, errors.New("the ledger has gone")
}

func (goneMoney) Settle(int64, proofbox.Money) { panic("what was not held is settled") }

// TestDatabaseGone: a call that cannot be held is not made, and its caller hears it
// in its own format.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	desk := httptest.NewServer(&model.Desk{Purse: goneMoney{}, Models: []model.Model{{
		Name: "m", Formats: []string{"openai", "anthropic"}, Base: "http://nowhere.invalid", Transport: none{t}, Prices: prices, MaxOutput: 10,
	}}})
	defer desk.Close()
	refuses(t, desk, `{"model":"m","max_tokens":10,"messages":[],"input":"x"}`, http.StatusBadGateway)
}

// none is a way to nobody.
type none struct{ t *testing.T }

func (n none) RoundTrip(*http.Request) (*http.Response, error) {
	n.t.Error("a call left")
	return nil, io.ErrUnexpectedEOF
}
