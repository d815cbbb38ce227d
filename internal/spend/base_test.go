package spend_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"proofbox/internal/spend/spendtest"
)

// base is a database that ledgers are in.
type base struct {
	name string
	// place is that of a new ledger.
	place func(t testing.TB) string
	// quick is a statement after which nobody waits for the disk: the host does not crash.
	quick string
}

var (
	inFile = base{
		name: "file", quick: `PRAGMA synchronous = off`,
		place: func(t testing.TB) string { return filepath.Join(t.TempDir(), "spend.db") },
	}
	inPostgres = base{
		name: "postgres", quick: `SET synchronous_commit = off`,
		place: func(t testing.TB) string { return server(t).URL(fmt.Sprintf("ledger_%d", schemas.Add(1))) },
	}
	schemas atomic.Int64
)

// onEach runs a test on each database.
func onEach(t *testing.T, test func(t *testing.T, on base)) {
	t.Parallel()
	for _, on := range []base{inFile, inPostgres} {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			test(t, on)
		})
	}
}

// shared is the server of all tests that do not stop it.
var shared struct {
	once sync.Once
	*spendtest.Server
	err error
}

func server(t testing.TB) *spendtest.Server {
	t.Helper()
	shared.once.Do(func() {
		if shared.Server, shared.err = spendtest.New(""); shared.err == nil {
			shared.err = shared.Start(hostile...)
		}
	})
	missing(t, shared.err)
	return shared.Server
}

// hostile are settings of a server under which a ledger that relies on what is usual
// would lose holds, or read what is no longer so. The last two are for speed.
var hostile = []string{"synchronous_commit=off", "wal_writer_delay=10s", "default_transaction_isolation=repeatable read", "max_connections=500", "autovacuum=off"}

// own is a server for a test that stops it.
func own(t testing.TB) *spendtest.Server {
	t.Helper()
	s, err := spendtest.New("")
	missing(t, err)
	t.Cleanup(func() {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// missing skips a test where there is no server, unless PROOFBOX_REQUIRE names it.
func missing(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, spendtest.ErrMissing) && !slices.Contains(strings.Split(os.Getenv("PROOFBOX_REQUIRE"), ","), "postgres") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
