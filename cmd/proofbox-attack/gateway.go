package main

import (
	"bufio"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"proofbox/internal/breakout/order"
)

var gateways = map[string]attack{
	"proxy":        proxy,
	"proxy-tls":    proxyTLS,
	"proxy-ech":    proxyECH,
	"proxy-opened": proxyOpened,
	"proxy-socks":  proxySOCKS,
	"proxy-stream": proxyStream,
	"relay":        relay,
	"spoof-hosts":  spoofHosts,
}

// ask connects to the box's proxy and says something to it.
func ask(first string) (net.Conn, error) {
	address, err := url.Parse(os.Getenv("HTTP_PROXY"))
	if err != nil {
		return nil, err
	}
	if address.Host == "" {
		return nil, errors.New("there is no proxy")
	}
	conn, err := net.DialTimeout("tcp", address.Host, answerTime)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	_, err = io.WriteString(conn, meant(first))
	return conn, err
}

// meant is an argument with what no argument can have: the NUL that is written as
// \0, and what the box has in its environment.
func meant(text string) string { return os.ExpandEnv(strings.ReplaceAll(text, `\0`, "\x00")) }

// tunnel asks the proxy for one.
func tunnel(first string) (net.Conn, error) {
	conn, err := ask(first)
	if err != nil {
		return nil, err
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		return nil, errors.New(r.Status)
	}
	return conn, nil
}

// proxy says something to the proxy and, where that gives a tunnel, something
// more into it, after so many bytes of no meaning: FIRST THEN BYTES.
func proxy(args []string) order.Report {
	first, then := args[0], args[1]
	before, err := strconv.Atoi(args[2])
	if err != nil {
		fail("proxy: %v", err)
	}
	if then == "" {
		conn, err := ask(first)
		if err != nil {
			return said(err, "")
		}
		answer, err := bufio.NewReader(conn).ReadString('\n')
		return said(err, "was answered "+strconv.Quote(answer))
	}
	conn, err := tunnel(first)
	if err != nil {
		return said(err, "")
	}
	// Whoever hears it answers as it comes; what is answered is not read before
	// the end, so it must fit the sockets.
	return converse(conn, strings.Repeat(".", before)+then)
}

// proxyTLS speaks TLS through the proxy: FIRST SERVER-NAME TEXT. The text is a
// protocol that it offers, so that the host hears it in the first message.
func proxyTLS(args []string) order.Report {
	conn, err := tunnel(args[0])
	if err != nil {
		return said(err, "")
	}
	client := tls.Client(conn, &tls.Config{ServerName: args[1], NextProtos: []string{args[2]}, InsecureSkipVerify: true})
	return said(client.Handshake(), "shook hands")
}

// proxyECH is proxyTLS with another name encrypted in the first message: FIRST
// SERVER-NAME HIDDEN-NAME. See draft-ietf-tls-esni.
func proxyECH(args []string) order.Report {
	conn, err := tunnel(args[0])
	if err != nil {
		return said(err, "")
	}
	list, err := encryptedNames(args[1])
	if err != nil {
		return said(err, "")
	}
	client := tls.Client(conn, &tls.Config{ServerName: args[2], MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: list, InsecureSkipVerify: true})
	return said(client.Handshake(), "shook hands")
}

// encryptedNames is what a server would publish for names to be encrypted, in a
// message that names another host in the open.
func encryptedNames(open string) ([]byte, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	const version, kem, kdf, aead = 0xfe0d, 0x20, 1, 1 // X25519, HKDF-SHA256, AES-128-GCM
	contents := []byte{1}                              // the key's number
	contents = binary.BigEndian.AppendUint16(contents, kem)
	contents = sized(contents, key.PublicKey().Bytes())
	contents = sized(contents, []byte{0, kdf, 0, aead})
	contents = append(contents, 0, byte(len(open))) // no bound on the name's length
	contents = append(contents, open...)
	contents = sized(contents, nil) // no extensions
	return sized(nil, sized(binary.BigEndian.AppendUint16(nil, version), contents)), nil
}

// sized adds a value with its length before it.
func sized(to, value []byte) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(value))), value...)
}

// proxyOpened asks for something in TLS through the proxy, and reports the
// answer: FIRST METHOD PATH [HEADER…]. Without a Host among the headers it is the
// one of the tunnel.
func proxyOpened(args []string) order.Report {
	conn, err := tunnel(args[0])
	if err != nil {
		return said(err, "")
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(args[0], "CONNECT "), ":")
	client := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true})
	headers := append(args[3:], "Connection: close", "")
	if !strings.HasPrefix(headers[0], "Host: ") {
		headers = append([]string{"Host: " + host}, headers...)
	}
	request := args[1] + " " + args[2] + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n"
	if _, err := io.WriteString(client, meant(request)); err != nil {
		return said(err, "")
	}
	answer, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		return said(err, "")
	}
	const enough = 4 << 10
	text, err := io.ReadAll(io.LimitReader(answer.Body, enough))
	r := said(err, "was answered "+answer.Status)
	r.Got = []string{string(text)}
	return r
}

// proxySOCKS connects through the proxy by SOCKS5 and says something: HOST PORT
// TEXT. See RFC 1928.
func proxySOCKS(args []string) order.Report {
	port, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		fail("proxy-socks: %v", err)
	}
	conn, err := ask("\x05\x01\x00")
	if err != nil {
		return said(err, "")
	}
	if _, err := io.ReadFull(conn, make([]byte, 2)); err != nil {
		return said(err, "")
	}
	name := meant(args[0])
	request := append([]byte{5, 1, 0, 3, byte(len(name))}, name...)
	if _, err := conn.Write(binary.BigEndian.AppendUint16(request, uint16(port))); err != nil {
		return said(err, "")
	}
	if _, err := io.ReadFull(conn, make([]byte, 10)); err != nil {
		return said(err, "")
	}
	return converse(conn, args[2])
}

// proxyStream says a text into a tunnel, again and again: FIRST TEXT.
func proxyStream(args []string) order.Report {
	conn, err := tunnel(args[0])
	if err != nil {
		return said(err, "")
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return said(err, "")
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
	go func() {
		const pause = 20 * time.Millisecond
		for range time.Tick(pause) {
			if _, err := io.WriteString(conn, args[1]); err != nil {
				return
			}
		}
	}()
	return order.Report{Said: "has a tunnel"}
}

// relay asks for a tunnel by way of a proxy in the box: FIRST TEXT.
func relay(args []string) order.Report {
	address, err := url.Parse(os.Getenv("HTTP_PROXY"))
	if err != nil {
		return said(err, "")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return said(err, "")
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go carry(conn, address.Host)
		}
	}()
	if err := os.Setenv("HTTP_PROXY", "http://"+l.Addr().String()); err != nil {
		return said(err, "")
	}
	return proxy([]string{args[0], args[1], "0"})
}

// carry passes on what is said to a connection.
func carry(conn net.Conn, to string) {
	defer conn.Close()
	out, err := net.DialTimeout("tcp", to, answerTime)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { _, _ = io.Copy(conn, out) }() // ends with either
	_, _ = io.Copy(out, conn)
}

// spoofHosts writes a file of hosts by which a name leads to an address, and
// speaks TLS with whom it leads to: ADDRESS NAME TEXT. Where the file cannot be
// written it takes the address, as a program with a file of its own would.
func spoofHosts(args []string) order.Report {
	address, name := args[0], args[1]
	written := os.WriteFile("/etc/hosts", []byte(address+" "+name+"\n"), 0o644)
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if found, err := net.DefaultResolver.LookupHost(ctx, name); written == nil && err == nil && len(found) > 0 {
		address = found[0]
	}
	return proxyTLS([]string{"CONNECT " + address + ":443 HTTP/1.1\r\nHost: " + name + "\r\n\r\n", name, args[2]})
}
