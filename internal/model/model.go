// Package model lets a box call language models without holding a key. It takes
// the requests of OpenAI's and Anthropic's clients, holds the most that each can
// cost before a byte of it leaves, passes it on, reads what it did cost out of
// the answer and settles. What is passed on is what came, byte for byte, but for
// the key, the limit of output that still fits and the wish for a usage report.
//
// A provider is any server that speaks one of the two; [Script] is one that needs
// no network and no key.
package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"proofbox"
)

// Model is one model that a box may call.
type Model struct {
	Name string // as the box calls it
	// Formats are those that the provider speaks: "openai", "anthropic".
	Formats []string
	// Base is the provider's address up to where its paths begin
	// ("https://api.openai.com/v1"), and Transport how it is reached.
	Base      string
	Transport http.RoundTripper
	// Key is sent in the place of the box's own; empty for none.
	Key    string
	Prices Prices
	// MaxOutput is how many tokens the model answers with at most where the
	// request does not say.
	MaxOutput int64
	// Counter counts tokens as the provider is known to do; nil where nobody knows.
	Counter Counter
}

// Purse is where the money for calls is.
type Purse interface {
	// Hold sets aside fixed and each for every unit that fits, of those that are
	// wanted; at least one must. An error that says [ErrNoMoney] is for the box.
	Hold(ctx context.Context, fixed, each proofbox.Money, wanted int64, detail string) (units int64, c proofbox.CapCertificate, err error)
	// Settle charges what a hold has cost. Where it fails, the hold stays, and is
	// charged in full when the run ends.
	Settle(hold int64, charge proofbox.Money)
}

// ErrNoMoney is in the error of a purse that has not enough.
var ErrNoMoney = errors.New("the cap is reached")

// Desk answers a box's calls to models.
type Desk struct {
	Models []Model
	Purse  Purse
	// Recorder keeps what is said; nil where nothing does.
	Recorder Recorder

	// Ended hears of calls that are over; nil where nobody does.
	Ended func(Made)

	calls atomic.Int64
}

// Bounds of one call.
const maxBody = 32 << 20

// ServeHTTP answers one call.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var under wire
	for _, api := range []wire{openAI{}, responses{}, embeddings{}, anthropic{}, tokenCount{}} {
		path, ok := strings.CutPrefix(r.URL.Path, api.prefix())
		if ok && (under == nil || path == api.callPath()) {
			under = api
		}
	}
	if under != nil {
		d.serve(w, r, under, strings.TrimPrefix(r.URL.Path, under.prefix()))
		return
	}
	http.Error(w, "proofbox: models are at "+openAI{}.prefix()+" and "+anthropic{}.prefix(), http.StatusNotFound)
}

func (d *Desk) serve(w http.ResponseWriter, r *http.Request, api wire, path string) {
	switch {
	case path == "/models" && r.Method == http.MethodGet:
		answer(w, http.StatusOK, api.list(d.names()))
	case path == api.callPath() && r.Method == http.MethodPost:
		if err := d.call(w, r, api); err != nil {
			writeFailure(w, api, err)
		}
	default:
		writeFailure(w, api, &failure{http.StatusNotFound, "not_found_error", fmt.Sprintf("proofbox does not know %s %s here", r.Method, path)})
	}
}

func (d *Desk) names() []string {
	names := make([]string, len(d.Models))
	for i, m := range d.Models {
		names[i] = m.Name
	}
	return names
}

// find gives the model that a request names.
func (d *Desk) find(name string, api wire) (*Model, error) {
	i := slices.IndexFunc(d.Models, func(m Model) bool { return m.Name == name && slices.Contains(m.Formats, api.name()) })
	if i < 0 {
		return nil, &failure{http.StatusNotFound, "not_found_error", fmt.Sprintf("there is no model %q in this box that speaks as %s does; there is %s", name, api.name(), strings.Join(d.names(), ", "))}
	}
	return &d.Models[i], nil
}

// failure is an error in the words of a provider.
type failure struct {
	status int
	kind   string
	text   string
}

func (f *failure) Error() string { return f.text }

func invalid(format string, args ...any) error {
	return &failure{http.StatusBadRequest, "invalid_request_error", fmt.Sprintf(format, args...)}
}

// writeFailure answers with an error in the caller's own format.
func writeFailure(w http.ResponseWriter, api interface{ failure(*failure) any }, err error) {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{http.StatusBadGateway, "api_error", err.Error()}
	}
	answer(w, f.status, api.failure(f))
}

func answer(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document) // who asked may have gone
}

// body reads a request's body, which is a JSON object without doubled keys.
func body(r *http.Request) (*object, error) {
	if r.Header.Get("Content-Encoding") != "" {
		return nil, &failure{http.StatusUnsupportedMediaType, "invalid_request_error", "proofbox reads requests that are not compressed"}
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, invalid("reading the request: %v", err)
	}
	if len(data) > maxBody {
		return nil, &failure{http.StatusRequestEntityTooLarge, "invalid_request_error", fmt.Sprintf("a request has at most %d bytes", maxBody)}
	}
	return parse(data)
}
