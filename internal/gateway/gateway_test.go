package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"proofbox"
	"proofbox/internal/gateway"
	"proofbox/internal/policy"
)

// world is a network of a test's own: names, their addresses, and who listens
// there.
type world struct {
	names map[string][]string
	hosts map[string]string // address and port to the listener that is there

	mu       sync.Mutex
	resolved []string
	dialled  []string
}

func (w *world) Resolve(_ context.Context, name string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resolved = append(w.resolved, name)
	var list []netip.Addr
	for _, a := range w.names[name] {
		list = append(list, netip.MustParseAddr(a))
	}
	if list == nil {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return list, nil
}

func (w *world) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dialled = append(w.dialled, to.String())
	there := w.hosts[to.String()]
	w.mu.Unlock()
	if there == "" {
		return nil, errors.New("nobody is there")
	}
	return new(net.Dialer).DialContext(ctx, "tcp", there)
}

func (w *world) asked() (resolved, dialled string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.resolved, " "), strings.Join(w.dialled, " ")
}

// rules reads what is allowed.
func rules(t testing.TB, texts ...string) []proofbox.Destination {
	t.Helper()
	var list []proofbox.Destination
	for _, text := range texts {
		d, err := policy.ParseDestination(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	return list
}

// start makes a gateway to a world.
func start(t testing.TB, w *world, upload proofbox.Size, allow ...string) *gateway.Gateway {
	t.Helper()
	g := gateway.New(gateway.Config{Allow: rules(t, allow...), Upload: upload, Network: w})
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// pair gives the two ends of a connection.
func pair(t testing.TB) (ours, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // a test may have closed it
	return conn.(*net.TCPConn), other.(*net.TCPConn)
}

// visit is a connection of the box to its gateway.
func visit(t testing.TB, g *gateway.Gateway) *net.TCPConn {
	t.Helper()
	ours, theirs := pair(t)
	g.Serve(theirs)
	return ours
}

// client is an HTTP client in the box.
func client(t testing.TB, g *gateway.Gateway, roots *x509.CertPool, serverName string) *http.Client {
	t.Helper()
	transport := &http.Transport{
		Proxy: func(*http.Request) (*url.URL, error) { return proxyURL, nil },
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return visit(t, g), nil
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: serverName},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// end, at the end of what is sent, is the end of the connection.
const end = "<end>"

// get gives what an answer says.
func get(t testing.TB, c *http.Client, address string) (status int, body string, err error) {
	t.Helper()
	r, err := c.Get(address)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(data), nil
}

// ask sends bytes to the gateway and gives the first answer to them. What has no
// end of its own must end with end.
func ask(t testing.TB, g *gateway.Gateway, raw string) (*http.Response, string) {
	t.Helper()
	conn := visit(t, g)
	defer conn.Close()
	raw, ends := strings.CutSuffix(raw, end)
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	if ends {
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "GET"})
	if err != nil {
		t.Fatalf("the answer to %q: %v", raw, err)
	}
	if r.StatusCode == http.StatusOK && strings.HasPrefix(raw, "CONNECT ") {
		return r, "" // a tunnel, which has no end of its own
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

// web is an HTTP server in the world, under a public address.
func web(t testing.TB, secure bool, handler http.HandlerFunc) (*httptest.Server, *world) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	port := "80"
	if secure {
		s.StartTLS()
		port = "443"
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, &world{
		names: map[string][]string{"example.com": {"93.184.216.34"}},
		hosts: map[string]string{"93.184.216.34:" + port: s.Listener.Addr().String()},
	}
}

func hello(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello from %s", r.Host) }

func TestTunnelToAnAllowedName(t *testing.T) {
	t.Parallel()
	s, w := web(t, true, hello)
	g := start(t, w, 1<<20, "example.com")
	status, body, err := get(t, client(t, g, roots(s), ""), "https://example.com/")
	if status != 200 || body != "hello from example.com" {
		t.Errorf("got %d %q, %v", status, body, err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	calls, _ := g.Calls()
	if len(calls) != 1 {
		t.Fatalf("the ledger: %+v", calls)
	}
	c := calls[0]
	if c.Host != "example.com" || c.Port != 443 || c.Verdict != gateway.Allowed || c.Sent < 300 || c.Received < 500 {
		t.Errorf("the ledger: %+v", c)
	}
}

func TestForwardToAnAllowedName(t *testing.T) {
	t.Parallel()
	_, w := web(t, false, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %q %v %q", r.Method, r.Host, r.URL, body, err, r.Header["Proxy-Connection"])
	})
	g := start(t, w, 1<<20, "example.com:80")
	r, err := client(t, g, nil, "").Post("http://EXAMPLE.com./path?q=1", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	got, err := io.ReadAll(r.Body)
	if want := `POST example.com /path?q=1 "body" <nil> []`; string(got) != want || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	calls, _ := g.Calls()
	const digest = "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5" // of "body"
	if len(calls) != 1 || calls[0].Path != "/path" || calls[0].Status != 200 || calls[0].Sent != 4 || calls[0].Digest != digest {
		t.Errorf("the ledger: %+v", calls)
	}
}

// TestDeniedAtOnce: what is not allowed is refused with a reason, and nobody
// outside is asked about it.
func TestDeniedAtOnce(t *testing.T) {
	t.Parallel()
	w := &world{}
	g := start(t, w, 1<<20, "example.com", "*.wild.example.com:8443")
	for _, to := range []string{
		"evil.com:443", "example.com:80", "www.example.com:443", "example.com.evil.com:443", "evilexample.com:443",
		"wild.example.com:8443", "a.b.wild.example.com:8443", "example.com:443.evil.com:443",
		"127.0.0.1:443", "127.1:443", "2130706433:443", "0x7f000001:443", "017700000001:443", "[::1]:443", "[::ffff:7f00:1]:443",
		"[fe80::1%25eth0]:443", "169.254.169.254:80", "localhost:443", "metadata:80", "１２７.0.0.1:443", ".:443", "..:443",
	} {
		for _, raw := range []string{
			"CONNECT " + to + " HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
			"GET http://" + to + "/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
		} {
			r, body := ask(t, g, raw)
			if r.StatusCode != http.StatusForbidden && r.StatusCode != http.StatusBadRequest {
				t.Errorf("%q: %s %q", raw, r.Status, body)
			}
			if r.StatusCode == http.StatusForbidden && !strings.Contains(r.Status+body, "proofbox: ") {
				t.Errorf("%q is refused without a reason: %s %q", raw, r.Status, body)
			}
		}
	}
	if resolved, dialled := w.asked(); resolved+dialled != "" {
		t.Errorf("outside was asked for %q and %q", resolved, dialled)
	}
}

// TestMalformedRequests: what net/http refuses before the gateway sees it goes
// nowhere either.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	w := &world{names: map[string][]string{"example.com": {"93.184.216.34"}}}
	g := start(t, w, 1<<20, "example.com", "example.com:80")
	for _, raw := range []string{
		"CONNECT example.com:443\x00.evil.com:443 HTTP/1.1\r\n\r\n",
		"CONNECT user@example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT example.com HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT example.com:443/x HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://user:pass@example.com/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET https://example.com/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET ftp://example.com/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x05\x01\x00" + end,
		"\x16\x03\x01\x02\x00" + end,
		"rubbish\r\n\r\n" + end,
	} {
		r, body := ask(t, g, raw)
		if r.StatusCode < 400 {
			t.Errorf("%q: %s %q", raw, r.Status, body)
		}
	}
	if _, dialled := w.asked(); dialled != "" {
		t.Errorf("%q was connected to", dialled)
	}
}

func TestFailureIsNoDenial(t *testing.T) {
	t.Parallel()
	w := &world{names: map[string][]string{"down.example.com": {"93.184.216.35"}}}
	g := start(t, w, 1<<20, "down.example.com", "gone.example.com")
	for _, to := range []string{"down.example.com:443", "gone.example.com:443"} {
		if r, body := ask(t, g, "CONNECT "+to+" HTTP/1.1\r\nHost: x\r\n\r\n"); r.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: %s %q", to, r.Status, body)
		}
	}
	calls, _ := g.Calls()
	if len(calls) != 2 || calls[0].Verdict != gateway.Failed || calls[1].Verdict != gateway.Failed {
		t.Errorf("the ledger: %+v", calls)
	}
}

var proxyURL = &url.URL{Scheme: "http", Host: "127.0.0.1:3128"}

// roots are those who vouch for a server of a test.
func roots(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}
