package gateway_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"proofbox/internal/gateway"
)

// TestInternalAddresses: a name that is allowed and leads to the inside leads
// nowhere; without the check of addresses, it does.
func TestInternalAddresses(t *testing.T) {
	t.Parallel()
	s, w := web(t, true, hello)
	addresses := []string{
		"127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1",
		"169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1", "255.255.255.255", "240.0.0.1",
		"::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
		"64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001::7f00:1", "100::1", "5f00::1",
	}
	for i, a := range addresses {
		name := fmt.Sprintf("n%d.example.com", i)
		w.names[name] = []string{a}
		w.hosts[netip.AddrPortFrom(netip.MustParseAddr(a), 443).String()] = s.Listener.Addr().String()
		// Beside a public one, as a server that answers with both would have it.
		w.names["mixed-"+name] = []string{"93.184.216.34", a}
	}
	g := start(t, w, 1<<20, "*.example.com")
	twin := gateway.New(gateway.Config{Allow: rules(t, "*.example.com"), Upload: 1 << 20, Network: w})
	gateway.TrustAddresses(twin)
	defer twin.Close()
	for i := range addresses {
		name := fmt.Sprintf("n%d.example.com", i)
		for _, n := range []string{name, "mixed-" + name} {
			r, _ := ask(t, g, "CONNECT "+n+":443 HTTP/1.1\r\nHost: x\r\n\r\n")
			if r.StatusCode != http.StatusForbidden || !strings.Contains(r.Status, "no box may connect") {
				t.Errorf("%s: %s", addresses[i], r.Status)
			}
		}
		if r, body := ask(t, twin, "CONNECT "+name+":443 HTTP/1.1\r\nHost: x\r\n\r\n"); r.StatusCode != http.StatusOK {
			t.Errorf("the attempt at %s proves nothing: %s %s", addresses[i], r.Status, body)
		}
	}
	for _, a := range []string{"93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "203.0.113.80"} {
		if what := gateway.NotPublic(netip.MustParseAddr(a)); what != "" {
			t.Errorf("%s is %s", a, what)
		}
	}
}

// TestServerNameMustAgree fronts: it asks for an allowed name and speaks TLS to
// another, to nobody, or in secret.
func TestServerNameMustAgree(t *testing.T) {
	t.Parallel()
	s, w := web(t, true, hello)
	g := start(t, w, 1<<20, "example.com")
	for name, c := range map[string]struct {
		config *tls.Config
		denied string
	}{
		"the same":       {&tls.Config{ServerName: "example.com"}, ""},
		"in upper case":  {&tls.Config{ServerName: "EXAMPLE.com"}, ""},
		"another":        {&tls.Config{ServerName: "evil.com"}, "TLS for evil.com"},
		"a longer one":   {&tls.Config{ServerName: "example.com.evil.com"}, "TLS for example.com.evil.com"},
		"none":           {&tls.Config{}, "without a server name"},
		"an address":     {&tls.Config{ServerName: "93.184.216.34"}, "without a server name"},
		"encrypted":      {&tls.Config{ServerName: "secret.example", MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: echConfig("example.com")}, "encrypted"},
		"without extras": {&tls.Config{ServerName: "example.com", MaxVersion: tls.VersionTLS12}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.config.RootCAs, c.config.InsecureSkipVerify = roots(s), c.config.EncryptedClientHelloConfigList == nil
			conn := visit(t, g)
			if _, err := io.WriteString(conn, "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			const established = "HTTP/1.1 200 Connection established\r\n\r\n"
			if _, err := io.ReadFull(conn, make([]byte, len(established))); err != nil {
				t.Fatal(err)
			}
			err := tls.Client(conn, c.config).Handshake()
			if c.denied == "" {
				if err != nil {
					t.Errorf("an honest client: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("the handshake has succeeded")
			}
		})
	}
	t.Cleanup(func() {
		// A client hears that it is cut before the ledger does.
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		var reasons []string
		calls, _ := g.Calls()
		for _, c := range calls {
			reasons = append(reasons, c.Reason)
			if c.Reason != "" && c.Sent > 0 {
				t.Errorf("%d bytes were sent: %+v", c.Sent, c)
			}
		}
		all := strings.Join(reasons, "\n")
		for _, want := range []string{`TLS for "evil.com"`, `TLS for "example.com.evil.com"`, "without a server name", "encrypted server name"} {
			if !strings.Contains(all, want) {
				t.Errorf("nobody was denied for %s:\n%s", want, all)
			}
		}
	})
}

// echConfig is a list with one configuration for encrypted hellos (RFC 9849,
// section 4), whose public name is name and whose key is nobody's.
func echConfig(name string) []byte {
	key := append([]byte{9}, make([]byte, 31)...) // X25519's base point
	var b bytes.Buffer
	b.WriteByte(1)               // the configuration's number
	b.Write([]byte{0x00, 0x20})  // DHKEM(X25519, HKDF-SHA256)
	b.Write([]byte{0x00, 32})    // the length of its key
	b.Write(key)                 //
	b.Write([]byte{0, 4})        // one suite of
	b.Write([]byte{0, 1, 0, 1})  // HKDF-SHA256 and AES-128-GCM
	b.WriteByte(32)              // the longest name
	b.WriteByte(byte(len(name))) //
	b.WriteString(name)          //
	b.Write([]byte{0, 0})        // no extensions
	body := b.Bytes()            //
	config := []byte{0xfe, 0x0d, byte(len(body) >> 8), byte(len(body))}
	config = append(config, body...)
	return append([]byte{byte(len(config) >> 8), byte(len(config))}, config...)
}

// TestOnlyTLSOn443: an allowed port is not a way for another protocol.
func TestOnlyTLSOn443(t *testing.T) {
	t.Parallel()
	s, w := web(t, false, hello)
	w.hosts["93.184.216.34:443"] = s.Listener.Addr().String()
	w.hosts["93.184.216.34:8080"] = s.Listener.Addr().String()
	g := start(t, w, 1<<20, "example.com", "example.com:8080")
	say := func(port int, text string) string {
		conn := visit(t, g)
		defer conn.Close()
		fmt.Fprintf(conn, "CONNECT example.com:%d HTTP/1.1\r\nHost: x\r\n\r\n%s", port, text)
		_ = conn.CloseWrite() // it may be cut already
		got, _ := io.ReadAll(conn)
		return string(got)
	}
	const request = "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
	for _, text := range []string{request, "SSH-2.0-x\r\n", "\x00", "\x16\x03", "\x16\x03\x01\x00\x05hello", "\x16" + strings.Repeat("x", 1<<17)} {
		if got := say(443, text); strings.Contains(got, "hello from") || !strings.Contains(got, "200 Connection") {
			t.Errorf("%.20q on 443: %q", text, got)
		}
	}
	if got := say(8080, request); !strings.Contains(got, "hello from example.com") {
		t.Errorf("on a port that was named: %q", got)
	}
}

// TestHostMustAgree: within a connection to one host, no request is for another.
func TestHostMustAgree(t *testing.T) {
	t.Parallel()
	_, w := web(t, false, hello)
	g := start(t, w, 1<<20, "example.com:80")
	for host, want := range map[string]string{
		"example.com": "hello from example.com", "EXAMPLE.com:80": "hello from example.com",
		"evil.com": "421", "example.com:8080": "421", "127.0.0.1": "403", "": "403",
	} {
		conn := visit(t, g)
		fmt.Fprintf(conn, "CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
		got, err := io.ReadAll(conn)
		if !strings.Contains(string(got), want) || err != nil {
			t.Errorf("host %q: %q, %v", host, got, err)
		}
	}
	// A request of a proxy's form says where it goes in its first line alone.
	r, body := ask(t, g, "GET http://example.com/ HTTP/1.1\r\nHost: evil.com\r\nX-Forwarded-Host: evil.com\r\nConnection: close\r\n\r\n")
	if body != "hello from example.com" {
		t.Errorf("a forged host: %s %q", r.Status, body)
	}
}

// TestSmuggling: what the server outside reads is one request, as it was read
// here.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	_, w := web(t, false, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- fmt.Sprintf("%s %s %d %q", r.Method, r.URL.Path, r.ContentLength, body)
	})
	g := start(t, w, 1<<20, "example.com:80")
	for _, head := range []string{
		"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
		"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n",
		"Transfer-Encoding : chunked\r\nContent-Length: 4\r\n",
		"Content-Length: 4\r\nContent-Length: 40\r\n",
	} {
		conn := visit(t, g)
		fmt.Fprintf(conn, "POST http://example.com/one HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n%s\r\n0\r\n\r\nGET http://example.com/smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n", head)
		if _, err := io.ReadAll(conn); err != nil {
			t.Logf("%q: %v", head, err) // it may be cut
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	close(seen)
	for s := range seen {
		if !strings.HasPrefix(s, "POST /one ") || strings.Contains(s, "smuggled") {
			t.Errorf("the server has read %s", s)
		}
	}
}

// TestUploadIsBounded sends more than may leave, by each way out.
func TestUploadIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	var got int
	s, w := web(t, false, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body) // it is cut
		got += int(n)
	})
	w.hosts["93.184.216.34:8080"] = s.Listener.Addr().String()
	g := start(t, w, limit, "example.com:80", "example.com:8080")
	big := bytes.Repeat([]byte("x"), 4*limit)
	r, err := client(t, g, nil, "").Post("http://example.com/", "", bytes.NewReader(big))
	if err == nil {
		r.Body.Close()
		if r.StatusCode < 400 {
			t.Errorf("more than may leave: %s", r.Status)
		}
	}
	conn := visit(t, g)
	fmt.Fprintf(conn, "CONNECT example.com:8080 HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(big))
	_, _ = conn.Write(big) // it is cut
	_, _ = io.Copy(io.Discard, conn)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	s.Close() // and with it, got is settled
	if got > 2*limit {
		t.Errorf("%d bytes have left, of %d to each of two ports", got, limit)
	}
	calls, _ := g.Calls()
	said := 0
	for _, c := range calls {
		if c.Verdict == gateway.Cut && strings.Contains(c.Reason, "raise it with --upload") {
			said++
		}
	}
	if said != 2 {
		t.Errorf("the ledger: %+v", calls)
	}
}

// TestLedgerIsBounded asks for more than the ledger holds.
func TestLedgerIsBounded(t *testing.T) {
	t.Parallel()
	g := start(t, &world{}, 1<<20)
	for i := range gateway.MaxCalls + 20 {
		ask(t, g, fmt.Sprintf("CONNECT n%d.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", i))
	}
	ask(t, g, "CONNECT n0.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	calls, missing := g.Calls()
	if len(calls) != gateway.MaxCalls || missing != 20 || calls[0].Times != 2 {
		t.Errorf("%d calls, %d missing, the first %d times", len(calls), missing, calls[0].Times)
	}
}

// FuzzGateway lets a box say anything: nobody but the allowed host is connected
// to.
func FuzzGateway(f *testing.F) {
	for _, s := range []string{
		"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03\x01\x00\x05hello",
		"CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"GET http://evil.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"\x05\x01\x00\x05\x01\x00\x03\x08evil.com\x01\xbb",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := &world{names: map[string][]string{"example.com": {"93.184.216.34"}, "evil.com": {"93.184.216.35"}}}
		g := start(t, w, 1<<20, "example.com", "example.com:80")
		conn := visit(t, g)
		_, _ = conn.Write(raw) // it may be cut
		_ = conn.CloseWrite()
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		resolved, dialled := w.asked()
		if strings.Contains(resolved, "evil") || strings.Contains(dialled, "93.184.216.35") {
			t.Errorf("%q reaches %q and %q", raw, resolved, dialled)
		}
	})
}
