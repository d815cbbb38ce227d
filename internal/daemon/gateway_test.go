package daemon_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/daemon"
)

// elsewhere is a network with one server in it, at every address.
type elsewhere struct{ server string }

func (e elsewhere) Resolve(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
}

func (e elsewhere) Dial(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", e.server)
}

// meet has a daemon's boxes find a server of TLS at any name, and trust it.
func meet(d *daemon.Daemon, s *httptest.Server) {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	daemon.Reach(d, elsewhere{s.Listener.Addr().String()})
	daemon.Trust(d, roots)
}

// fetch asks a box's Python for an address, and says what came of it.
const fetch = `python3 -c '
import sys, urllib.request
for url in sys.argv[1:]:
    try: print(url, urllib.request.urlopen(url).read().decode())
    except Exception as e: print(url, e)
' `

func TestGatewayIsTheOnlyWayOut(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s%s", r.Host, r.URL.Path)
	}))
	defer s.Close()
	for _, wall := range walls {
		t.Run(string(wall), func(t *testing.T) {
			d := open(t)
			daemon.Reach(d, elsewhere{s.Listener.Addr().String()})
			r := run(t, d, proofbox.Spec{
				Wall: wall, Workspace: proofbox.Workspace{Original: t.TempDir()},
				Egress: proofbox.Egress{Allow: []string{"example.com:80"}},
			}, fetch+`http://example.com/x http://evil.com/y https://evil.com/z; unset http_proxy HTTP_PROXY all_proxy ALL_PROXY; `+fetch+`http://93.184.216.34/ http://`+s.Listener.Addr().String())
			for _, want := range []string{
				"http://example.com/x hello from example.com/x\n",
				"http://evil.com/y HTTP Error 403: Forbidden\n",
				"https://evil.com/z <urlopen error Tunnel connection failed: 403 proofbox: evil.com:443 is not allowed; start the run with --allow evil.com:443>\n",
				"http://93.184.216.34/ <urlopen error [Errno 101] Network is unreachable>\n",
				"http://" + s.Listener.Addr().String() + " <urlopen error [Errno 111] Connection refused>\n",
			} {
				if !strings.Contains(r.stdout, want) {
					t.Errorf("it does not say %q: %q, %q", want, r.stdout, r.stderr)
				}
			}
			var got []string
			for _, c := range r.Egress {
				got = append(got, fmt.Sprintf("%s %s %s:%d%s %d", c.Verdict, c.Method, c.Host, c.Port, c.Path, c.Status))
			}
			const want = "allowed GET example.com:80/x 200, denied GET evil.com:80/y 0, denied CONNECT evil.com:443 0"
			if strings.Join(got, ", ") != want {
				t.Errorf("the record lists %q, want %q", strings.Join(got, ", "), want)
			}
		})
	}
}

// TestDefaultIsDeny: a box that declares nothing is refused at once, and the
// record says so.
func TestDefaultIsDeny(t *testing.T) {
	for _, wall := range walls {
		t.Run(string(wall), func(t *testing.T) {
			r := run(t, open(t), proofbox.Spec{Wall: wall, Workspace: proofbox.Workspace{Original: t.TempDir()}}, fetch+`http://registry.npmjs.org/`)
			if !strings.Contains(r.stdout, "HTTP Error 403") || len(r.Egress) != 1 || r.Egress[0].Verdict != "denied" {
				t.Errorf("%q, %q; %+v", r.stdout, r.stderr, r.Egress)
			}
		})
	}
}
