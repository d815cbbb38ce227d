package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"proofbox"
)

// Script is a provider that answers as a file says, the same to the same
// conversation always. It speaks every format, and counts one token for every
// four bytes. See docs/formats/model-script.md.
type Script struct {
	Version int    `yaml:"version"`
	Turns   []Turn `yaml:"turns"`
}

// Turn is one answer and when it is given: the first turn that matches is.
type Turn struct {
	// Number, where it is set, is how many answers came before, from 1 on.
	Number int `yaml:"number"`
	// Contains, where it is set, is in what was said last.
	Contains string `yaml:"contains"`

	Text  string `yaml:"text"`
	Calls []Use  `yaml:"calls"`
	// Error answers with a status of HTTP instead.
	Error *ScriptError `yaml:"error"`
	// Delay comes before the answer.
	Delay proofbox.Duration `yaml:"delay"`
	// Cut breaks the connection off after so many events of a stream.
	Cut int `yaml:"cut"`
}

// Use is a call of a tool.
type Use struct {
	Tool  string         `yaml:"tool"`
	Input map[string]any `yaml:"input"`
}

// ScriptError is an error that a script answers with.
type ScriptError struct {
	Status  int    `yaml:"status"`
	Message string `yaml:"message"`
}

// ReadScript reads a script; a key that is not known is an error.
func ReadScript(data []byte) (*Script, error) {
	s := &Script{}
	if err := yaml.UnmarshalWithOptions(data, s, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
		return nil, fmt.Errorf("reading the script of a model: %w", err)
	}
	if s.Version != 1 {
		return nil, fmt.Errorf("the script of a model has version %d; this proofbox reads version 1", s.Version)
	}
	for i, t := range s.Turns {
		if t.Error == nil && t.Text == "" && len(t.Calls) == 0 {
			return nil, fmt.Errorf("turn %d of the script answers with nothing; give it text, calls or an error", i+1)
		}
		if t.Error != nil && (t.Error.Status < 400 || t.Error.Status > 599) {
			return nil, fmt.Errorf("turn %d of the script has an error with status %d, which is none", i+1, t.Error.Status)
		}
	}
	return s, nil
}

// Transport reaches the script as if it were a server somewhere, until the
// context ends.
func (s *Script) Transport(over context.Context) http.RoundTripper {
	there := &loop{conns: make(chan net.Conn), over: over}
	server := &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		_ = server.Serve(there) // until there is nobody to come
		_ = server.Close()
	}()
	return &http.Transport{DialContext: there.dial, DisableKeepAlives: true}
}

// loop is a listener within the process.
type loop struct {
	conns chan net.Conn
	over  context.Context
}

func (l *loop) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.over.Done():
		return nil, net.ErrClosed
	}
}

// Accept implements [net.Listener].
func (l *loop) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.over.Done():
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]; the context is what ends it.
func (l *loop) Close() error { return nil }

// Addr implements [net.Listener].
func (l *loop) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// ServeHTTP answers as a provider would.
func (s *Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // who asked has gone
	}
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, embeddings{}.callPath()):
		embed(w, data)
	case strings.HasSuffix(path, tokenCount{}.callPath()):
		answer(w, http.StatusOK, fields{"input_tokens": tokens(len(data))})
	case strings.HasSuffix(path, anthropic{}.callPath()):
		s.speak(w, r, anthropic{}, data)
	case strings.HasSuffix(path, responses{}.callPath()):
		s.speak(w, r, responses{}, data)
	default:
		s.speak(w, r, openAI{}, data)
	}
}

// speak answers in one of the formats.
func (s *Script) speak(w http.ResponseWriter, r *http.Request, out speaker, data []byte) {
	q, err := out.ask(data)
	if err != nil {
		writeFailure(w, out, invalid("%v", err))
		return
	}
	t := s.find(q)
	if t == nil {
		writeFailure(w, out, invalid("the script has no turn for answer %d to %.80q", q.turn, q.last))
		return
	}
	t.wait(r.Context())
	if t.Error != nil {
		writeFailure(w, out, &failure{t.Error.Status, "scripted_error", t.Error.Message})
		return
	}
	t.reply(q, len(data)).write(w, out)
}

// find gives the turn to answer with.
func (s *Script) find(q *question) *Turn {
	for i := range s.Turns {
		t := &s.Turns[i]
		if (t.Number == 0 || t.Number == q.turn) && strings.Contains(q.last, t.Contains) {
			return t
		}
	}
	return nil
}

func (t *Turn) wait(ctx context.Context) {
	select {
	case <-time.After(time.Duration(t.Delay)):
	case <-ctx.Done():
	}
}

// question is what a script reads of a request.
type question struct {
	model  string
	stream bool
	limit  int64  // of output tokens; 0 where there is none
	usage  bool   // a stream is to end with one
	turn   int    // the number of the answer that is asked for, from 1 on
	last   string // what was said last, as JSON: text, or what a tool has answered
}

// askMessages reads a request whose conversation is a list of messages.
func askMessages(data []byte) (*question, error) {
	var r struct {
		Model     string
		Stream    bool
		MaxTokens int64 `json:"max_tokens"`
		MaxOutput int64 `json:"max_completion_tokens"`
		Options   struct {
			Usage bool `json:"include_usage"`
		} `json:"stream_options"`
		Messages []struct {
			Role    string
			Content json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	if len(r.Messages) == 0 {
		return nil, errors.New("the request has no messages")
	}
	q := &question{model: r.Model, stream: r.Stream, limit: max(r.MaxTokens, r.MaxOutput), usage: r.Options.Usage, turn: 1}
	for _, m := range r.Messages {
		if m.Role == "assistant" {
			q.turn++
		}
		q.last = string(m.Content)
	}
	return q, nil
}

// tokens counts as a script does.
func tokens(bytes int) int64 { return int64(bytes+3) / 4 }

// reply is an answer of a script.
type reply struct {
	model  string
	stream bool
	usage  bool // a stream ends with one
	id     string
	text   []string // in pieces
	calls  []Use
	cut    int
	short  bool // the limit of output was reached
	input  int64
	output int64
}

// reply says what is answered within the limit of the request.
func (t *Turn) reply(q *question, size int) *reply {
	r := &reply{
		model: q.model, stream: q.stream, usage: q.usage, cut: t.Cut, input: tokens(size),
		id: fmt.Sprintf("script-%d", q.turn),
	}
	limit := q.limit
	text := t.Text
	if limit > 0 && tokens(len(text)) > limit {
		text, r.short = head(text, 4*int(limit)), true
	}
	r.output = tokens(len(text))
	for text != "" {
		piece := head(text, 24)
		r.text, text = append(r.text, piece), text[len(piece):]
	}
	for _, c := range t.Calls {
		n := tokens(len(c.Tool) + len(c.arguments()))
		if limit > 0 && r.output+n > limit {
			r.short = true
			break
		}
		r.output += n
		r.calls = append(r.calls, c)
	}
	return r
}

// head gives the characters of a text that are whole within n bytes; one at
// least, so that there is an end to it.
func head(text string, n int) string {
	if len(text) <= n {
		return text
	}
	_, first := utf8.DecodeRuneInString(text)
	for n > first && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:max(n, first)]
}

// arguments is the tool's input as JSON.
func (u Use) arguments() string {
	if u.Input == nil {
		return "{}"
	}
	data, err := json.Marshal(u.Input)
	if err != nil {
		return "{}" // YAML has keys that JSON has not; ReadScript takes text alone
	}
	return string(data)
}

// speaker reads requests and writes answers in one of the formats.
type speaker interface {
	ask(request []byte) (*question, error)
	failure(*failure) any
	whole(*reply) any
	// events gives the events of a stream: a name, if the format has names, and
	// what is in it.
	events(*reply) [][2]any
}

func (r *reply) write(w http.ResponseWriter, out speaker) {
	if !r.stream {
		answer(w, http.StatusOK, out.whole(r))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for i, e := range out.events(r) {
		if r.cut > 0 && i >= r.cut {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		if e[0] != "" {
			fmt.Fprintf(w, "event: %s\n", e[0])
		}
		data, err := json.Marshal(e[1])
		if text, ok := e[1].(string); ok {
			data, err = []byte(text), nil
		}
		if err != nil {
			panic(fmt.Sprintf("model: encoding an event: %v", err))
		}
		fmt.Fprintf(w, "data: %s\n\n", data)
		_ = http.NewResponseController(w).Flush() // who asked may have gone
	}
}
