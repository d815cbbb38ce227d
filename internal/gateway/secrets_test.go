package gateway_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/gateway"
)

const theSecret = `s3cret/with+odd "signs"&more`

// opened makes a gateway that opens the connections to a server, and has a secret
// for part of it; and a client in the box, which trusts the authority of the run
// and nobody else.
func opened(t *testing.T, secure bool, handler http.HandlerFunc, inspect ...proofbox.Inspected) (*gateway.Gateway, *http.Client, string) {
	t.Helper()
	s, w := web(t, secure, handler)
	w.names["other.example.com"] = w.names["example.com"]
	to := proofbox.Destination{Host: "example.com", Port: 443}
	if inspect == nil {
		inspect = []proofbox.Inspected{{Destination: to}, {Destination: proofbox.Destination{Host: "other.example.com", Port: 443}}}
	}
	authority, err := gateway.NewAuthority(inspect, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := gateway.NewSecret(proofbox.SecretUse{Name: "TOKEN", Inspected: proofbox.Inspected{
		Destination: to, Methods: []string{"GET", "HEAD"}, Paths: []string{"/api/*"},
	}}, theSecret)
	if err != nil {
		t.Fatal(err)
	}
	config := gateway.Config{
		Allow: rules(t, "example.com", "other.example.com", "example.com:80"), Upload: 1 << 20, Network: w,
		Inspect: inspect, Authority: authority, Secrets: []gateway.Secret{secret},
	}
	if secure {
		config.Roots = roots(s)
	}
	g := gateway.New(config)
	t.Cleanup(func() { _ = g.Close() })
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority.PEM())
	return g, client(t, g, trusted, ""), secret.Placeholder
}

// do makes a request in the box.
func do(t *testing.T, c *http.Client, method, address string, header http.Header, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	answer, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func basic(token string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+token))}}
}

// TestSecretIsPutIn: the server is told the secret, and the box has a
// placeholder, also where the server says again what it was told.
func TestSecretIsPutIn(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]func(string) http.Header{"bearer": bearer, "basic": basic} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var heard []string
			g, c, placeholder := opened(t, true, func(w http.ResponseWriter, r *http.Request) {
				heard = append(heard, r.Header.Get("Authorization"))
				fmt.Fprint(w, r.Header.Get("Authorization"))
			})
			_, text := do(t, c, "GET", "https://example.com/api/x", header(placeholder), "")
			if want := header(theSecret).Get("Authorization"); len(heard) != 1 || heard[0] != want {
				t.Errorf("the server was told %q, want %q", heard, want)
			}
			if want := header(placeholder).Get("Authorization"); text != want {
				t.Errorf("the box was told %q, want %q", text, want)
			}
			calls, _ := g.Calls()
			if len(calls) != 1 || len(calls[0].Secrets) != 1 || calls[0].Secrets[0] != "TOKEN" || calls[0].Alarm != "" || len(g.Alarms()) > 0 {
				t.Errorf("the ledger: %+v", calls)
			}
		})
	}
}

// TestPlaceholderElsewhere: where it is not meant to go, it stays one; if that is
// another host, there is an alarm.
func TestPlaceholderElsewhere(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(t *testing.T, c *http.Client, p string){
		"another path": func(t *testing.T, c *http.Client, p string) {
			do(t, c, "GET", "https://example.com/other", bearer(p), "")
		},
		"another method": func(t *testing.T, c *http.Client, p string) {
			do(t, c, "POST", "https://example.com/api/x", bearer(p), "")
		},
		"upwards": func(t *testing.T, c *http.Client, p string) {
			do(t, c, "GET", "https://example.com/api/../other", bearer(p), "")
		},
		"encoded": func(t *testing.T, c *http.Client, p string) {
			do(t, c, "GET", "https://example.com/api/%2e%2e/other", bearer(p), "")
		},
		"another host": func(t *testing.T, c *http.Client, p string) {
			do(t, c, "GET", "https://other.example.com/api/x", bearer(p), "")
		},
		"another host, basic": func(t *testing.T, c *http.Client, p string) {
			do(t, c, "GET", "https://other.example.com/api/x", basic(p), "")
		},
		"the address": func(t *testing.T, c *http.Client, p string) { do(t, c, "GET", "https://example.com/api/"+p, nil, "") },
		"the query": func(t *testing.T, c *http.Client, p string) {
			do(t, c, "GET", "https://example.com/api/x?k=%"+fmt.Sprintf("%x", p[0])+p[1:], nil, "")
		},
		"the body to another host": func(t *testing.T, c *http.Client, p string) {
			do(t, c, "POST", "https://other.example.com/", nil, strings.Repeat("x", 40_000)+p)
		},
		"the body": func(t *testing.T, c *http.Client, p string) {
			do(t, c, "POST", "https://example.com/api/x", nil, strings.Repeat("x", 40_000)+p)
		},
		"another method by a header": func(t *testing.T, c *http.Client, p string) {
			h := bearer(p)
			h.Set("X-HTTP-Method-Override", "DELETE")
			do(t, c, "GET", "https://example.com/api/x", h, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var heard strings.Builder
			g, c, placeholder := opened(t, true, func(w http.ResponseWriter, r *http.Request) { _ = r.Write(&heard) })
			ask(t, c, placeholder)
			_ = g.Close()
			if strings.Contains(heard.String(), "s3cret") || strings.Contains(heard.String(), basic(theSecret).Get("Authorization")) || heard.Len() == 0 {
				t.Errorf("the server was told %q", &heard)
			}
			calls, _ := g.Calls()
			if len(calls) != 1 || strings.Join(calls[0].Placeholders, "") != "TOKEN" || len(calls[0].Secrets) > 0 {
				t.Errorf("the ledger: %+v", calls)
			}
			if alarm := strings.Contains(name, "another host"); alarm != (len(g.Alarms()) == 1) || alarm != (calls[0].Alarm != "") {
				t.Errorf("alarms %q: %+v", g.Alarms(), calls)
			}
		})
	}
}

// TestPlaceholderInTheContextOfAModel: a model is told the placeholder that an agent
// has read out of its environment, and whoever looks hears of it.
func TestPlaceholderInTheContextOfAModel(t *testing.T) {
	t.Parallel()
	secret, err := gateway.NewSecret(proofbox.SecretUse{Name: "TOKEN"}, theSecret)
	if err != nil {
		t.Fatal(err)
	}
	var told string
	g := gateway.New(gateway.Config{
		Upload: 1 << 20, Secrets: []gateway.Secret{secret},
		Models: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			told = string(body)
		}),
	})
	for body, alarms := range map[string]int{"nothing of it": 0, strings.Repeat("x", 40_000) + secret.Placeholder: 1} {
		ask(t, g, fmt.Sprintf("POST /v1/x HTTP/1.1\r\nHost: models\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body))
		if told != body || len(g.Alarms()) < alarms {
			t.Errorf("the model was told %.20q, and there are %d alarms", told, len(g.Alarms()))
		}
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if len(g.Alarms()) != 1 || !strings.HasSuffix(g.Alarms()[0], ": POST models/v1/x") {
		t.Errorf("alarms: %q", g.Alarms())
	}
	calls, _ := g.Calls()
	for _, c := range calls {
		if (c.Sent > 40_000) != (len(c.Placeholders) == 1 && c.Alarm != "") {
			t.Errorf("the ledger: %+v", c)
		}
	}
}

// TestNotWithoutTLS: a secret for HTTPS is not sent in the open, nor to a name
// that nobody may connect to.
func TestNotWithoutTLS(t *testing.T) {
	t.Parallel()
	var heard strings.Builder
	g, c, placeholder := opened(t, false, func(w http.ResponseWriter, r *http.Request) { _ = r.Write(&heard) })
	do(t, c, "GET", "http://example.com/api/x", bearer(placeholder), "")
	if _, err := c.Get("https://" + placeholder + ".evil.com/"); err == nil {
		t.Error("a name that is not allowed was connected to")
	}
	_ = g.Close()
	if strings.Contains(heard.String(), "s3cret") || len(g.Alarms()) != 2 {
		t.Errorf("the server was told %q; %q", &heard, g.Alarms())
	}
}

// TestSecretComesBack has a server give the secret back in all ways that it has;
// without the veil, each shows it.
func TestSecretComesBack(t *testing.T) {
	t.Parallel()
	quoted, err := json.Marshal(theSecret)
	if err != nil {
		t.Fatal(err)
	}
	zip := func(w http.ResponseWriter) io.WriteCloser {
		w.Header().Set("Content-Encoding", "gzip")
		return gzip.NewWriter(w)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"in a piece": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "it is "+theSecret+".") },
		"byte by byte": func(w http.ResponseWriter, r *http.Request) {
			for _, b := range []byte(theSecret) {
				_, _ = w.Write([]byte{b})
				_ = http.NewResponseController(w).Flush()
			}
		},
		"with a length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(theSecret)))
			fmt.Fprint(w, theSecret)
		},
		"in a header": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Echo", "a "+theSecret+" b") },
		"in JSON":     func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"token": %s}`, quoted) },
		"in an address": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/?t="+url.QueryEscape(theSecret))
		},
		"in base64": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, base64.StdEncoding.EncodeToString([]byte(theSecret)))
		},
		"in base64, one byte later": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, base64.StdEncoding.EncodeToString([]byte("x"+theSecret+"y")))
		},
		"in base64, in the middle of more": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, base64.URLEncoding.EncodeToString([]byte("Bearer: "+theSecret+" and more")))
		},
		"in hexadecimal": func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%x", theSecret) },
		"after the body": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "a body")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set(http.TrailerPrefix+"X-Late", theSecret)
		},
		"before it": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", theSecret)
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
		},
		"in an error": func(w http.ResponseWriter, r *http.Request) { http.Error(w, theSecret, http.StatusTeapot) },
		"compressed":  func(w http.ResponseWriter, r *http.Request) { z := zip(w); fmt.Fprint(z, theSecret); z.Close() },
		"in a part of it": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(theSecret))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, veiled := range []bool{true, false} {
				g, c, placeholder := opened(t, true, answer)
				if !veiled {
					gateway.Unveil(g)
				}
				if got := everything(t, g, c, placeholder); shows(got) == veiled {
					t.Errorf("veiled %v: the box gets %q", veiled, got)
				}
			}
		})
	}
}

// base64ish is what could be base64.
var base64ish = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)

// shows says whether a text has the secret in it in one of its forms, or the better part of it.
func shows(text string) bool {
	for _, run := range base64ish.FindAllString(text, -1) {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if plain, _ := e.DecodeString(run); strings.Contains(string(plain), theSecret[len(theSecret)/2:]) { // up to where it is none
				return true
			}
		}
	}
	for _, form := range []string{theSecret, "s3cret/with", "s3cret%2F", base64.StdEncoding.EncodeToString([]byte(theSecret)), fmt.Sprintf("%x", theSecret)} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// everything asks for the secret, also in two parts, and gives all bytes that the
// box reads inside of its TLS.
func everything(t *testing.T, g *gateway.Gateway, c *http.Client, placeholder string) string {
	t.Helper()
	conn := visit(t, g)
	fmt.Fprint(conn, "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	const established = "HTTP/1.1 200 Connection established\r\n\r\n"
	if _, err := io.ReadFull(conn, make([]byte, len(established))); err != nil {
		t.Fatal(err)
	}
	secure := tls.Client(conn, &tls.Config{RootCAs: c.Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"})
	ask := "GET /api/x HTTP/1.1\r\nHost: example.com\r\nAuthorization: Bearer " + placeholder + "\r\nAccept-Encoding: gzip\r\n"
	fmt.Fprint(secure, ask+"Range: bytes=0-12\r\n\r\n"+ask+"Range: bytes=13-\r\nConnection: close\r\n\r\n")
	got, err := io.ReadAll(secure)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(dechunked(string(got)), "%22", `"`)
}

// dechunked leaves out what is between the chunks of one byte.
func dechunked(text string) string { return strings.ReplaceAll(text, "\r\n1\r\n", "") }

// TestUnreadableAnswer: what cannot be searched does not come in.
func TestUnreadableAnswer(t *testing.T) {
	t.Parallel()
	_, c, placeholder := opened(t, true, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		fmt.Fprint(w, "what is it?")
	})
	r, text := do(t, c, "GET", "https://example.com/api/x", bearer(placeholder), "")
	if r.StatusCode != http.StatusBadGateway || !strings.Contains(text, "compressed in a way") {
		t.Errorf("%s %q", r.Status, text)
	}
}

// TestRedactionInPieces: however a text is cut, the secret does not come out, and
// the rest does.
func TestRedactionInPieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.StringMatching(`[ab]{2,5}`).Draw(t, "from")
		pieces := rapid.SliceOf(rapid.StringMatching(`[abc]{0,6}`)).Draw(t, "pieces")
		got := gateway.Redact(pieces, from, "-")
		if want := strings.ReplaceAll(strings.Join(pieces, ""), from, "-"); got != want {
			t.Errorf("%q of %q gives %q, want %q", from, pieces, got, want)
		}
	})
}

// TestInspection: what is not listed is refused, in whatever spelling; without
// the rule it is answered.
func TestInspection(t *testing.T) {
	t.Parallel()
	to := proofbox.Destination{Host: "example.com", Port: 443}
	rule := proofbox.Inspected{Destination: to, Methods: []string{"GET"}, Paths: []string{"/v1/*", "/status"}}
	handler := func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello from %s", r.RequestURI) }
	g, c, _ := opened(t, true, handler, rule)
	_, twin, _ := opened(t, true, handler)
	for request, pass := range map[string]bool{
		"GET /v1/items": true, "GET /v1/items?q=/../x": true, "GET /status": true,
		"POST /v1/items": false, "GET /v2/items": false, "GET /status/x": false, "GET /v1": false, "GET /": false,
		"GET /v1/../v2": false, "GET /v1/%2e%2e/v2": false, "GET /v1/..%2fv2": false, "GET /v1//x": false,
		"GET /v1/./x": false, "GET /v1/..;/v2": false, `GET /v1/..\v2`: false, "GET /V1/items": false,
	} {
		method, path, _ := strings.Cut(request, " ")
		if r, text := do(t, c, method, "https://example.com"+path, nil, ""); (r.StatusCode == 200) != pass || !pass && !strings.Contains(text, "proofbox: ") {
			t.Errorf("%s: %s %q", request, r.Status, text)
		}
		if r, text := do(t, twin, method, "https://example.com"+path, nil, ""); r.StatusCode != 200 {
			t.Errorf("%s, without the rule: %s %q", request, r.Status, text)
		}
	}
	calls, _ := g.Calls()
	if len(calls) < 16 {
		t.Errorf("the ledger: %+v", calls)
	}
}

// TestAuthorityIsOfTheRunAlone: it vouches for the hosts that are inspected, and
// its key signs nothing that a client would take for another.
func TestAuthorityIsOfTheRunAlone(t *testing.T) {
	t.Parallel()
	a, err := gateway.NewAuthority([]proofbox.Inspected{{Destination: proofbox.Destination{Host: "example.com", Port: 443}}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.PEM())
	for name, good := range map[string]bool{"example.com": true, "evil.com": false, "127.0.0.1": false} {
		leaf := gateway.Leaf(t, a, name)
		_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name})
		if (err == nil) != good {
			t.Errorf("for %s: %v", name, err)
		}
	}
	if strings.Contains(string(a.PEM()), "PRIVATE") {
		t.Error("the key is with the certificate")
	}
}

// TestUntrusting: a client that does not trust the run, or names another host,
// gets nothing, and the record says why.
func TestUntrusting(t *testing.T) {
	t.Parallel()
	g, c, _ := opened(t, true, hello)
	trusting := c.Transport.(*http.Transport).TLSClientConfig.RootCAs
	for reason, c := range map[string]*http.Client{
		"does it trust the certificate": client(t, g, x509.NewCertPool(), ""),
		`TLS for "evil.com"`:            client(t, g, trusting, "evil.com"),
	} {
		if _, _, err := get(t, c, "https://example.com/"); err == nil {
			t.Errorf("it was answered, where the record should say %s", reason)
		}
		if !recorded(t.Context(), g, reason) {
			t.Errorf("the record does not say %s", reason)
		}
	}
}

// recorded waits for a reason to be in the ledger.
func recorded(ctx context.Context, g *gateway.Gateway, reason string) bool {
	for ctx.Err() == nil {
		calls, _ := g.Calls()
		for _, c := range calls {
			if strings.Contains(c.Reason, reason) {
				return true
			}
		}
	}
	return false
}

// TestNoSecretThatCannotBe refuses values that no header has or that are no
// secrets.
func TestNoSecretThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "short", "with a line end\n", "with\r\nX-Header: y", "nül-und-umlaut", "nul\x00nul-nul"} {
		if _, err := gateway.NewSecret(proofbox.SecretUse{Name: "TOKEN"}, value); err == nil || value != "" && strings.Contains(err.Error(), value) {
			t.Errorf("%q: %v", value, err)
		}
	}
}
