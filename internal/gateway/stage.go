package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"

	"proofbox"
)

// Hold keeps a request that would change something outside, with its body, and
// gives its number. A [TooMuchError] is for the box to know.
type Hold func(r proofbox.Staged, body io.Reader) (n int, err error)

// TooMuchError is why no further request is held.
type TooMuchError struct{ Why string }

func (e *TooMuchError) Error() string { return e.Why }

// reading lists the methods by which nothing is changed; RFC 9110, section 9.2.1.
var reading = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}

// staged says whether a request must be held. That one says to be another than it
// is, is an error.
func (g *Gateway) staged(r *http.Request, to proofbox.Destination) (bool, error) {
	covers := func(d proofbox.Destination) bool { return proofbox.Inspected{Destination: d}.Covers(to) }
	if !slices.ContainsFunc(g.config.Stage, covers) {
		return false, nil
	}
	return !slices.Contains(reading, r.Method) && !g.gits.fetches(to, r), plainMethod(r)
}

// hold keeps a request, and tells the box so.
func (g *Gateway) hold(w http.ResponseWriter, r *http.Request, t *transfer) {
	if isProbe(r) {
		t.entry.held(0) // there is nothing in it to be sent
		answerPush(w, nil)
		return
	}
	scheme := "http"
	if t.secure {
		scheme = "https"
	}
	url := *r.URL
	url.Scheme, url.Host = scheme, strings.TrimSuffix(t.to.String(), map[string]string{"http": ":80", "https": ":443"}[scheme])
	header := r.Header.Clone()
	for _, name := range hopByHop {
		header.Del(name)
	}
	var head pushHead
	n, err := g.config.Hold(proofbox.Staged{Method: r.Method, URL: url.String(), Header: header}, io.TeeReader(r.Body, &head))
	if err != nil {
		d := &denial{http.StatusInsufficientStorage, "the request cannot be held: " + plain(err)}
		if much, ok := errors.AsType[*TooMuchError](err); ok {
			d = &denial{http.StatusRequestEntityTooLarge, much.Error()}
		}
		t.err = d
		writeDenied(w, d)
		return
	}
	t.entry.held(n)
	w.Header().Set("Proofbox-Held", fmt.Sprint(n))
	if p, ok := readPush(head.Bytes()); ok && isPush(r.Header) {
		answerPush(w, p.answer(fmt.Sprintf("held as request %d, and pushed when a person says so", n)))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{ // who asked may have gone
		"proofbox": fmt.Sprintf("request %d is held: it changes something outside, and is sent when a person says so", n),
	})
}

// hopByHop lists the headers that are of one connection; RFC 9110, section 7.6.1.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect", "Content-Length", "Host"}

// Answer is what came back of a request that was sent.
type Answer struct {
	Status int
	Text   string // its beginning, without secrets
	// Rejected is why the other side has not done what was asked, where its status
	// does not say so: empty where it has.
	Rejected string
}

// maxAnswer bounds what is kept of an answer.
const maxAnswer = 4 << 10

// Send sends a request that was held, under the rules of the gateway. sent says
// whether a byte of it may have left.
func (g *Gateway) Send(ctx context.Context, s proofbox.Staged, body io.Reader) (answer Answer, sent bool, err error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent = true }})
	r, err := http.NewRequestWithContext(ctx, s.Method, s.URL, body)
	if err != nil {
		return answer, false, fmt.Errorf("making the request again: %w", err)
	}
	port := webPort
	if r.URL.Scheme == "https" {
		port = 443
	}
	to, err := destination(r.URL.Host, port)
	if err != nil {
		return answer, false, err
	}
	r.Header, r.ContentLength = http.Header(s.Header).Clone(), s.Bytes
	if err := g.accept(r, to); err != nil {
		return answer, false, err
	}
	g.vault.put(r, to, r.URL.Scheme == "https")
	r.Header.Set("Accept-Encoding", "gzip")
	in, err := g.transport.RoundTrip(r)
	if err != nil {
		return answer, sent, errors.New(redacted(plain(err), g.vault.redaction))
	}
	defer in.Body.Close()
	answer.Status = in.StatusCode
	if err := read(in); err != nil {
		return answer, true, nil // it cannot be shown
	}
	raw, _ := io.ReadAll(io.LimitReader(in.Body, maxAnswer)) // the rest of it is of no use
	text, rejected := string(raw), ""
	if in.Header.Get("Content-Type") == pushResult {
		text, rejected = pushed(raw)
	}
	answer.Text, answer.Rejected = g.cleared(text), g.cleared(rejected)
	return answer, true, nil
}

// cleared is text of the other side without secrets.
func (g *Gateway) cleared(text string) string {
	return strings.ToValidUTF8(redacted(text, g.vault.redaction), "\uFFFD")
}
