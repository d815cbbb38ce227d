package model_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/model"
)

// shelf is a recorder that keeps exchanges until it is full.
type shelf struct {
	room int
	kept []proofbox.Exchange
}

var errFull = errors.New("the shelf is full")

func (s *shelf) Usable() error {
	if len(s.kept) >= s.room {
		return errFull
	}
	return nil
}

func (s *shelf) Add(e proofbox.Exchange) error {
	if err := s.Usable(); err != nil {
		return err
	}
	s.kept = append(s.kept, e)
	return nil
}

// TestRecording: what is kept of a call is what was said, byte for byte, and a call
// that could not be kept is not made.
func TestRecording(t *testing.T) {
	t.Parallel()
	const first, second = "data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n", "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\r\n\r\n"
	s := &shelf{room: 2}
	asked := 0
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, first+second+"data: [DO")
		if asked == 1 {
			_, _ = io.WriteString(w, "NE]\n\n")
			return
		}
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer upstream.Close()
	desk := httptest.NewServer(&model.Desk{
		Purse: &purse{left: proofbox.Dollar, holds: map[int64]proofbox.Money{}}, Recorder: s,
		Models: []model.Model{{Name: "m", Formats: []string{"openai"}, Base: upstream.URL, Transport: http.DefaultTransport, Prices: prices, MaxOutput: 1000}},
	})
	defer desk.Close()
	body := `{"model":"m", "messages":[{"role":"user","content":"x"}],"stream":true}`
	for range 2 {
		post(t, desk, chat, body)
	}
	if len(s.kept) != 2 {
		t.Fatalf("kept %+v", s.kept)
	}
	for i, e := range s.kept {
		var answer strings.Builder
		for _, p := range e.Answer {
			answer.WriteString(p.Text + string(p.Bytes))
		}
		whole := i == 0
		want := first + second + "data: [DO"
		if whole {
			want += "NE]\n\n"
		}
		if answer.String() != want || e.Complete != whole || e.Number != i+1 || string(e.Request) != body || !strings.Contains(string(e.Sent), "include_usage") || e.Format != "openai.chat" {
			t.Errorf("kept %+v: %q", e, &answer)
		}
		if e.Answer[0].Bytes == nil || e.Usage == nil || e.Usage.Input != 1 || e.Charged == 0 || e.Charged == 11*micro != whole {
			t.Errorf("kept %+v", e)
		}
	}
	status, _, told := post(t, desk, chat, body)
	if status != http.StatusServiceUnavailable || !strings.Contains(told, errFull.Error()) || asked != 2 {
		t.Errorf("a call that cannot be kept: %d %s, asked %d times", status, told, asked)
	}
}
