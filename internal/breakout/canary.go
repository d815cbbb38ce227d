package breakout

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"proofbox/internal/box"
	"proofbox/internal/breakout/order"
)

// canary listens on the host where no box must get to, and remembers what it is
// told.
type canary struct {
	close func()

	mu   sync.Mutex
	told strings.Builder // guarded by mu
}

// maxTold bounds what a canary remembers.
const maxTold = 1 << 20

// hear takes what was said to the canary.
func (c *canary) hear(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told.Len() < maxTold {
		c.told.Write(p)
	}
}

// touched says whether the canary was told anything.
func (c *canary) touched() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told.Len() > 0
}

// hearTime is how long a canary may take to hear what was said to it without an
// answer.
const hearTime = 300 * time.Millisecond

// hears waits a while for a token.
func (c *canary) hears(token string) bool {
	for patience := time.After(hearTime); ; {
		if c.heard(token) {
			return true
		}
		select {
		case <-patience:
			return false
		case <-time.After(hearTime / 30):
		}
	}
}

func (c *canary) heard(token string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.told.String(), token)
}

// listen starts the canaries: on loopback, on an abstract socket and on one with
// a path.
func (s *stage) listen(note func(box.Object) error) error {
	abstract := "@proofbox-canary-" + newNonce()[:8]
	path := filepath.Join(s.flags["tmp"].path + ".sock")
	if err := note(box.Object{Kind: box.Socket, Name: path}); err != nil {
		return err
	}
	for _, l := range []struct{ name, network, address string }{
		{"tcp", "tcp4", "127.0.0.1:0"},
		{"tcp6", "tcp6", "[::1]:0"},
		{"abstract", "unix", abstract},
		{"socket", "unix", path},
	} {
		if err := s.listenOn(l.name, l.network, l.address); err != nil {
			return err
		}
	}
	if address, ok := ownAddress(); ok {
		s.words["lan-address"] = address
		if err := s.listenOn("lan", "tcp4", net.JoinHostPort(address, "0")); err != nil {
			return err
		}
	}
	// Not in the state folder, whose path can be longer than the address of a
	// socket: gVisor's twin then refuses to connect, whatever it is shown.
	for _, name := range []string{"control", "door"} {
		if err := s.listenIn(name, s.words["tmp-folder"]); err != nil {
			return err
		}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return fmt.Errorf("opening a canary to everybody: %w", err)
	}
	return s.listenPackets(note)
}

// ownAddress finds an address of this host in a network.
func ownAddress() (string, bool) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", false
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String(), true
		}
	}
	return "", false
}

// listenIn listens on a socket in a folder whose path may be longer than an
// address can be.
func (s *stage) listenIn(name, folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("starting the canary %s: %w", name, err)
	}
	defer dir.Close()
	if err := s.listenOn(name, "unix", fmt.Sprintf("/proc/self/fd/%d/%s.sock", dir.Fd(), name)); err != nil {
		return err
	}
	s.words[name] = filepath.Join(folder, name+".sock")
	if err := os.Chmod(s.words[name], 0o666); err != nil {
		return fmt.Errorf("opening a canary to everybody: %w", err)
	}
	return nil
}

func (s *stage) listenOn(name, network, address string) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return fmt.Errorf("starting the canary %s: %w", name, err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // its folder goes as a whole
	}
	c := &canary{close: func() { l.Close() }}
	s.canaries[name], s.words[name] = c, l.Addr().String()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			go c.converse(conn)
		}
	}()
	return nil
}

// converse hears one caller out, within a time.
func (c *canary) converse(conn net.Conn) {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(10*time.Second)) != nil {
		return
	}
	buf := make([]byte, 512)
	for {
		n, err := conn.Read(buf)
		c.hear(buf[:n])
		if err != nil {
			return
		}
		if _, err := conn.Write([]byte("heard\n")); err != nil {
			return
		}
	}
}

// listenPackets starts the canaries for what is no stream: packets, of UDP and of
// what only some hosts have, and a named pipe.
func (s *stage) listenPackets(note func(box.Object) error) error {
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("starting the canary udp: %w", err)
	}
	s.hearPackets("udp", l, true)
	if l, err := net.ListenPacket("ip4:icmp", "127.0.0.1"); err == nil { // root may
		s.hearPackets("icmp", l, false) // the kernel answers
	}
	if l, err := net.ListenPacket("ip6:ipv6-icmp", "::1"); err == nil {
		s.hearPackets("icmp6", l, false)
	}
	if f, err := listenToFrames("lo"); err == nil {
		c := &canary{close: func() { f.Close() }}
		s.canaries["arp"] = c
		go c.follow(f)
	}
	if l, err := listenLite(); err == nil { // some kernels have it
		s.hearPackets("udplite", l, true)
	}
	return s.listenToPipe(note)
}

// listenLite listens for UDP-Lite on loopback; see RFC 3828.
func listenLite() (net.PacketConn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDPLITE)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "udplite")
	defer f.Close() // the connection has a copy
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, err
	}
	return net.FilePacketConn(f)
}

func (s *stage) hearPackets(name string, l net.PacketConn, answer bool) {
	c := &canary{close: func() { l.Close() }}
	s.canaries[name], s.words[name] = c, l.LocalAddr().String()
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return // it was closed
			}
			c.hear(buf[:n])
			if !answer {
				continue
			}
			if _, err := l.WriteTo([]byte("heard\n"), from); err != nil {
				return
			}
		}
	}()
}

// listenToPipe listens at a named pipe in the host's /tmp that everybody may
// write to.
func (s *stage) listenToPipe(note func(box.Object) error) error {
	path := filepath.Join(s.words["tmp-folder"], "pipe")
	if err := note(box.Object{Kind: box.FilePath, Name: path}); err != nil {
		return err
	}
	err := unix.Mkfifo(path, 0o666)
	if err == nil {
		err = os.Chmod(path, 0o666)
	}
	var pipe *os.File
	if err == nil {
		pipe, err = os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0) // so that writers find a reader
	}
	if err != nil {
		return fmt.Errorf("starting the canary pipe: %w", err)
	}
	c := &canary{close: func() { pipe.Close() }}
	s.canaries["pipe"], s.words["pipe"] = c, path
	go c.follow(pipe)
	return nil
}

// follow hears what comes out of a file, until it is closed.
func (c *canary) follow(f *os.File) {
	buf := make([]byte, 512)
	for {
		n, err := f.Read(buf)
		if err != nil {
			return
		}
		c.hear(buf[:n])
	}
}

// listenToFrames hears the frames of ARP at an interface; see packet(7).
func listenToFrames(name string) (*os.File, error) {
	at, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	kind := order.NetworkShort(unix.ETH_P_ARP)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(kind))
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "frames")
	return f, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: kind, Ifindex: at.Index})
}
