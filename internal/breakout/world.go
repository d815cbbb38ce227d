package breakout

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"proofbox"
)

// World is what lies beyond the gateway of a trial's box: names that lead
// anywhere, and canaries at all addresses. Nothing of it is outside of this host.
// It reads names as the libraries of C do, which are what a gateway must not
// leave them to.
type World struct {
	inside, outside, resolver, secure *canary
	hosts                             map[*canary]string // where the canaries listen
	roots                             *x509.CertPool     // of the one that speaks TLS
	secret                            string

	mu    sync.Mutex
	moves int // how often the name that moves was resolved, guarded by mu
}

// What a trial's box may connect to: a few names of the world, and of each not
// more than some bytes.
const (
	allowedName = "allowed.example.com"
	deniedName  = "denied.example.com"
	insideName  = "inside.example.com" // leads to the host's loopback
	movingName  = "moves.example.com"  // and this one every other time
	wildName    = "wild.example.com"
	securedName = "secured.example.com" // is inspected, and a secret is for it
	uploadBytes = 64 << 10
)

// An allowed name that leads to a cloud's metadata, and the variable of the
// secret, which the box has a placeholder of.
const (
	metadataName = "metadata.example.com"
	secretName   = "TRIAL_SECRET"
)

// Terms are what the box is allowed of the world.
func (w *World) Terms() proofbox.Egress {
	return proofbox.Egress{
		Allow:   []string{allowedName, allowedName + ":80", allowedName + ":8443", insideName, movingName, metadataName, "*." + wildName},
		Inspect: []proofbox.Inspection{{Host: securedName, Methods: []string{"GET"}, Paths: []string{"/open/*"}}},
		Upload:  uploadBytes,
	}
}

// Secrets are what the box uses, and must not have.
func (w *World) Secrets() []proofbox.Secret {
	return []proofbox.Secret{{Name: secretName, Host: securedName}}
}

// Secret is the value of the one that there is.
func (w *World) Secret() string { return w.secret }

// Roots vouch for the hosts of the world that speak TLS.
func (w *World) Roots() *x509.CertPool { return w.roots }

// The addresses of the world that are outside; every other is inside.
var (
	ofAllowed = netip.MustParseAddr("93.184.216.34")
	ofOthers  = netip.MustParseAddr("93.184.216.99")
	ofSecured = netip.MustParseAddr("93.184.216.50")
	loopback  = netip.MustParseAddr("127.0.0.1")
	metadata  = netip.MustParseAddr("169.254.169.254")
)

// Resolve gives the addresses of a name, as a library of C reads it.
func (w *World) Resolve(_ context.Context, name string) ([]netip.Addr, error) {
	w.resolver.hear([]byte(name))
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if a, ok := numeric(strings.Trim(name, "[]")); ok {
		return []netip.Addr{a}, nil
	}
	switch name {
	case allowedName:
		return []netip.Addr{ofAllowed}, nil
	case securedName:
		return []netip.Addr{ofSecured}, nil
	case insideName, "host.docker.internal":
		return []netip.Addr{loopback}, nil
	case metadataName, "metadata.google.internal":
		return []netip.Addr{metadata}, nil
	case movingName:
		return []netip.Addr{w.move()}, nil
	}
	return []netip.Addr{ofOthers}, nil
}

// move gives the address of the name that moves.
func (w *World) move() netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moves++
	if w.moves%2 == 0 {
		return loopback
	}
	return ofOthers
}

// numeric reads an address in each notation of inet_aton(3).
func numeric(text string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap(), true
	}
	parts := strings.Split(text, ".")
	var sum uint64
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 0, 32)
		if err != nil || len(parts) > 4 {
			return netip.Addr{}, false
		}
		if i < len(parts)-1 {
			n <<= 8 * (3 - i)
		}
		sum += n
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}), true
}

// Dial connects to whoever is at an address.
func (w *World) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	there := w.inside
	switch to.Addr() {
	case ofAllowed, ofOthers:
		there = w.outside
	case ofSecured:
		there = w.secure
	}
	return new(net.Dialer).DialContext(ctx, "tcp", w.hosts[there])
}

// Serve takes a connection of a twin to its proxy, which connects wherever it is
// told to.
func (w *World) Serve(conn net.Conn) {
	go func() {
		defer conn.Close()
		_ = w.obey(conn) // whoever breaks off has what it wanted, or has not
	}()
}

func (w *World) obey(conn net.Conn) error {
	from := bufio.NewReader(conn)
	if first, err := from.Peek(1); err == nil && first[0] == socks5 {
		return w.obeySOCKS(conn, from)
	}
	line, err := from.ReadString('\n')
	if err != nil {
		return err
	}
	method, rest, _ := strings.Cut(line, " ")
	target, _, _ := strings.Cut(rest, " ")
	if method != "CONNECT" {
		_, target, _ = strings.Cut(target, "://")
		target, _, _ = strings.Cut(target, "/")
	}
	out, err := w.connect(target)
	if err != nil {
		return err
	}
	defer out.Close()
	if method == "CONNECT" {
		err = establish(from, conn)
	} else {
		_, err = io.WriteString(out, line)
	}
	if err != nil {
		return err
	}
	return join(conn, from, out)
}

// join carries what two ends say to each other, until the first has no more to say.
func join(conn net.Conn, from io.Reader, out net.Conn) error {
	go func() { _, _ = io.Copy(conn, out) }() // ends with either
	_, err := io.Copy(out, from)
	return err
}

// The first byte of SOCKS5, and the kind of address that is a name; RFC 1928.
const (
	socks5  = 5
	domain5 = 3
)

// obeySOCKS connects by SOCKS5 to a name and a port.
func (w *World) obeySOCKS(conn net.Conn, from *bufio.Reader) error {
	var methods [3]byte // one: none
	if _, err := io.ReadFull(from, methods[:]); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{socks5, 0}); err != nil {
		return err
	}
	var head [5]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return err
	}
	rest := make([]byte, int(head[4])+2)
	if _, err := io.ReadFull(from, rest); err != nil {
		return err
	}
	if head[3] != domain5 {
		return fmt.Errorf("%d is no name", head[3])
	}
	name, port := rest[:head[4]], binary.BigEndian.Uint16(rest[head[4]:])
	out, err := w.connect(net.JoinHostPort(string(name), strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := conn.Write([]byte{socks5, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		return err
	}
	return join(conn, from, out)
}

// connect connects to a host and a port as a careless program reads them.
func (w *World) connect(target string) (net.Conn, error) {
	if _, after, ok := strings.Cut(target, "@"); ok {
		target = after
	}
	host, digits, err := net.SplitHostPort(target)
	if err != nil {
		host, digits = target, "80"
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("the port of %q: %w", target, err)
	}
	addresses, err := w.Resolve(context.Background(), host)
	if err != nil {
		return nil, err
	}
	if host == movingName {
		addresses = []netip.Addr{loopback} // it has looked before
	}
	return w.Dial(context.Background(), netip.AddrPortFrom(addresses[0], uint16(port)))
}

// establish reads the rest of a request for a tunnel and answers it.
func establish(from *bufio.Reader, to io.Writer) error {
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			_, err := io.WriteString(to, "HTTP/1.1 200 OK\r\n\r\n")
			return err
		}
	}
}

// makeWorld makes what is beyond the gateway.
func (s *stage) makeWorld() error {
	for _, name := range []string{"inside", "outside"} {
		if err := s.listenOn(name, "tcp4", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	roots, err := s.listenSecurely()
	if err != nil {
		return err
	}
	s.canaries["resolver"] = &canary{close: func() {}}
	s.world = &World{
		inside: s.canary("inside"), outside: s.canary("outside"), resolver: s.canary("resolver"), secure: s.canary("secure"),
		hosts:  map[*canary]string{},
		roots:  roots,
		secret: "canary--" + newNonce(), // as long as a placeholder
	}
	for _, name := range []string{"inside", "outside", "secure"} {
		s.world.hosts[s.canary(name)] = s.words[name]
	}
	return nil
}
