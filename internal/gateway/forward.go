package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
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
	g.pass(w, r, to, entry, err)
}

// within serves the requests of a client that has asked for a tunnel to a port
// of HTTP. Each must be for the host that the tunnel is to.
func (g *Gateway) within(client *buffered, to proofbox.Destination) {
	one, done := newArrivals(), make(chan struct{})
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entry := g.ledger.open(proofbox.Call{Method: r.Method, Path: short(r.URL.Path)})
			entry.name(to, "")
			named, err := destination(r.Host, webPort)
			if err == nil && (named != to || r.URL.IsAbs()) {
				err = &denial{http.StatusMisdirectedRequest, fmt.Sprintf("a request for %s in a connection to %s", named, to)}
			}
			g.pass(w, r, to, entry, err)
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
func (g *Gateway) pass(w http.ResponseWriter, r *http.Request, to proofbox.Destination, entry *entry, err error) {
	if err == nil {
		err = g.decide(to)
	}
	if err == nil && r.Header.Get("Upgrade") != "" {
		err = &denial{http.StatusForbidden, "a connection cannot become one of another protocol here"}
	}
	if err != nil {
		answerDenied(w, entry, deniedAs(err))
		return
	}
	t := &transfer{to: to, entry: entry, digest: sha256.New()}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &measured{ReadCloser: r.Body, transfer: t}
	}
	defer t.end()
	g.forwarder.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), transferKey{}, t)))
}

// transfer is one request on its way through.
type transfer struct {
	to    proofbox.Destination
	entry *entry
	err   error

	mu     sync.Mutex // an answer may be there before its request was read
	digest hash.Hash  // of the request's body, guarded by mu
	sent   int64      // guarded by mu
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
	return n, err
}

// rewrite makes the request that leaves. Where it goes is what was decided and
// not what it says.
func rewrite(r *httputil.ProxyRequest) {
	to := transferOf(r.In).to
	r.Out.URL.Scheme, r.Out.URL.Host = "http", to.String()
	r.Out.Host = strings.TrimSuffix(to.String(), ":80")
}

// measureResponse enters an answer into the ledger.
func measureResponse(r *http.Response) error {
	t := transferOf(r.Request)
	t.entry.answered(r.StatusCode)
	r.Body = &tallied{r.Body, t.entry}
	return nil
}

// tallied is an answer's body that counts.
type tallied struct {
	io.ReadCloser
	entry *entry
}

func (c *tallied) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.entry.add(0, int64(n))
	return n, err
}

// forwardingFailed answers a request that could not be sent on.
func forwardingFailed(w http.ResponseWriter, r *http.Request, err error) {
	t := transferOf(r)
	d := deniedAs(err)
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
