package gateway_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/gateway"
)

// TestDenyEndsWhatIsOpen: a stream that goes on is ended, by tunnel and by plain
// HTTP, another destination's goes on, and no new one begins.
func TestDenyEndsWhatIsOpen(t *testing.T) {
	t.Parallel()
	for scheme, secure := range map[string]bool{"https": true, "http": false} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			more := make(chan string)
			s, w := web(t, secure, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "begun ")
				_ = http.NewResponseController(w).Flush()
				if r.Host == "example.com" {
					<-r.Context().Done()
					return
				}
				select {
				case text := <-more:
					_, _ = io.WriteString(w, text)
				case <-r.Context().Done():
				}
			})
			w.names["www.example.com"] = w.names["example.com"]
			port, trusted := ":80", x509.NewCertPool()
			if secure {
				port, trusted = ":443", roots(s)
			}
			g := start(t, w, 1<<20, "example.com"+port, "www.example.com"+port)
			c := client(t, g, trusted, "")
			open := func(host string) io.ReadCloser {
				r, err := c.Get(scheme + "://" + host + "/")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(r.Body, make([]byte, len("begun "))); err != nil {
					t.Fatal(err)
				}
				return r.Body
			}
			ended, goesOn := open("example.com"), open("www.example.com")
			defer ended.Close()
			defer goesOn.Close()
			g.Deny(proofbox.Destination{Host: "example.com"})
			if rest, err := io.ReadAll(ended); err == nil || len(rest) > 0 {
				t.Errorf("the stream goes on with %q: %v", rest, err)
			}
			more <- "more"
			if rest, err := io.ReadAll(goesOn); err != nil || string(rest) != "more" {
				t.Errorf("another destination's stream: %q, %v", rest, err)
			}
			if secure {
				if _, _, err := get(t, c, "https://example.com/"); err == nil || !strings.Contains(err.Error(), "taken away") {
					t.Errorf("a new connection: %v", err)
				}
			} else if status, body, err := get(t, c, "http://example.com/"); status != http.StatusForbidden || !strings.Contains(body, "taken away") {
				t.Errorf("a new request: %d %s, %v", status, body, err)
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
			calls, _ := g.Calls()
			if calls[0].Verdict != gateway.Cut || calls[1].Verdict != gateway.Allowed || calls[2].Verdict != gateway.Denied || !strings.Contains(calls[0].Reason, "taken away") {
				t.Errorf("the ledger: %+v", calls)
			}
		})
	}
}
