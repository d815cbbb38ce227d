// Package gateway is the one way out of a box. It takes the connections that
// the processes of a box have made to their proxy, decides by name and port
// where they may go, and keeps a ledger of what was asked for, what left the
// box and what was refused.
//
// The box has no network; what it says here is all that it can do, and is
// hostile. A name is resolved on the host, once for each connection, and only
// an address that belongs to the public is connected to. Whatever names the
// destination a second time (the server name in TLS, the host in HTTP) must
// name the same one.
package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"slices"
	"sync"
	"time"

	"proofbox"
	"proofbox/internal/policy"
)

// Bounds of what one connection out of a box may take of the gateway.
const (
	headerTime  = 30 * time.Second // from a request's first byte to the end of its head
	maxHeader   = 64 << 10         // bytes of a request's head
	idleTime    = 5 * time.Minute  // between two requests of one connection
	connectTime = 20 * time.Second // for resolving a name and connecting
)

// Config is what one run's gateway decides by.
type Config struct {
	// Allow lists where connections may go; none is an answer, too.
	Allow []proofbox.Destination
	// Inspect lists those of them whose connections are opened, for which
	// Authority vouches to the box. Secrets are put into requests to them.
	Inspect   []proofbox.Inspected
	Authority *Authority
	Secrets   []Secret
	// Stage lists those whose requests Hold keeps where they change something.
	Stage []proofbox.Destination
	Hold  Hold
	// Upload is how many bytes may be sent to each destination, whatever
	// allowed it.
	Upload proofbox.Size
	// Models answers requests that are to the gateway itself; nil where there is
	// nothing to answer.
	Models http.Handler
	// Incoming looks at what comes to the box by a road, and at what it tells a
	// model; nil where nobody does. What the reader does not give does not come
	// through.
	Incoming func(road string, r io.Reader) io.Reader
	// Ended hears of calls that are over, as many as the ledger has room for; nil
	// where nobody does.
	Ended func(c proofbox.Call, at time.Time)
	// Network is how the world is reached; nil means as this host does.
	Network Network
	// Roots are whom the gateway trusts itself; nil means whom this host does.
	Roots *x509.CertPool
}

// Gateway is the way out of one box.
type Gateway struct {
	config    Config
	ledger    ledger
	budgets   budgets
	denied    denied
	vault     *vault
	internal  func(netip.Addr) string // notPublic, but for the weakened twin of a test
	transport *http.Transport
	forwarder *httputil.ReverseProxy
	server    *http.Server
	arrivals  *arrivals
	gits      repositories
	over      context.Context // ends with the gateway
	end       context.CancelFunc

	mu   sync.Mutex // held to begin work, and to end the gateway
	work sync.WaitGroup
}

// New makes the gateway of one run.
func New(c Config) *Gateway {
	if c.Network == nil {
		c.Network = hostNetwork{}
	}
	if c.Incoming == nil {
		c.Incoming = func(_ string, r io.Reader) io.Reader { return r }
	}
	g := &Gateway{config: c, ledger: ledger{ended: c.Ended}, arrivals: newArrivals(), vault: newVault(c.Secrets), budgets: budgets{limit: int64(c.Upload)}, internal: notPublic}
	g.over, g.end = context.WithCancel(context.Background())
	g.transport = &http.Transport{
		DialContext:        g.dialText,
		TLSClientConfig:    &tls.Config{RootCAs: c.Roots},
		DisableCompression: true, // what the box asked for is what it gets
		IdleConnTimeout:    time.Minute,
		// The box's own requests bound how many there are.
		MaxIdleConnsPerHost: 8,
	}
	g.forwarder = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      g.transport,
		FlushInterval:  -1, // a stream stays one
		ModifyResponse: g.measureResponse,
		ErrorHandler:   forwardingFailed,
		ErrorLog:       quiet,
	}
	g.server = &http.Server{
		Handler:           g,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          quiet,
	}
	g.work.Go(func() { _ = g.server.Serve(g.arrivals) }) // ends with Close
	return g
}

// quiet drops what net/http has to say about nonsense from a box.
var quiet = log.New(io.Discard, "", 0)

// Serve takes one connection out of the box and returns at once.
func (g *Gateway) Serve(conn net.Conn) { g.arrivals.add(conn) }

// Close ends every connection and waits until nothing of the gateway is left
// but its ledger.
func (g *Gateway) Close() error {
	g.mu.Lock()
	g.end()
	g.mu.Unlock()
	err := g.server.Close()
	g.work.Wait()
	g.transport.CloseIdleConnections()
	return err
}

// Calls gives the ledger: what was asked for, in that order. The number is of
// the calls that found no room in it.
func (g *Gateway) Calls() ([]proofbox.Call, int) { return g.ledger.list() }

// Alarms tells where the placeholders of secrets were sent that are not meant to
// go there.
func (g *Gateway) Alarms() []string {
	g.ledger.mu.Lock()
	defer g.ledger.mu.Unlock()
	return slices.Clone(g.ledger.alarms)
}

// begin says whether the gateway is still there for one more piece of work, which
// must then be told done.
func (g *Gateway) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over.Err() != nil {
		return false
	}
	g.work.Add(1)
	return true
}

// ServeHTTP answers one request to the proxy.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.begin() {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	defer g.work.Done()
	switch {
	case r.Method == http.MethodConnect:
		g.connect(w, r)
	case r.URL.IsAbs():
		g.forward(w, r)
	case g.config.Models != nil:
		g.models(w, r)
	default:
		http.Error(w, "proofbox: this is the way out of the box, a proxy; it is nobody to ask for "+quoted(r.URL.Path), http.StatusNotFound)
	}
}

// denial is why something was not done, for the box and for the ledger.
type denial struct {
	status int // of HTTP
	reason string
}

func (d *denial) Error() string { return d.reason }

// deniedAs gives an error as a denial. What went wrong on the host's side is
// said in words that do not describe the host.
func deniedAs(err error) *denial {
	if d, ok := errors.AsType[*denial](err); ok {
		return d
	}
	return &denial{http.StatusBadGateway, "the destination cannot be reached: " + plain(err)}
}

// decide says whether the rules allow a destination.
func (g *Gateway) decide(to proofbox.Destination) error {
	if _, ok := policy.Allowed(g.config.Allow, to.Host, to.Port); !ok {
		return &denial{http.StatusForbidden, to.String() + " is not allowed; start the run with --allow " + to.String()}
	}
	return g.denied.decide(to)
}

// arrivals is a listener of connections that are handed over.
type arrivals struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newArrivals() *arrivals {
	return &arrivals{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (a *arrivals) add(conn net.Conn) {
	select {
	case a.conns <- conn:
	case <-a.done:
		_ = conn.Close() // nobody is here any more
	}
}

// Accept implements [net.Listener].
func (a *arrivals) Accept() (net.Conn, error) {
	select {
	case conn := <-a.conns:
		return conn, nil
	case <-a.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (a *arrivals) Close() error {
	a.once.Do(func() { close(a.done) })
	return nil
}

// Addr implements [net.Listener].
func (a *arrivals) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }
