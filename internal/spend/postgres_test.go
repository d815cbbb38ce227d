package spend_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/spend"
	"proofbox/internal/spend/spendtest"
)

// TestServerCrashes: without its server nothing is held, and what was held before is
// there when the server has recovered, though it is set to promise nothing. What was
// settled meanwhile is written then. The twin has the session as the server is set.
func TestServerCrashes(t *testing.T) {
	t.Parallel()
	for name, weak := range map[string]bool{"durable": false, "weakened": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := own(t)
			if err := s.Start(hostile...); err != nil {
				t.Fatal(err)
			}
			l := open(t, s.URL("ledger"))
			spend.ByHand(l)
			holds := busy(t, l, 1000)
			if weak {
				if err := spend.Alter(t.Context(), l, `SET synchronous_commit = off`); err != nil {
					t.Fatal(err)
				}
			}
			last := claim(100, 0, 0, 0)
			last.Owner = "last"
			if _, err := l.Reserve(t.Context(), last); err != nil {
				t.Fatal(err)
			}
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			l.SettleSoon(holds[0].ID, 1)
			for range 2 {
				if _, err := l.Reserve(t.Context(), claim(500, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), "nothing is spent meanwhile") {
					t.Errorf("without the server: %v", err)
				}
			}
			if _, err := l.Reserve(t.Context(), claim(10, 0, 0, 0)); err == nil {
				t.Error("without the server something was taken from a lease")
			}
			if _, err := spend.Open(s.URL("ledger")); err == nil || !strings.Contains(err.Error(), "see that it runs") {
				t.Errorf("opened without the server: %v", err)
			}
			if err := s.Start(hostile...); err != nil {
				t.Fatal(err)
			}
			b := spent(t, l)
			if held := b.Held - spend.Free(l, "team"); b.Charged != 1 || held == 120 == weak {
				t.Errorf("after the crash: %+v, of which %d by calls", b, held)
			}
			sound(t, l)
		})
	}
}

// TestTransactionsTakeTurns has one process stop before its transaction ends, while
// another wants the same money. The twin has no lock.
func TestTransactionsTakeTurns(t *testing.T) {
	t.Parallel()
	for name, weak := range map[string]bool{"with the lock": false, "weakened": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := inPostgres.place(t)
			l, other, watcher := open(t, place), open(t, place), open(t, place)
			if err := l.SetCap(t.Context(), "team", proofbox.Total, 100); err != nil {
				t.Fatal(err)
			}
			spend.ByHand(other)
			if weak {
				spend.Unlock(l)
				spend.Unlock(other)
			}
			first, second := make(chan error, 1), make(chan error, 1)
			spend.CrashAt(l, func(name string) error {
				if name == "the end" {
					go func() {
						_, err := other.Reserve(t.Context(), claim(60, 0, 0, 0))
						second <- err
					}()
					awaitWaiting(t, watcher, place)
				}
				return nil
			})
			go func() {
				_, err := l.Reserve(t.Context(), claim(60, 0, 0, 0))
				spend.CrashAt(l, nil)
				first <- err
			}()
			err, errOther := <-first, <-second
			_, refused := errors.AsType[*spend.Refused](errOther)
			report, verifyErr := watcher.Verify(t.Context())
			if err != nil || verifyErr != nil || refused == weak || report.OK == weak {
				t.Errorf("held %v, %v; then %+v, %v", err, errOther, report, verifyErr)
			}
		})
	}
}

// awaitWaiting returns when a session of a ledger's waits for a lock.
func awaitWaiting(t *testing.T, watcher *spend.Ledger, place string) {
	u, err := url.Parse(place)
	if err != nil {
		t.Error(err)
		return
	}
	tables := `SELECT oid FROM pg_class WHERE relnamespace = '` + u.Query().Get("search_path") + `'::regnamespace`
	err = spend.Alter(t.Context(), watcher, `DO $$ BEGIN FOR i IN 1..2000 LOOP
		IF EXISTS (SELECT FROM pg_locks w JOIN pg_locks h ON h.pid = w.pid WHERE NOT w.granted AND h.relation IN (`+tables+`)) THEN RETURN; END IF;
		PERFORM pg_sleep(0.005); END LOOP; RAISE 'nobody waits'; END $$`)
	if err != nil {
		t.Error(err)
	}
}

// TestConnectionIsCutAtTheEnd: a transaction whose end is not heard of may be on the
// disk. Whoever asked for it has nothing, and what it has given back is not spent here.
func TestConnectionIsCutAtTheEnd(t *testing.T) {
	t.Parallel()
	place := inPostgres.place(t)
	p := between(t)
	l, other := open(t, p.place(t, place)), open(t, place)
	spend.ByHand(l)
	busy(t, l, 1000)
	p.cut.Store(true)
	if _, err := l.Reserve(t.Context(), claim(945, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), "nothing is spent meanwhile") {
		t.Fatalf("the end was not heard of: %v", err)
	}
	if b := spent(t, other); b.Held != 975 {
		t.Fatalf("the proxy has cut too early: %+v", b)
	}
	for range 2 {
		if h, err := l.Reserve(t.Context(), claim(10, 0, 0, 0)); err != nil || h.Lease != 0 {
			t.Errorf("held %+v, %v", h, err)
		}
	}
	if _, err := l.Reserve(t.Context(), claim(10, 0, 0, 0)); err == nil {
		t.Error("over the cap")
	}
	// What nobody knows of ends with its run, at its worst case.
	if n, err := other.Abandon(t.Context(), "run"); n != 6 || err != nil || spent(t, other).Charged != 995 {
		t.Errorf("abandoned %d, %v: %+v", n, err, spent(t, other))
	}
	sound(t, other)
}

// proxy stands between a ledger and its server.
type proxy struct {
	dir     string
	cut     atomic.Bool                // at the next COMMIT, when the server has done it
	replace func(answer []byte) []byte // nil where nothing is to be replaced
}

func between(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{dir: t.TempDir()}
	listener, err := net.Listen("unix", filepath.Join(p.dir, spendtest.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	to := server(t).Socket()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			all.Go(func() { p.carry(client, to) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	return p
}

// place is that of a ledger, through the proxy.
func (p *proxy) place(t *testing.T, place string) string {
	t.Helper()
	u, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	return spendtest.URL(p.dir, u.Query().Get("search_path"))
}

// carry carries until one of the two ends it.
func (p *proxy) carry(client net.Conn, to string) {
	defer client.Close()
	upstream, err := net.Dial("unix", to)
	if err != nil {
		return
	}
	var over atomic.Bool // nothing is answered any more
	done := make(chan bool)
	go func() {
		defer close(done)
		defer client.Close()
		for data := range chunks(upstream) {
			if over.Load() {
				return
			}
			if p.replace != nil {
				data = p.replace(data)
			}
			if _, err := client.Write(data); err != nil {
				return
			}
		}
	}()
	for data := range chunks(client) {
		if bytes.Contains(data, []byte("COMMIT")) && p.cut.CompareAndSwap(true, false) {
			over.Store(true)
		}
		if _, err := upstream.Write(data); err != nil {
			break
		}
	}
	_ = upstream.Close()
	<-done
}

// chunks are what comes from a connection until it ends.
func chunks(conn net.Conn) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		data := make([]byte, 1<<16)
		for {
			n, err := conn.Read(data)
			if err != nil || !yield(data[:n]) {
				return
			}
		}
	}
}

// TestDatabaseThatCannotBeUsed: each says what to do, and none says the password.
func TestDatabaseThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	const password = "hunter2correct"
	admin := open(t, inPostgres.place(t))
	for _, statement := range []string{`CREATE ROLE payer LOGIN`, `CREATE ROLE visitor LOGIN`} {
		if err := spend.Alter(t.Context(), admin, statement); err != nil {
			t.Fatal(err)
		}
	}
	later := inPostgres.place(t)
	if err := spend.Alter(t.Context(), open(t, later), `UPDATE ledger SET version = 1000`); err != nil {
		t.Fatal(err)
	}
	old := between(t)
	old.replace = func(answer []byte) []byte { // 15 is as long as 13
		return bytes.Replace(answer, []byte("\x00\x0615"), []byte("\x00\x0613"), 1)
	}
	unsafe, locked := own(t), own(t)
	if err := errors.Join(unsafe.Start("fsync=off"), locked.Start("hba_file="+locked.Rules("local all all scram-sha-256"))); err != nil {
		t.Fatal(err)
	}
	as := func(place, user string) string {
		return strings.Replace(place, "test@", user+":"+password+"@", 1)
	}
	for name, c := range map[string]struct{ place, says string }{
		"no server":       {as(spendtest.URL(t.TempDir(), "x"), "test"), "see that it runs"},
		"no host":         {"postgres://test:" + password + "@db.invalid/x", "see that it runs"},
		"wrong password":  {as(locked.URL("x"), "test"), `correct the user "test", or the password`},
		"no database":     {as(strings.Replace(server(t).URL("x"), "/postgres?", "/nowhere?", 1), "test"), "make that database"},
		"no rights":       {as(server(t).URL("visitors"), "visitor"), "GRANT CREATE ON DATABASE"},
		"an older server": {as(old.place(t, inPostgres.place(t)), "test"), "needs 14 or later"},
		"no fsync":        {as(unsafe.URL("x"), "test"), "set both to on"},
		"a later ledger":  {as(later, "test"), "version 1000"},
		"no URL":          {"postgres://test:" + password + "@[", "is no URL such as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := spend.Open(c.place)
			if err == nil {
				_ = l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(fmt.Sprintf("%+v", err), password) {
				t.Errorf("got %v, want %q in it", err, c.says)
			}
		})
	}
}

// TestPasswordIsNotSaid, in whatever way it was written into the URL, and however wrong.
func TestPasswordIsNotSaid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := "hunter2" + rapid.StringOfN(rapid.SampledFrom([]rune(`ab0@/:?#%[]&= \`)), 0, 8, -1).Draw(t, "special") + "correct"
		for _, format := range []string{"postgres://u:%s@127.0.0.1:1/x", "postgres://u@127.0.0.1:1/x?password=%s"} {
			place := fmt.Sprintf(format, secret)
			if _, err := spend.Open(place); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "correct") {
				t.Fatalf("%q: %v", place, err)
			}
		}
	})
}

// TestServerProvesWhoItIs, unless it is here or the URL says something else.
func TestServerProvesWhoItIs(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for place, want := range map[string]bool{
		"postgres://u:p@db.example/x":                   true,
		"postgres://u:p@db.example/x?connect_timeout=5": true,
		"postgres://u:p@localhost,db.example/x":         true,
		"postgres://u:p@192.0.2.1/x":                    true,
		"postgres://u:p@db.example/x?sslmode=disable":   false,
		"postgres://u:p@db.example/x?sslmode=require":   false,
		"postgres://u:sslmode=@db.example/x":            true,
		"postgres://u:p@localhost/x":                    false,
		"postgres://u:p@[::1]/x":                        false,
		"postgres://u:p@/x?host=/run/postgresql":        false,
	} {
		if got, err := spend.Configure(place); got != want || err != nil {
			t.Errorf("%s: %t, %v", place, got, err)
		}
	}
}

// TestHostsWhoseClocksDiffer: one day's money is there once, whatever hosts take for a
// day. The twin believes each host.
func TestHostsWhoseClocksDiffer(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*spend.Ledger, func() time.Time){"the server's clock": spend.SetHostClock, "weakened": spend.SetClock} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := inPostgres.place(t)
			held := 0
			for _, ahead := range []time.Duration{-30 * time.Hour, 0, 30 * time.Hour} {
				l := open(t, place)
				set(l, func() time.Time { return time.Now().Add(ahead) })
				if err := l.SetCap(t.Context(), "team", proofbox.Day, 100); err != nil {
					t.Fatal(err)
				}
				h, err := l.Reserve(t.Context(), claim(100, 0, 0, 0))
				if _, refused := errors.AsType[*spend.Refused](err); err != nil && !refused {
					t.Fatal(err)
				}
				if err == nil {
					held++
				}
				if off := time.Since(h.Time).Abs(); err == nil && name != "weakened" && off > time.Hour {
					t.Errorf("held at %s", h.Time)
				}
			}
			if weak := name == "weakened"; (held == 1) == weak {
				t.Errorf("a day's money was there %d times", held)
			}
		})
	}
}

// TestLedgerThatIsAnother: nothing is free because the tables have gone, or others are
// in their place.
func TestLedgerThatIsAnother(t *testing.T) {
	t.Parallel()
	for _, alter := range []string{`UPDATE ledger SET id = 'another'`, `DELETE FROM ledger`, `DROP TABLE ledger`} {
		l := fresh(t, inPostgres)
		if _, err := l.Reserve(t.Context(), claim(1, 0, 0, 0)); err != nil {
			t.Fatal(err)
		}
		if err := spend.Alter(t.Context(), l, alter); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Reserve(t.Context(), claim(1, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), "has gone") {
			t.Errorf("%s: %v", alter, err)
		}
	}
}

// TestManyOpenANewLedger at once, and it is one.
func TestManyOpenANewLedger(t *testing.T) {
	t.Parallel()
	place := inPostgres.place(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			l, err := spend.Open(place)
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			if _, err := l.Reserve(context.Background(), claim(1, 0, 0, 0)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if r := sound(t, open(t, place)); r.Open != 8 {
		t.Errorf("%d holds are open", r.Open)
	}
}
