package gateway

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"proofbox"
)

// maxCalls bounds the ledger. What a box asks for again and is refused again is
// one call that was made several times; what finds no room is counted.
const maxCalls = 1000

// Verdicts of a call.
const (
	Open    = "open"    // it has not ended
	Allowed = "allowed" // it was made
	Denied  = "denied"  // nothing was sent
	Cut     = "cut"     // it was ended on the way
	Failed  = "failed"  // it was allowed, and the destination could not be reached
	Held    = "held"    // it was kept for a person to decide about
)

// ledger lists the calls of one run.
type ledger struct {
	ended func(c proofbox.Call, at time.Time) // may be nil

	mu      sync.Mutex
	calls   []*proofbox.Call // guarded by mu, with what it points to
	missing int              // guarded by mu
	alarms  []string         // guarded by mu
	told    int              // calls that ended heard of, guarded by mu
}

// open begins an entry.
func (l *ledger) open(c proofbox.Call) *entry {
	c.Time, c.Verdict, c.Times = time.Now().UTC(), Open, 1
	return &entry{ledger: l, call: &c}
}

func (l *ledger) list() ([]proofbox.Call, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	calls := make([]proofbox.Call, len(l.calls))
	for i, c := range l.calls {
		calls[i] = *c
	}
	return calls, l.missing
}

// enter takes a call into the list, unless the same has been refused before.
// Called with mu held.
func (l *ledger) enter(c *proofbox.Call) {
	if c.Verdict == Denied {
		for _, old := range l.calls {
			if old.Verdict == Denied && old.Host == c.Host && old.Port == c.Port && old.Method == c.Method && old.Path == c.Path && old.Reason == c.Reason && old.Alarm == c.Alarm {
				old.Times++
				return
			}
		}
	}
	if len(l.calls) >= maxCalls {
		l.missing++
		return
	}
	l.calls = append(l.calls, c)
}

// entry is one call in the ledger, while it goes on.
type entry struct {
	ledger *ledger
	call   *proofbox.Call // guarded by ledger.mu
	listed bool           // guarded by ledger.mu
}

// edit changes the call.
func (e *entry) edit(change func(c *proofbox.Call)) {
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	change(e.call)
}

// name says where the call is to; said is what the box called it where that
// means nothing.
func (e *entry) name(to proofbox.Destination, said string) {
	e.edit(func(c *proofbox.Call) {
		c.Host, c.Port = to.Host, to.Port
		if to.Host == "" {
			c.Host = short(said)
		}
	})
}

// add counts bytes.
func (e *entry) add(sent, received int64) {
	e.edit(func(c *proofbox.Call) {
		c.Sent += sent
		c.Received += received
		e.list()
	})
}

// body says how much a request sent, and its digest.
func (e *entry) body(sent int64, digest string) {
	e.edit(func(c *proofbox.Call) { c.Sent, c.Digest = sent, digest })
}

// secrets says what was put into the request.
func (e *entry) secrets(names []string) {
	e.edit(func(c *proofbox.Call) { c.Secrets = merged(c.Secrets, names) })
}

// left says whose placeholders the request has as they are.
func (e *entry) left(names []string) {
	e.edit(func(c *proofbox.Call) { c.Placeholders = merged(c.Placeholders, names) })
}

func merged(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// alarm says that the placeholders of secrets were sent where they are not
// meant to be. It is kept even where the ledger has no room for the call.
func (e *entry) alarm(names []string) {
	if len(names) == 0 {
		return
	}
	e.edit(func(c *proofbox.Call) {
		host := c.Host
		if c.Port > 0 { // a model has none
			host = fmt.Sprintf("%s:%d", c.Host, c.Port)
		}
		where := strings.TrimSpace(c.Method + " " + host + c.Path)
		c.Alarm = "the placeholder of " + strings.Join(names, ", ") + " was sent to where its secret is not for"
		e.ledger.alarms = append(e.ledger.alarms, c.Alarm+": "+where)
		e.ledger.alarms = e.ledger.alarms[:min(len(e.ledger.alarms), maxAlarms)]
	})
}

// maxAlarms bounds what is kept of them.
const maxAlarms = 100

// answered says that an HTTP answer has come.
func (e *entry) answered(status int) {
	e.edit(func(c *proofbox.Call) {
		c.Status = status
		e.list()
	})
}

// held says that the request was kept under a number.
func (e *entry) held(n int) {
	e.edit(func(c *proofbox.Call) { c.Verdict, c.Status, c.Staged = Held, http.StatusAccepted, n })
}

// list takes the call into the ledger while it goes on. Called with mu held.
func (e *entry) list() {
	if !e.listed {
		e.listed = true
		e.ledger.enter(e.call)
	}
}

// close says how the call has ended.
func (e *entry) close(err error) {
	e.edit(func(c *proofbox.Call) {
		if c.Verdict == Open {
			c.Verdict = Allowed
		}
		if err != nil {
			d := deniedAs(err)
			c.Verdict, c.Reason = verdictOf(d, c), d.reason
		}
		e.list()
	})
	e.tell()
}

// tell has whoever wants to know hear of the call, which is over.
func (e *entry) tell() {
	l := e.ledger
	if l.ended == nil {
		return
	}
	l.mu.Lock()
	c := *e.call
	l.told++
	room := l.told <= maxCalls
	l.mu.Unlock()
	if room {
		l.ended(c, time.Now().UTC())
	}
}

func verdictOf(d *denial, c *proofbox.Call) string {
	switch {
	case d.status >= 500:
		return Failed
	case c.Sent > 0 || c.Received > 0:
		return Cut
	default:
		return Denied
	}
}

// sent counts what is written to the outside.
func (e *entry) sent(out net.Conn) *counter { return &counter{out, func(n int) { e.add(int64(n), 0) }} }

// received counts what is written to the box.
func (e *entry) received(client net.Conn) *counter {
	return &counter{client, func(n int) { e.add(0, int64(n)) }}
}

// counter counts what is written.
type counter struct {
	net.Conn
	count func(int)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.count(n)
	return n, err
}

// maxText bounds, in bytes, what is quoted of a box's words.
const maxText = 200

// quoted makes text from a box printable, bounds it and puts it in quotes.
func quoted(text string) string { return strconv.QuoteToASCII(text[:min(len(text), maxText)]) }

// short bounds text; where it is not printable as it is, it is quoted, too.
func short(text string) string {
	text = text[:min(len(text), maxText)]
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return strconv.QuoteToASCII(text)
		}
	}
	return text
}
