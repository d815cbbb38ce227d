package main

import (
	"net"
	"strconv"

	"golang.org/x/sys/unix"

	"proofbox/internal/breakout/order"
)

var sockets = map[string]attack{
	"socket":     socket,
	"dial-ports": dialPorts,
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
