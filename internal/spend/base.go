package spend

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"
)

// base is the database that a ledger is in. All that is said of a ledger stands on two
// promises of it: there is one transaction at a time, whoever has opened the ledger and
// on whatever host, and what is committed is on a disk.
type base interface {
	// prepare makes the tables, or adds to them what they have not.
	prepare(ctx context.Context, conn *sql.Conn) error
	// begin begins a transaction, when every other is over, and gives the time.
	begin(t *tx) (time.Time, error)
	// commit ends it. An error means that it may be on the disk, or not.
	commit(t *tx) error
	// present says why the ledger is not where it was opened, as far as that can be
	// known without asking the database.
	present() error
	// explain says what cannot be used, and what to do about it.
	explain(err error) error

	// allot gives the first of some numbers for holds that nobody else gets.
	allot(t *tx) (int64, error)
	// names is the table (key, value) of the names that are a parameter, see list.
	names(parameter, as string) string
	// modelOf is the name of the model in a call's detail; empty where it has none.
	modelOf(detail string) string
}

// find finds the database of a place, see [Open].
func find(place string) (base, *sql.DB, error) {
	if isURL(place) {
		return findPostgres(place)
	}
	return findFile(place)
}

// unfit is why a ledger cannot be used as it is, or where it is. It says what to do.
type unfit string

func (u unfit) Error() string { return string(u) }

// connect sees to it that there is a connection.
func (l *Ledger) connect(ctx context.Context) (err error) {
	if l.conn != nil {
		return nil
	}
	l.statements = map[string]*sql.Stmt{}
	if l.conn, err = l.db.Conn(ctx); err != nil {
		return fmt.Errorf("reaching the ledger: %w", err)
	}
	return nil
}

// disconnect gives the connection up, and what was begun on it.
func (l *Ledger) disconnect() {
	if l.conn != nil {
		_ = l.conn.Raw(func(any) error { return driver.ErrBadConn }) // so that nobody gets it again
		l.conn = nil
	}
}

// release gives the connection back. It is not used after that.
func (l *Ledger) release() error {
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}

// time is the database's, as far as it is known here. The caller has mu.
func (l *Ledger) time() time.Time { return l.now().Add(l.skew) }
