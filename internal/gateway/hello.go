package gateway

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"proofbox"
	"proofbox/internal/policy"
)

const (
	handshakeRecord = 0x16 // the first byte of TLS; RFC 8446, section 5.1
	encryptedHello  = 0xfe0d
	maxHello        = 64 << 10
)

// opening reads what a client sends first and says whether it fits the
// destination. A client that speaks TLS must name the host that it asked for,
// in the open. Port 443 carries nothing else; other ports do.
func opening(client *buffered, to proofbox.Destination) ([]byte, error) {
	first, err := client.reader.Peek(1)
	if errors.Is(err, io.EOF) {
		return nil, nil // it only wanted to listen
	}
	if err != nil {
		return nil, fmt.Errorf("hearing what the box wants: %w", err)
	}
	if first[0] == handshakeRecord {
		return serverName(client, to)
	}
	if to.Port == policy.DefaultPort {
		return nil, &denial{http.StatusForbidden, "port 443 is for TLS, and this is something else"}
	}
	return nil, nil
}

// serverName reads a TLS client's first message and holds the name in it
// against the destination. It gives the bytes that it has read.
func serverName(client *buffered, to proofbox.Destination) ([]byte, error) {
	if err := client.SetReadDeadline(time.Now().Add(headerTime)); err != nil {
		return nil, fmt.Errorf("hearing what the box wants: %w", err)
	}
	hello, read, err := readHello(client)
	if err != nil {
		return nil, err
	}
	name, err := policy.Name(hello.ServerName)
	switch {
	case hello.ServerName == "":
		return nil, &denial{http.StatusForbidden, "TLS without a server name could be for anybody"}
	case err != nil || name != to.Host:
		return nil, &denial{http.StatusForbidden, fmt.Sprintf("TLS for %s in a connection to %s", quoted(hello.ServerName), to.Host)}
	case slices.Contains(hello.Extensions, encryptedHello):
		return nil, &denial{http.StatusForbidden, "TLS with an encrypted server name could be for anybody"}
	}
	return read, client.SetReadDeadline(time.Time{})
}

// errHeard ends a handshake that was only begun to read its first message.
var errHeard = errors.New("heard")

// readHello has crypto/tls read the first message of a client, without an
// answer.
func readHello(r io.Reader) (*tls.ClientHelloInfo, []byte, error) {
	var read bytes.Buffer
	var hello *tls.ClientHelloInfo
	err := tls.Server(readOnly{io.TeeReader(io.LimitReader(r, maxHello), &read)}, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			hello = h
			return nil, errHeard
		},
	}).Handshake()
	if hello == nil {
		return nil, nil, &denial{http.StatusForbidden, "this is no TLS that can be understood: " + plain(err)}
	}
	return hello, read.Bytes(), nil
}

// readOnly is a connection of which only reading is meant.
type readOnly struct{ io.Reader }

func (readOnly) Write(p []byte) (int, error)      { return len(p), nil }
func (readOnly) Close() error                     { return nil }
func (readOnly) LocalAddr() net.Addr              { return nil }
func (readOnly) RemoteAddr() net.Addr             { return nil }
func (readOnly) SetDeadline(time.Time) error      { return nil }
func (readOnly) SetReadDeadline(time.Time) error  { return nil }
func (readOnly) SetWriteDeadline(time.Time) error { return nil }
