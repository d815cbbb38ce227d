package breakout

import (
	"bufio"
	"context"
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
	inside, outside, resolver *canary
	hosts                     map[*canary]string // where the canaries listen

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
	uploadBytes = 64 << 10
)

// Terms are what the box is allowed of the world.
func (w *World) Terms() proofbox.Egress {
	return proofbox.Egress{
		Allow:  []string{allowedName, allowedName + ":80", allowedName + ":8443", insideName, movingName, "*." + wildName},
		Upload: uploadBytes,
	}
}

// The addresses of the world that are outside; every other is inside.
var (
	ofAllowed = netip.MustParseAddr("93.184.216.34")
	ofOthers  = netip.MustParseAddr("93.184.216.99")
	loopback  = netip.MustParseAddr("127.0.0.1")
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
	case insideName:
		return []netip.Addr{loopback}, nil
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
	if a := to.Addr(); a == ofAllowed || a == ofOthers {
		there = w.outside
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
	go func() { _, _ = io.Copy(conn, out) }() // ends with either
	_, err = io.Copy(out, from)
	return err
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
	s.canaries["resolver"] = &canary{close: func() {}}
	s.world = &World{
		inside: s.canary("inside"), outside: s.canary("outside"), resolver: s.canary("resolver"),
		hosts: map[*canary]string{s.canary("inside"): s.words["inside"], s.canary("outside"): s.words["outside"]},
	}
	return nil
}
