package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var egress = map[string]attack{
	"advertise":     advertise,
	"dial":          dial,
	"dial-mapped":   dialMapped,
	"dial-any":      dialAny,
	"dial-protocol": dialProtocol,
	"reach":         reach,
	"ping":          ping,
	"forge":         forge,
	"frame":         frame,
	"kill-and-dial": killAndDial,
	"take-port":     takePort,
	"serve":         serve,
	"unproxied":     unproxied,
}

// answerTime is how long the other end of a connection has to answer.
const answerTime = 3 * time.Second

// dial connects and says something: NETWORK ADDRESS TEXT. It waits for an
// answer, so that what was said has been heard when it reports.
func dial(args []string) order.Report {
	if dir, base := filepath.Split(args[1]); args[0] == "unix" && dir != "" {
		// An address has 108 bytes; from its folder any path fits.
		if err := os.Chdir(dir); err != nil {
			return said(err, "")
		}
		args[1] = "./" + base
	}
	conn, err := net.DialTimeout(args[0], args[1], answerTime)
	if err != nil {
		return said(err, "")
	}
	return converse(conn, args[2])
}

func converse(conn net.Conn, text string) order.Report {
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return said(err, "")
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return said(err, "")
	}
	_, err := conn.Read(make([]byte, 64))
	return said(err, "connected and was answered")
}

// destination reads ADDRESS:PORT.
func destination(text string) netip.AddrPort {
	to, err := netip.ParseAddrPort(text)
	if err != nil {
		fail("%v", err)
	}
	return to
}

// target gives an address in the form of a system call.
func target(to netip.AddrPort) (family int, address unix.Sockaddr) {
	if to.Addr().Is6() {
		return unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
}

// dialMapped connects by a socket of IPv6 to an address of IPv4: ADDRESS TEXT.
func dialMapped(args []string) order.Report {
	to := destination(args[0])
	mapped := netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port())
	return dialBare(mapped, unix.SOCK_STREAM, 0, args[1])
}

// dialAny connects to a port at the address 0.0.0.0, which is this host's own:
// ADDRESS TEXT.
func dialAny(args []string) order.Report {
	return dialBare(netip.AddrPortFrom(netip.IPv4Unspecified(), destination(args[0]).Port()), unix.SOCK_STREAM, 0, args[1])
}

// dialProtocol connects by a protocol with a number: stream|dgram PROTOCOL ADDRESS
// TEXT.
func dialProtocol(args []string) order.Report {
	protocol, err := strconv.Atoi(args[1])
	if err != nil {
		fail("dial-protocol: %v", err)
	}
	kind := unix.SOCK_STREAM
	if args[0] == "dgram" {
		kind = unix.SOCK_DGRAM
	}
	return dialBare(destination(args[2]), kind, protocol, args[3])
}

func dialBare(to netip.AddrPort, kind, protocol int, text string) order.Report {
	family, address := target(to)
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return without(err, fmt.Sprintf("the protocol %d", protocol), unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT)
	}
	limit := unix.NsecToTimeval(answerTime.Nanoseconds())
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
	if err := unix.Connect(fd, address); err != nil {
		return said(err, "")
	}
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return said(err, "")
	}
	_, err = unix.Read(fd, make([]byte, 64))
	return said(err, "connected and was answered")
}

// refusalTime is how long an address has to refuse a connection at once, in
// milliseconds.
const refusalTime = 200

// reach begins to connect and does not wait for an answer: tcp|udp ADDRESS.
func reach(args []string) order.Report {
	kind := unix.SOCK_STREAM
	if args[0] == "udp" {
		kind = unix.SOCK_DGRAM
	}
	family, address := target(destination(args[1]))
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		err = unix.Connect(fd, address)
	}
	if err == unix.EINPROGRESS {
		err = nil
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, refusalTime); n > 0 {
			err = refusal(fd)
		}
	}
	return without(err, "a way to "+args[1], unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EAFNOSUPPORT, unix.EADDRNOTAVAIL, unix.ECONNREFUSED)
}

// refusal is why a connection did not come about; nil where it did.
func refusal(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	return errorOf(unix.Errno(n))
}

// ping sends an echo request with a text and waits for the answer: ADDRESS TEXT.
// See RFC 792.
func ping(args []string) order.Report {
	conn, err := net.Dial("ip4:icmp", args[0])
	if err != nil {
		return said(err, "")
	}
	packet := append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, args[1]...)
	binary.BigEndian.PutUint16(packet[2:], sum(packet))
	return converse(conn, string(packet))
}

// sum is the checksum of RFC 1071.
func sum(p []byte) uint16 {
	var total uint32
	for ; len(p) > 1; p = p[2:] {
		total += uint32(binary.BigEndian.Uint16(p))
	}
	if len(p) == 1 {
		total += uint32(p[0]) << 8
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return ^uint16(total)
}

// forge sends a packet of UDP with a header of its own making, and waits for the
// answer at an ordinary socket: ADDRESS TEXT. See raw(7).
func forge(args []string) order.Report {
	to := destination(args[0])
	ordinary, err := net.ListenUDP("udp4", &net.UDPAddr{IP: to.Addr().AsSlice()})
	if err != nil {
		return said(err, "")
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return said(err, "")
	}
	from := ordinary.LocalAddr().(*net.UDPAddr).AddrPort()
	family, address := target(netip.AddrPortFrom(to.Addr(), 0))
	if err := unix.Sendto(fd, datagram(from, to, args[1]), 0, address); err != nil {
		return said(err, fmt.Sprint(family))
	}
	if err := ordinary.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return said(err, "")
	}
	_, err = ordinary.Read(make([]byte, 64))
	return said(err, "sent it and was answered")
}

// datagram makes a packet of UDP over IPv4; the kernel fills in what is 0 of the
// first header. See RFC 791 and RFC 768.
func datagram(from, to netip.AddrPort, text string) []byte {
	const first, second, version, protocol = 20, 8, 0x45, 17
	p := make([]byte, first+second, first+second+len(text))
	p[0], p[8], p[9] = version, 64, protocol
	copy(p[12:], from.Addr().Unmap().AsSlice())
	copy(p[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(p[first:], from.Port())
	binary.BigEndian.PutUint16(p[first+2:], to.Port())
	binary.BigEndian.PutUint16(p[first+4:], uint16(second+len(text)))
	return append(p, text...)
}

// takePort takes a port and keeps it: tcp|udp ADDRESS.
func takePort(args []string) order.Report {
	if args[0] == "udp" {
		_, err := net.ListenPacket("udp4", args[1])
		return said(err, "has the port")
	}
	_, err := net.Listen("tcp4", args[1])
	return said(err, "has the port")
}

// serve says a text to everybody who connects: NETWORK ADDRESS TEXT. It reports
// the port that it has.
func serve(args []string) order.Report {
	l, err := net.Listen(args[0], args[1])
	if err != nil {
		return said(err, "")
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, args[2]) // whoever goes away does not matter
			_ = conn.Close()
		}
	}()
	r := order.Report{Said: "serves"}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		r.Got = []string{strconv.Itoa(tcp.Port)}
	}
	return r
}

// frame sends a frame of ARP to everybody at an interface: NAME TEXT. See
// packet(7) and RFC 826.
func frame(args []string) order.Report {
	at, err := net.InterfaceByName(args[0])
	if err != nil {
		return said(err, "")
	}
	kind := order.NetworkShort(unix.ETH_P_ARP)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(kind))
	if err != nil {
		return said(err, "")
	}
	const everybody, nobody = "\xff\xff\xff\xff\xff\xff", "\x02\x00\x00\x00\x00\x01"
	packet := binary.BigEndian.AppendUint16([]byte(everybody+nobody), unix.ETH_P_ARP)
	err = unix.Sendto(fd, append(packet, args[1]...), 0, &unix.SockaddrLinklayer{Protocol: kind, Ifindex: at.Index})
	return said(err, "sent it")
}

// advertise says to an address that this is a router, in a packet with a text:
// ADDRESS TEXT. See RFC 4861.
func advertise(args []string) order.Report {
	conn, err := net.Dial("ip6:ipv6-icmp", args[0])
	if err != nil {
		return said(err, "")
	}
	const routerAdvertisement, rest = 134, 14 // bytes before the options
	packet := make([]byte, 2+rest, 2+rest+len(args[1]))
	packet[0] = routerAdvertisement
	_, err = conn.Write(append(packet, args[1]...)) // the kernel sums it up
	return said(err, "sent it")
}

// unproxied asks for a path of a host by HTTP without any proxy, at an address
// that it knows itself: ADDRESS NAME PATH.
func unproxied(args []string) order.Report {
	client := http.Client{Timeout: answerTime, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, args[0])
		},
	}}
	answer, err := client.Get("http://" + args[1] + "/" + args[2])
	if err != nil {
		return said(err, "")
	}
	return said(answer.Body.Close(), "was answered")
}

// killAndDial kills the box's first process, which carries what is said to the
// proxy, and connects then: ADDRESS TEXT.
func killAndDial(args []string) order.Report {
	_ = unix.Kill(1, unix.SIGKILL)
	return dial([]string{"tcp", args[0], args[1]})
}
