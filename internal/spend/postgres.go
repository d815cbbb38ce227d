package spend

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgres is a ledger in a PostgreSQL, for the processes of many hosts. They take
// turns: a transaction begins with a lock of the one row of the table ledger, and under
// READ COMMITTED every statement after it sees what all before have committed. So there
// is nothing to serialize, no deadlock and nothing to try again. The time is that of the
// server, which all hosts share.
type postgres struct {
	config *pgx.ConnConfig
	id     string // of the ledger, so that another one in its place is found out
	lock   string // how the row is read
}

// Bounds of a server.
const (
	// oldest is the first version that was maintained when this was written.
	oldest = 14
	// turnTime is how long somebody waits for others' transactions.
	turnTime = 30 * time.Second
	// idleLimit is how long a host that is gone, or stopped, can keep others waiting.
	idleLimit = 10 * time.Second
	// answerTime is how long a transaction may take, however slow the server.
	answerTime = time.Minute
)

// schemaName is where the tables are, if the URL does not say (search_path).
const schemaName = "proofbox"

func isURL(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

func findPostgres(url string) (base, *sql.DB, error) {
	config, err := configure(url)
	if err != nil {
		return nil, nil, err
	}
	return &postgres{config: config, lock: "FOR UPDATE"}, stdlib.OpenDB(*config, stdlib.OptionAfterConnect(checkOrClose)), nil
}

// errURL never says what is wrong with a URL: its password could be part of that.
var errURL = errors.New("what is in PROOFBOX_DATABASE is no URL such as postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full; " +
	"each of @ / ? # % in a password is written as %40 %2F %3F %23 %25, and the URL is not shown because of it")

// configure reads a URL. A server on another host has to prove who it is, unless the
// URL says something else: whoever can answer in its place can give money away.
func configure(url string) (*pgx.ConnConfig, error) {
	if !unambiguous(url) {
		return nil, errURL
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errURL
	}
	before, query, _ := strings.Cut(url, "?")
	if remote(config) && !strings.Contains(query, "sslmode=") && os.Getenv("PGSSLMODE") == "" {
		if config, err = pgx.ParseConfig(before + "?sslmode=verify-full&" + query); err != nil {
			return nil, errURL
		}
	}
	// What a session says is stronger than what the server, the database or the user is set to.
	name := config.RuntimeParams["search_path"]
	if name == "" {
		name = schemaName
	}
	config.RuntimeParams["search_path"] = pgx.Identifier{name}.Sanitize()
	config.RuntimeParams["synchronous_commit"] = "on"
	config.RuntimeParams["lock_timeout"] = milliseconds(turnTime)
	config.RuntimeParams["idle_in_transaction_session_timeout"] = milliseconds(idleLimit)
	config.RuntimeParams["application_name"] = "proofbox"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = idleLimit
	}
	return config, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// unambiguous says whether it is clear where a URL has its password. Where it is not, a
// part of it could be taken for the name of a host, which is looked up, and shown.
func unambiguous(url string) bool {
	_, rest, _ := strings.Cut(url, "://")
	at := strings.IndexByte(rest, '@')
	return at < 0 || strings.Count(rest, "@") == 1 && at < strings.IndexAny(rest+"/", "/?#")
}

// remote says whether a server could be on another host.
func remote(config *pgx.ConnConfig) bool {
	hosts := []string{config.Host}
	for _, f := range config.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); !strings.HasPrefix(host, "/") && host != "localhost" && !ip.IsLoopback() {
			return true
		}
	}
	return false
}

// checkOrClose checks whatever server is connected to, which may be another one than
// before. A connection that is of no use is not left to its server.
func checkOrClose(ctx context.Context, conn *pgx.Conn) error {
	err := check(ctx, conn)
	if err != nil {
		_ = conn.Close(ctx) // there is nothing on it
	}
	return err
}

// check refuses a server on which a hold would not be what it says.
func check(ctx context.Context, conn *pgx.Conn) error {
	if err := limit(conn); err != nil {
		return err
	}
	var number, version, fsync, pages string
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num'), current_setting('server_version'), current_setting('fsync'), current_setting('full_page_writes')`).
		Scan(&number, &version, &fsync, &pages)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(number); err != nil || n < oldest*10000 {
		return unfit(fmt.Sprintf("it is PostgreSQL %s, and proofbox needs %d or later; name another server in PROOFBOX_DATABASE", version, oldest))
	}
	if fsync != "on" || pages != "on" {
		return unfit(fmt.Sprintf("its fsync is %s and its full_page_writes %s, so that what is held could be lost in a crash; set both to on", fsync, pages))
	}
	return nil
}

// limit bounds how long what comes now may take.
func limit(conn *pgx.Conn) error { return conn.PgConn().Conn().SetDeadline(time.Now().Add(answerTime)) }

// String implements [fmt.Stringer]. The password is not in it.
func (p *postgres) String() string {
	where := net.JoinHostPort(p.config.Host, strconv.Itoa(int(p.config.Port)))
	return fmt.Sprintf("in the database %q of %s", p.config.Database, where)
}

func (p *postgres) explain(err error) error {
	if c, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = c.Unwrap() // without the settings, which have the password
	}
	err = fmt.Errorf("the ledger %s cannot be used, and nothing is spent meanwhile: %w", p, err)
	if next := p.next(err); next != "" {
		err = fmt.Errorf("%w; %s", err, next)
	}
	return err
}

// next says what to do about an error; empty where it says so itself.
func (p *postgres) next(err error) string {
	if _, ok := errors.AsType[unfit](err); ok {
		return ""
	}
	said, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok || strings.HasPrefix(said.Code, "57P") || said.Code == "53300":
		return "see that it runs and can be reached from here, and try again"
	case strings.HasPrefix(said.Code, "28"):
		return fmt.Sprintf("correct the user %q, or the password, in PROOFBOX_DATABASE", p.config.User)
	case said.Code == "3D000":
		return "make that database, or name another in PROOFBOX_DATABASE"
	case said.Code == "42501":
		return fmt.Sprintf("let the user %q make a schema there (GRANT CREATE ON DATABASE), or use the one that has made it", p.config.User)
	}
	return ""
}

// prepare makes the schema and its tables. Who makes them keeps others from doing so at
// the same time.
func (p *postgres) prepare(ctx context.Context, conn *sql.Conn) error {
	var has int
	var there, home bool
	if err := conn.QueryRowContext(ctx, `SELECT to_regclass('ledger') IS NOT NULL, current_schema() IS NOT NULL`).Scan(&there, &home); err != nil {
		return err
	}
	if !there {
		if err := p.make(ctx, conn, home); err != nil {
			return err
		}
	}
	err := conn.QueryRowContext(ctx, `SELECT version, id FROM ledger`).Scan(&has, &p.id)
	if errors.Is(err, sql.ErrNoRows) {
		return unfit("its table ledger is empty, so that it was altered; bring it back, or name another search_path in PROOFBOX_DATABASE")
	}
	if err != nil {
		return err
	}
	return unknown(has)
}

// make needs the right to make a schema only where there is none.
func (p *postgres) make(ctx context.Context, conn *sql.Conn, home bool) error {
	schemaOf := `CREATE SCHEMA IF NOT EXISTS ` + p.config.RuntimeParams["search_path"] + `;`
	if home {
		schemaOf = ""
	}
	script := strings.NewReplacer(
		"INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
		"INTEGER", "BIGINT", "TEXT", `TEXT COLLATE "C"`, "WITHOUT ROWID", "",
	).Replace(schema)
	_, err := conn.ExecContext(ctx, beginning+`; SELECT pg_advisory_xact_lock(hashtext('proofbox'));`+schemaOf+script+fmt.Sprintf(postgresSchema, version, rand.Text())+`COMMIT`)
	return err
}

// postgresSchema is what there is in addition. A function is what can try whether a text is JSON.
const postgresSchema = `
CREATE TABLE IF NOT EXISTS ledger (one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one), version BIGINT NOT NULL, id TEXT NOT NULL);
INSERT INTO ledger (version, id) VALUES (%d, '%s') ON CONFLICT DO NOTHING;
CREATE OR REPLACE FUNCTION model_of(detail TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN RETURN COALESCE(CAST(detail AS json) ->> 'model', ''); EXCEPTION WHEN others THEN RETURN ''; END $$;
`

// beginning says the isolation, whatever the server is set to: under a stricter one, what
// follows would be read as it was before the lock.
const beginning = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`

// begin takes the row that only one transaction can have.
func (p *postgres) begin(t *tx) (time.Time, error) {
	err := t.conn.Raw(func(c any) error { return limit(c.(*stdlib.Conn).Conn()) })
	if err == nil {
		_, err = t.write("the beginning", beginning)
	}
	if err != nil && t.lost() {
		// It may have been lost long ago, and nothing was done in this one yet.
		t.disconnect()
		if err = t.connect(t.ctx); err == nil {
			_, err = t.write("the beginning", beginning)
		}
	}
	if err != nil {
		return time.Time{}, err
	}
	return p.turn(t)
}

// turn waits for the row, and looks whether the ledger is the one that was opened.
func (p *postgres) turn(t *tx) (time.Time, error) {
	var has int
	var id string
	var now int64
	found, err := t.one(`SELECT version, id, CAST(extract(epoch FROM clock_timestamp()) * 1000000000 AS BIGINT) FROM ledger `+p.lock, nil, []any{&has, &id, &now})
	code := ""
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		code = said.Code
	}
	switch {
	case code == "55P03":
		return time.Time{}, fmt.Errorf("others have had the ledger %s for %s; try again", p, turnTime)
	case code == "42P01", code == "3F000", err == nil && (!found || id != p.id):
		return time.Time{}, fmt.Errorf("the ledger %s has gone, and nothing can be spent without it; bring it back, or start proofbox again to begin a new one", p)
	case err != nil:
		return time.Time{}, err
	}
	return t.clock(time.Unix(0, now)), unknown(has)
}

// clock takes the time of the database, and remembers how far it is from here.
func (l *Ledger) clock(theirs time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.alone {
		l.skew = theirs.Sub(l.now())
	}
	return l.time()
}

// lost says whether the connection has come to its end.
func (l *Ledger) lost() bool {
	lost := true
	_ = l.conn.Raw(func(c any) error {
		lost = c.(*stdlib.Conn).Conn().IsClosed()
		return nil
	}) // where it fails it is lost
	return lost
}

// commit looks at the answer: to a transaction in which something has failed, the
// server says ROLLBACK, and no error.
func (p *postgres) commit(t *tx) error {
	var said pgconn.CommandTag
	err := t.conn.Raw(func(c any) (err error) {
		said, err = c.(*stdlib.Conn).Conn().Exec(t.ctx, `COMMIT`)
		return err
	})
	if err == nil && said.String() != "COMMIT" {
		err = fmt.Errorf("the database has answered %q", said)
	}
	if err != nil {
		return fmt.Errorf("writing the end to the ledger: %w", err)
	}
	return nil
}

func (p *postgres) present() error { return nil } // each transaction begins with it

func (p *postgres) allot(t *tx) (first int64, err error) {
	if err := t.before("numbers"); err != nil {
		return 0, err
	}
	const sequence = `pg_get_serial_sequence('holds', 'id')`
	_, err = t.one(`SELECT setval(`+sequence+`, nextval(`+sequence+`) + $1) - $1`, []any{numbers - 1}, []any{&first})
	return first, err
}

func (p *postgres) names(parameter, as string) string {
	return `json_array_elements_text(CAST(` + parameter + ` AS json)) WITH ORDINALITY AS ` + as + `(value, key)`
}

func (p *postgres) modelOf(detail string) string { return `model_of(` + detail + `)` }
