package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"

	"proofbox"
)

// forward answers a request that names its destination (RFC 9112, section
// 3.2.2).
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request) {
	entry := g.ledger.open(proofbox.Call{Method: r.Method, Path: short(r.URL.Path)})
	to, err := destination(r.URL.Host, webPort)
	entry.name(to, r.URL.Host)
	if err == nil && (r.URL.Scheme != "http" || r.URL.User != nil) {
		err = &denial{http.StatusForbidden, "the proxy takes http:// without a user's name; for https:// it is asked with CONNECT"}
	}
	g.pass(w, r, &transfer{to: to, entry: entry}, err)
}

// serve answers the requests of a client that has asked for a tunnel and gets
// none: to a port of HTTP, or in TLS that was opened. Each must be for the host
// that the tunnel is to.
func (g *Gateway) serve(client net.Conn, to proofbox.Destination, secure bool) {
	port := webPort
	if secure {
		port = to.Port // which a client leaves out where it is TLS's own
	}
	one, done := newArrivals(), make(chan struct{})
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entry := g.ledger.open(proofbox.Call{Method: r.Method, Path: short(r.URL.Path)})
			entry.name(to, "")
			named, err := destination(r.Host, port)
			if err == nil && (named != to || r.URL.IsAbs()) {
				err = &denial{http.StatusMisdirectedRequest, fmt.Sprintf("a request for %s in a connection to %s", named, to)}
			}
			g.pass(w, r, &transfer{to: to, secure: secure, entry: entry}, err)
		}),
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader, ErrorLog: quiet,
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				close(done)
			}
		},
	}
	stop := context.AfterFunc(g.over, func() { _ = server.Close() })
	defer stop()
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(one) }) // ends with the listener
	one.add(client)
	<-done
	_ = one.Close()
	serving.Wait()
}

// pass sends a decided request on, or answers why it does not.
func (g *Gateway) pass(w http.ResponseWriter, r *http.Request, t *transfer, err error) {
	if err == nil {
		err = g.accept(r, t.to)
	}
	stage := false
	if err == nil {
		stage, err = g.staged(r, t.to)
	}
	put := g.vault.put(r, t.to, t.secure && err == nil && !stage)
	t.entry.secrets(put.names)
	t.entry.left(put.left)
	t.entry.alarm(g.vault.astray(put.left, t))
	if err != nil {
		answerDenied(w, t.entry, deniedAs(err))
		return
	}
	t.vault, t.digest, t.spotter = g.vault, sha256.New(), g.vault.spotter()
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &measured{ReadCloser: r.Body, transfer: t}
	}
	defer t.end()
	if stage {
		g.hold(w, r, t)
		return
	}
	if !g.vault.empty() {
		veil := g.vault.veiled(w, put)
		defer veil.Close()
		w = veil
	}
	g.forwarder.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), transferKey{}, t)))
}

// accept says why a request is not passed on.
func (g *Gateway) accept(r *http.Request, to proofbox.Destination) error {
	if err := g.decide(to); err != nil {
		return err
	}
	if r.Header.Get("Upgrade") != "" {
		return &denial{http.StatusForbidden, "a connection cannot become one of another protocol here"}
	}
	if rule := g.inspection(to); rule != nil {
		return permits(*rule, r)
	}
	return nil
}

// transfer is one request on its way through.
type transfer struct {
	to     proofbox.Destination
	secure bool // it came, and goes on, in TLS
	entry  *entry
	vault  *vault
	err    error

	mu      sync.Mutex // an answer may be there before its request was read
	digest  hash.Hash  // of the request's body, guarded by mu
	spotter *redactor  // of placeholders in it, guarded by mu
	sent    int64      // guarded by mu
}

type transferKey struct{}

func transferOf(r *http.Request) *transfer { return r.Context().Value(transferKey{}).(*transfer) }

// end closes the entry of the ledger.
func (t *transfer) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	digest := ""
	if t.sent > 0 {
		digest = hex.EncodeToString(t.digest.Sum(nil))
	}
	t.entry.body(t.sent, digest)
	spotted := slices.Collect(maps.Keys(t.spotter.found))
	t.entry.left(spotted)
	t.entry.alarm(t.vault.astray(spotted, t))
	t.entry.close(t.err)
}

// measured is a request's body that counts.
type measured struct {
	io.ReadCloser
	transfer *transfer
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.transfer.mu.Lock()
	defer m.transfer.mu.Unlock()
	m.transfer.sent += int64(n)
	m.transfer.digest.Write(p[:n])
	_, _ = m.transfer.spotter.Write(p[:n]) // into nothing
	return n, err
}

// rewrite makes the request that leaves. Where it goes is what was decided and
// not what it says.
func rewrite(r *httputil.ProxyRequest) {
	t := transferOf(r.In)
	r.Out.URL.Scheme, r.Out.URL.Host = "http", t.to.String()
	r.Out.Host = strings.TrimSuffix(t.to.String(), ":80")
	if t.secure {
		r.Out.URL.Scheme, r.Out.Host = "https", strings.TrimSuffix(t.to.String(), ":443")
	}
	if !t.vault.empty() {
		legible(r.Out)
	}
}

// measureResponse enters an answer into the ledger and has it looked at.
func (g *Gateway) measureResponse(r *http.Response) error {
	t := transferOf(r.Request)
	t.entry.answered(r.StatusCode)
	g.gits.note(t.to, r)
	r.Body = &tallied{r.Body, g.config.Incoming("answers of "+t.to.String(), r.Body), t}
	if t.vault.empty() {
		return nil
	}
	return read(r)
}

// tallied is an answer's body that counts, and that says why it was cut.
type tallied struct {
	io.Closer
	body io.Reader
	of   *transfer
}

func (c *tallied) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	c.of.entry.add(0, int64(n))
	if d, ok := errors.AsType[*denial](err); ok {
		c.of.err = d
	}
	return n, err
}

// forwardingFailed answers a request that could not be sent on.
func forwardingFailed(w http.ResponseWriter, r *http.Request, err error) {
	t := transferOf(r)
	d := deniedAs(err)
	d.reason = redacted(d.reason, t.vault.redaction) // it may quote the answer
	t.err = d
	writeDenied(w, d)
}

func answerDenied(w http.ResponseWriter, entry *entry, d *denial) {
	entry.close(d)
	writeDenied(w, d)
}

func writeDenied(w http.ResponseWriter, d *denial) {
	w.Header().Set("Proofbox-Reason", d.reason)
	http.Error(w, "proofbox: "+d.reason, d.status)
}
