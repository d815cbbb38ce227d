package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var sockets = map[string]attack{
	"socket":     socket,
	"dial-ports": dialPorts,
	"ask-runs":   askRuns,
}

// socket opens a socket: FAMILY TYPE PROTOCOL, as numbers.
func socket(args []string) order.Report {
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(args[i]); err != nil {
			fail("socket: %v", err)
		}
	}
	fd, err := unix.Socket(n[0], n[1], n[2])
	if err == nil && n[0] == unix.AF_NETLINK {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) // it is listed from then on
	}
	return without(err, "sockets of the family "+args[0], unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT)
}

// askRuns asks every socket that matches for what runs there are: PATTERN.
func askRuns(args []string) order.Report {
	found, err := filepath.Glob(args[0])
	r := said(err, "no such socket is to be seen")
	for _, path := range found {
		text, err := askAt(path)
		if err != nil {
			r.Said = err.Error()
			continue
		}
		r.Got = append(r.Got, text)
	}
	return r
}

// askAt asks at a socket, whose path may be longer than an address.
func askAt(path string) (string, error) {
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return "", err
	}
	conn, err := net.DialTimeout("unix", "./"+filepath.Base(path), answerTime)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	err = conn.SetDeadline(time.Now().Add(answerTime))
	if err == nil {
		_, err = io.WriteString(conn, "GET /v1/runs HTTP/1.0\r\n\r\n")
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxGot))
	if len(text) > 0 {
		err = nil
	}
	return string(text), err
}

// dialPorts tries the ports by which hosts are controlled, and one that listens:
// ADDRESS TEXT.
func dialPorts(args []string) order.Report {
	host, port, err := net.SplitHostPort(args[0])
	if err != nil {
		fail("dial-ports: %v", err)
	}
	var r order.Report
	for _, p := range []string{"2375", "2376", "10250", "2379", "4646", "8500", "49983", port} {
		r = dial([]string{"tcp", net.JoinHostPort(host, p), args[1]})
	}
	return r
}
