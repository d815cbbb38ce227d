package spend

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// sqliteFile is a ledger in a file, for the processes of one host.
type sqliteFile struct {
	path string
	file os.FileInfo // what was opened there
}

func findFile(path string) (base, *sql.DB, error) {
	// What is committed is on the disk.
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return nil, nil, fmt.Errorf("opening the ledger %q: %w", path, err)
	}
	return &sqliteFile{path: path}, db, nil
}

func (f *sqliteFile) prepare(ctx context.Context, conn *sql.Conn) (err error) {
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, undone := conn.ExecContext(ctx, `ROLLBACK`)
			err = errors.Join(err, undone)
		}
	}()
	var has int
	var old bool
	err = conn.QueryRowContext(ctx, `SELECT user_version, EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'events') FROM pragma_user_version`).Scan(&has, &old)
	if err == nil {
		err = unknown(has)
	}
	if err == nil && has == 0 && old {
		_, err = conn.ExecContext(ctx, `ALTER TABLE events ADD COLUMN lease INTEGER NOT NULL DEFAULT 0`)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, schema+fmt.Sprintf(`PRAGMA user_version = %d; COMMIT`, version))
	}
	if err == nil {
		f.file, err = os.Stat(f.path)
	}
	return err
}

// begin takes the one lock for writing.
func (f *sqliteFile) begin(t *tx) (time.Time, error) {
	_, err := t.write("the beginning", `BEGIN IMMEDIATE`)
	return t.now(), err
}

func (f *sqliteFile) commit(t *tx) error { return t.plain(`COMMIT`) }

// present also finds what is written to a file without a name, which nobody will find.
func (f *sqliteFile) present() error {
	now, err := os.Stat(f.path)
	if err == nil && !os.SameFile(now, f.file) {
		err = errors.New("there is another file in its place")
	}
	if err != nil {
		return fmt.Errorf("the ledger %q has gone, and nothing can be spent without it: %w; start proofbox again to begin a new one", f.path, err)
	}
	return nil
}

func (f *sqliteFile) explain(err error) error {
	return fmt.Errorf("the ledger %q cannot be used: %w", f.path, err)
}

func (f *sqliteFile) allot(t *tx) (int64, error) {
	if _, err := t.write("numbers", `INSERT INTO sqlite_sequence (name, seq) SELECT 'holds', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'holds')`); err != nil {
		return 0, err
	}
	if _, err := t.write("numbers", `UPDATE sqlite_sequence SET seq = seq + $1 WHERE name = 'holds'`, int64(numbers)); err != nil {
		return 0, err
	}
	var last int64
	_, err := t.one(`SELECT seq FROM sqlite_sequence WHERE name = 'holds'`, nil, []any{&last})
	return last - numbers + 1, err
}

func (f *sqliteFile) names(parameter, as string) string {
	return `json_each(` + parameter + `) ` + as
}

func (f *sqliteFile) modelOf(detail string) string {
	return `CASE WHEN json_valid(` + detail + `) THEN COALESCE(json_extract(` + detail + `, '$.model'), '') ELSE '' END`
}
