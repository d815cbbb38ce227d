package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"proofbox/internal/breakout/order"
)

var egress = map[string]attack{
	"dial": dial,
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
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return said(err, "")
	}
	if _, err := io.WriteString(conn, args[2]); err != nil {
		return said(err, "")
	}
	_, err = conn.Read(make([]byte, 64))
	return said(err, "connected and was answered")
}
