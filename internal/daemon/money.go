package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"proofbox/internal/spend"
)

// Files of the state folder: the ledger of spending, or a mark that it is in the
// database that PROOFBOX_DATABASE names.
const (
	spendFile = "spend.db"
	spendMark = "spend.elsewhere"
)

// money is the ledger of spending, opened when it is first asked for.
type money struct {
	home     string
	database string // the URL of a PostgreSQL; empty means the home's own file

	mu     sync.Mutex
	ledger *spend.Ledger
	closed bool
}

// open opens the ledger. Where it cannot, the next one tries again: a database may be
// back by then.
func (m *money) open() (*spend.Ledger, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errors.New("the daemon is closed")
	}
	if m.ledger != nil {
		return m.ledger, nil
	}
	if err := m.settled(); err != nil {
		return nil, err
	}
	ledger, err := spend.Open(m.place())
	if err == nil && m.database != "" {
		err = os.WriteFile(filepath.Join(m.home, spendMark), nil, 0o600)
	}
	if err != nil {
		return nil, err
	}
	m.ledger = ledger
	return ledger, nil
}

func (m *money) place() string {
	if m.database != "" {
		return m.database
	}
	return filepath.Join(m.home, spendFile)
}

// settled refuses to keep one home's accounts in two ledgers: the caps of one do not
// know of the other.
func (m *money) settled() error {
	file, mark := filepath.Join(m.home, spendFile), filepath.Join(m.home, spendMark)
	switch {
	case m.database == "" && exists(mark):
		return fmt.Errorf("what is spent here is in a database: set PROOFBOX_DATABASE to its URL, or remove %q to begin anew without it", mark)
	case m.database != "" && exists(file):
		return fmt.Errorf("what was spent here is in %q, whose caps the database that PROOFBOX_DATABASE names does not know: "+
			"move that file away, and set the caps again with `proofbox spend cap`", file)
	}
	return nil
}

// exists says whether anything was ever spent here.
func (m *money) exists() bool {
	return m.database != "" || exists(filepath.Join(m.home, spendFile)) || exists(filepath.Join(m.home, spendMark))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (m *money) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.ledger == nil {
		return nil
	}
	return m.ledger.Close()
}
