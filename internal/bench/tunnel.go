package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"proofbox"
	"proofbox/internal/gateway"
)

// tunnelBytes is what goes through each way.
const tunnelBytes = 2 << 30

// here is a network with one host in it, which the gateway takes for the
// public's.
type here struct{ address string }

func (h here) Resolve(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
}

func (h here) Dial(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", h.address)
}

// tunnel measures sending through the gateway, beside a proxy that only copies.
func (b *bench) tunnel(ctx context.Context) error {
	sink, err := accepting(func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		_, _ = c.Write([]byte{1})
	})
	if err != nil {
		return err
	}
	defer sink.Close()
	bare, err := accepting(func(c net.Conn) {
		out, err := net.Dial("tcp", sink.Addr().String())
		if err != nil {
			return
		}
		defer out.Close()
		_, _ = io.Copy(out, c)
		_ = out.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(c, out)
	})
	if err != nil {
		return err
	}
	defer bare.Close()
	g := gateway.New(gateway.Config{
		Allow: []proofbox.Destination{{Host: "example.com", Port: 8443}}, Upload: 1 << 40, Network: here{sink.Addr().String()},
	})
	defer g.Close()
	through, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer through.Close()
	go func() {
		for {
			c, err := through.Accept()
			if err != nil {
				return
			}
			g.Serve(c)
		}
	}()
	var ours, theirs []time.Duration
	for range 3 {
		took, err := pour(bare.Addr().String(), "")
		if err != nil {
			return err
		}
		theirs = append(theirs, took)
		if took, err = pour(through.Addr().String(), "CONNECT example.com:8443 HTTP/1.1\r\nHost: example.com\r\n\r\n"); err != nil {
			return err
		}
		ours = append(ours, took)
	}
	rate := func(all []time.Duration) float64 { return tunnelBytes / middle(all).Seconds() / (1 << 30) }
	b.add(target{"sending through a tunnel, beside a plain proxy", rate(theirs) / rate(ours), "x", 1 / 0.6, fmt.Sprintf("%.2f GiB/s, a plain proxy %.2f GiB/s", rate(ours), rate(theirs))})
	return context.Cause(ctx)
}

// accepting serves connections.
func accepting(serve func(net.Conn)) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l, nil
}

// pour sends a lot, until the other end says that it has it all.
func pour(to, first string) (time.Duration, error) {
	conn, err := net.Dial("tcp", to)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if first != "" {
		if _, err := io.WriteString(conn, first); err != nil {
			return 0, err
		}
		in, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
		if err != nil || in.StatusCode != http.StatusOK {
			return 0, errors.Join(err, fmt.Errorf("no tunnel: %v", in))
		}
	}
	began, piece := time.Now(), make([]byte, 1<<20)
	for range tunnelBytes / len(piece) {
		if _, err := conn.Write(piece); err != nil {
			return 0, err
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return 0, err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return time.Since(began), err
}
