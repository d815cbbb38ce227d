package door_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/yamux"

	"proofbox/internal/door"
)

// visited opens a door whose box listens for visits, and gives the address.
func visited(t *testing.T) (*door.Door, string) {
	t.Helper()
	d, _ := open(t)
	probe, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := probe.Addr().String()
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Setup(t.Context(), door.Setup{Visits: address}); err != nil {
		t.Fatal(err)
	}
	return d, address
}

// serve answers every visit.
func serve(d *door.Door, answer func(*door.Visit)) {
	for {
		v, err := d.Accept()
		if err != nil {
			return
		}
		go func() {
			defer v.Close()
			answer(v)
		}()
	}
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func TestVisitCarriesBothDirectionsAndBothEnds(t *testing.T) {
	t.Parallel()
	d, address := visited(t)
	go serve(d, func(v *door.Visit) {
		body, err := io.ReadAll(v) // until the box's own end
		fmt.Fprintf(v, "%d %v", len(body), err)
	})
	conn := dial(t, address)
	if _, err := conn.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "1048576 <nil>" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestVisitsAreBounded opens more connections than may be open at once: those
// beyond it wait, the box's commands do not, and all of them are served in the
// end.
func TestVisitsAreBounded(t *testing.T) {
	t.Parallel()
	d, address := visited(t)
	release := make(chan struct{})
	var mu sync.Mutex
	open, most, full := 0, 0, make(chan struct{})
	go serve(d, func(v *door.Visit) {
		mu.Lock()
		open++
		most = max(most, open)
		if open == door.MaxVisits {
			close(full)
		}
		mu.Unlock()
		<-release
		mu.Lock()
		open--
		mu.Unlock()
		_, _ = io.WriteString(v, "served")
	})
	const extra = 40
	var conns []*net.TCPConn
	for range door.MaxVisits + extra {
		conns = append(conns, dial(t, address))
	}
	<-full
	if exit, out, _ := shell(t, d, `echo alive`, nil); exit.Code != 0 || out != "alive\n" {
		t.Errorf("a command beside it: %+v, %q", exit, out)
	}
	close(release)
	for i, conn := range conns {
		if got, err := io.ReadAll(conn); string(got) != "served" || err != nil {
			t.Fatalf("connection %d got %q, %v", i, got, err)
		}
		_ = conn.Close() // what was read is what counts
	}
	mu.Lock()
	defer mu.Unlock()
	if most > door.MaxVisits {
		t.Errorf("%d visits were open at once", most)
	}
}

// TestVisitorWhoHasGoneIsNotWaitedFor has the host answer with more than
// fits to a process that has gone.
func TestVisitorWhoHasGoneIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	d, address := visited(t)
	written := make(chan error, 1)
	go serve(d, func(v *door.Visit) {
		if _, err := io.ReadFull(v, make([]byte, 1)); err != nil {
			written <- err
			return
		}
		_, err := v.Write(make([]byte, 8<<20))
		written <- err
	})
	conn := dial(t, address)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil && !strings.Contains(err.Error(), "closed") {
		t.Errorf("writing to who has gone: %v", err)
	}
}

// TestClosingEndsAWaitingRead: who serves visits can end them, whatever the box
// does.
func TestClosingEndsAWaitingRead(t *testing.T) {
	t.Parallel()
	d, address := visited(t)
	conn := dial(t, address)
	v, err := d.Accept()
	if err != nil {
		t.Fatal(err)
	}
	reading := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		buf := make([]byte, 1)
		_, err := v.Read(buf) // comes
		close(reading)
		if err == nil {
			_, err = v.Read(buf) // never comes
		}
		ended <- err
	}()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-reading
	_ = v.Close()
	if err := <-ended; err == nil {
		t.Error("a read of a closed visit has given something")
	}
}

// TestHostileBoxCannotHoldMoreThanItMay speaks for a box that ignores its side
// of the bound.
func TestHostileBoxCannotHoldMoreThanItMay(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	go func() {
		session, err := yamux.Server(theirs, hostile())
		if err != nil {
			return
		}
		hello, err := session.AcceptStream()
		if err != nil {
			return
		}
		var r door.Request
		if door.ReadFrame(hello, door.MaxFrame, &r) == nil {
			_ = door.WriteFrame(hello, door.Hello{Version: door.Version})
		}
		for { // never closes what it opens
			s, err := session.OpenStream()
			if err != nil {
				return
			}
			go func() { _, _ = s.Write([]byte("x")) }()
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d, err := door.Open(ctx, ours)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range door.MaxVisits {
		v, err := d.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = v.Close() // the box has not, so it still counts
	}
	more := make(chan error, 1)
	go func() {
		_, err := d.Accept()
		more <- err
	}()
	_ = d.Close()
	if err := <-more; err == nil {
		t.Error("a box has more visits than it may")
	}
}

// hostile does not wait for the host to take what it opens.
func hostile() *yamux.Config {
	c := door.Multiplexing()
	c.AcceptBacklog = 1 << 12
	return c
}
