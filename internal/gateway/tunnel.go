package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"proofbox"
)

// connect answers CONNECT (RFC 9110, section 9.3.6): with a tunnel, or with the
// reason why there is none.
func (g *Gateway) connect(w http.ResponseWriter, r *http.Request) {
	entry := g.ledger.open(proofbox.Call{Method: r.Method})
	to, out, err := g.prepare(r.RequestURI)
	entry.name(to, r.RequestURI)
	entry.alarm(g.vault.spotted(r.RequestURI))
	conn, client, hijackErr := http.NewResponseController(w).Hijack()
	if hijackErr != nil {
		panic(fmt.Sprintf("gateway: taking over a connection of HTTP/1: %v", hijackErr))
	}
	defer conn.Close()
	if err != nil {
		d := deniedAs(err)
		entry.close(d)
		refuse(conn, d)
		return
	}
	_, err = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	switch {
	case err != nil:
		_ = out.Close() // the client has gone
	case out != nil:
		err = g.tunnel(&buffered{conn, client.Reader}, out, to, entry)
	case to.Port == webPort:
		g.serve(&buffered{conn, client.Reader}, to, false)
	default:
		err = g.open(&buffered{conn, client.Reader}, to)
	}
	if out != nil || err != nil { // else the requests in it have entries of their own
		entry.close(err)
	}
}

// webPort is where CONNECT gives no tunnel, but the next requests of the
// connection are read, as they are where connections are opened.
const webPort = 80

// prepare decides about a CONNECT and connects; it gives no connection where the
// requests of the client will need some of their own.
func (g *Gateway) prepare(target string) (proofbox.Destination, net.Conn, error) {
	to, err := destination(target, 0)
	if err != nil {
		return to, nil, err
	}
	if to.Port == webPort || g.inspection(to) != nil {
		return to, nil, g.decide(to)
	}
	// Not in the request's context: a client that has said all it wants to say
	// may still want to hear the answer.
	out, err := g.reach(g.over, to)
	return to, out, err
}

// refuse answers a CONNECT with a reason, where clients show it: in the status
// line, and in the body.
func refuse(conn net.Conn, d *denial) {
	body := "proofbox: " + d.reason + "\n"
	// Whoever does not want to hear it has gone.
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d proofbox: %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		d.status, d.reason, len(body), body)
}

// buffered is a connection of which some was read already.
type buffered struct {
	net.Conn
	reader *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) {
	n, err := b.reader.Read(p)
	return n, passing(err)
}

// passing has an error of a deadline be the standard library's, which says that it
// passes: between two requests a server of HTTP breaks a read off by one, and TLS takes
// a connection with any other error for broken.
func passing(err error) error {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return os.ErrDeadlineExceeded
	}
	return err
}

// again is the connection before something was read from it.
func (b *buffered) again(read []byte) *buffered {
	return &buffered{b.Conn, bufio.NewReader(io.MultiReader(bytes.NewReader(read), b.reader))}
}

// tunnel carries bytes both ways until both have ended. Nothing is sent before
// the client has shown that it speaks to whom it asked for.
func (g *Gateway) tunnel(client *buffered, out net.Conn, to proofbox.Destination, entry *entry) error {
	cut := func() {
		_ = client.Close()
		_ = out.Close() // and with them, both directions
	}
	defer cut()
	stop := context.AfterFunc(g.over, cut)
	defer stop()
	var back sync.WaitGroup
	var refused *denial
	back.Go(func() {
		_, err := io.Copy(entry.received(client.Conn), out) // either may break off
		var denied bool
		if refused, denied = errors.AsType[*denial](err); denied {
			cut() // the client may have nothing more to say, and wait
		}
		closeWrite(client.Conn)
	})
	err := send(entry.sent(out), client, to)
	if err != nil {
		cut()
	} else {
		closeWrite(out)
	}
	back.Wait()
	if refused != nil {
		return refused
	}
	return err
}

// send carries what the client sends. That one of them breaks off is how tunnels
// end and no error.
func send(out io.Writer, client *buffered, to proofbox.Destination) error {
	first, err := opening(client, to)
	if err != nil {
		return err
	}
	if len(first) > 0 {
		_, err = out.Write(first)
	}
	if err == nil {
		_, err = io.Copy(out, client)
	}
	if d, ok := errors.AsType[*denial](err); ok {
		return d
	}
	return nil
}

// closeWrite passes on the end of one direction.
func closeWrite(conn net.Conn) {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // the other end may be gone
		return
	}
	_ = conn.Close()
}
