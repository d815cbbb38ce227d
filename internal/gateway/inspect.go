package gateway

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"proofbox"
	"proofbox/internal/policy"
)

// inspection gives the rule by which a destination's connections are opened; nil
// where they are not. One for the host itself goes before one for many.
func (g *Gateway) inspection(to proofbox.Destination) *proofbox.Inspected {
	var found *proofbox.Inspected
	for i := range g.config.Inspect {
		if rule := &g.config.Inspect[i]; rule.Covers(to) && (found == nil || rule.Host == to.Host) {
			found = rule
		}
	}
	return found
}

// overrides lists headers by which some servers take another method than that of
// the request.
var overrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// plainMethod says why a request's method may be another than it is.
func plainMethod(r *http.Request) error {
	for _, name := range overrides {
		if r.Header.Get(name) != "" {
			return &denial{http.StatusForbidden, "a request that asks for another method than its own (" + name + ") could be any"}
		}
	}
	return nil
}

// permits says why a request is none of those that are listed.
func permits(rule proofbox.Inspected, r *http.Request) error {
	if len(rule.Methods) > 0 {
		if !slices.Contains(rule.Methods, r.Method) {
			return &denial{http.StatusForbidden, fmt.Sprintf("%s is not allowed to %s; it lets pass %s", short(r.Method), rule.Destination, rule.Text())}
		}
		if err := plainMethod(r); err != nil {
			return err
		}
	}
	if len(rule.Paths) == 0 {
		return nil
	}
	if asked := r.URL.EscapedPath(); !policy.Plain(asked) || !slices.ContainsFunc(rule.Paths, func(p string) bool { return fits(p, asked) }) {
		return &denial{http.StatusForbidden, fmt.Sprintf("%s is not allowed to %s; it lets pass %s", short(asked), rule.Destination, rule.Text())}
	}
	return nil
}

// fits says whether a path is a pattern, or begins as one with a "*" says.
func fits(pattern, path string) bool {
	if head, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(path, head)
	}
	return path == pattern
}

// open is the host to a client that has asked for a tunnel to one that is
// inspected, and serves its requests.
func (g *Gateway) open(client *buffered, to proofbox.Destination) error {
	hello, err := opening(client, to)
	if err != nil {
		return err
	}
	if len(hello) == 0 {
		return &denial{http.StatusForbidden, to.String() + " is spoken to in TLS only"}
	}
	certificate, err := g.config.Authority.leaf(to.Host)
	if err != nil {
		return err
	}
	opened := tls.Server(client.again(hello), &tls.Config{
		Certificates: []tls.Certificate{*certificate}, NextProtos: []string{"http/1.1"},
	})
	ctx, cancel := context.WithTimeout(g.over, headerTime)
	defer cancel()
	if err := opened.HandshakeContext(ctx); err != nil {
		return &denial{http.StatusForbidden, "the client and the gateway agree on no TLS; does it trust the certificate of the run, see SSL_CERT_FILE? " + plain(err)}
	}
	g.serve(opened, to, true)
	return nil
}

// legible has an answer come in a form that can be searched. The box asked for
// it as a whole, whatever it says: in parts, a secret would be none.
func legible(out *http.Request) {
	out.Header.Set("Accept-Encoding", "gzip")
	out.Header.Del("Range")
	out.Header.Del("If-Range")
}

// read makes an answer legible.
func read(r *http.Response) error {
	switch strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")) {
	case "", "identity":
	case "gzip", "x-gzip":
		if r.Request.Method != http.MethodHead {
			r.Body = &unzipped{from: r.Body}
		}
		r.Header.Del("Content-Encoding")
	default:
		return &denial{http.StatusBadGateway, "the answer is compressed in a way that the gateway does not read, and a secret could be in it"}
	}
	r.Header.Del("Content-Length") // of what it was
	r.ContentLength = -1
	return nil
}

// unzipped is what is in a body; it is begun when it is first read.
type unzipped struct {
	from io.ReadCloser
	zip  *gzip.Reader
}

func (u *unzipped) Read(p []byte) (n int, err error) {
	if u.zip == nil {
		if u.zip, err = gzip.NewReader(u.from); err != nil {
			return 0, err
		}
	}
	return u.zip.Read(p)
}

func (u *unzipped) Close() error { return u.from.Close() }
