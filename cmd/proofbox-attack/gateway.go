package main

import (
	"bufio"
	"crypto/tls"
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
	"proxy":     proxy,
	"proxy-tls": proxyTLS,
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
	_, err = io.WriteString(conn, strings.ReplaceAll(first, `\0`, "\x00")) // no argument has a NUL
	return conn, err
}

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
