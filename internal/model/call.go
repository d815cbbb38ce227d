package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"proofbox"
)

// callTime bounds one call.
const callTime = 30 * time.Minute

// call makes one call: what it can cost is held before it leaves, and settled
// when it is over, whatever happens.
func (d *Desk) call(w http.ResponseWriter, r *http.Request, api wire) (err error) {
	made := &Made{Format: api.format(), Began: time.Now()}
	defer func() { d.tell(made, err) }()
	o, err := body(r)
	if err != nil {
		return err
	}
	b, err := api.bound(o)
	if err != nil {
		return err
	}
	made.Model = b.model
	m, err := d.find(b.model, api)
	if err != nil {
		return err
	}
	if err := d.recordable(); err != nil {
		return err
	}
	asked, began := o.text, time.Now()
	c, err := d.hold(r.Context(), o, b, m, api)
	made.Held = time.Since(began)
	if err != nil {
		return err
	}
	return d.make(w, r, &call{
		Model: m, api: api, bound: b, certificate: c, body: o.text,
		number: int(d.calls.Add(1)), asked: asked, recorder: d.Recorder, made: made, tape: tape{start: time.Now()},
	})
}

// call is one call that is paid for.
type call struct {
	*Model
	api         wire
	bound       bound
	certificate proofbox.CapCertificate
	body        []byte
	sent        bool // a byte may have left
	refused     bool // the provider has said that it did nothing
	report      report

	number   int
	asked    []byte // the body as the box has sent it
	status   int    // of the answer; 0 while there is none
	recorder Recorder
	made     *Made
	tape     tape
}

// hold holds what a call can cost, with as much output as fits, and writes that
// limit into the request. Where the bytes of the input are too much for what is left, its
// tokens may not be.
func (d *Desk) hold(ctx context.Context, o *object, b bound, m *Model, api wire) (proofbox.CapCertificate, error) {
	wanted := b.output
	if wanted == 0 || wanted > m.MaxOutput {
		wanted = m.MaxOutput
	}
	fits, c, err := d.holdFor(ctx, m, b, wanted)
	if refused := errors.Is(err, ErrNoMoney); refused || err == nil && fits < wanted {
		counted, countErr := m.closer(o, b.input)
		if countErr == nil && counted < b.input {
			if !refused {
				d.Purse.Settle(c.Hold, 0)
			}
			b.input = counted
			fits, c, err = d.holdFor(ctx, m, b, wanted)
		}
	}
	if errors.Is(err, ErrNoMoney) {
		return c, &failure{http.StatusPaymentRequired, "billing_error", err.Error()}
	}
	if err != nil {
		return c, fmt.Errorf("holding the cost of the call: %w", err)
	}
	if fits < wanted {
		c.Clamp = fits
	}
	if fits < b.output || b.output == 0 || b.stream {
		err = api.limit(o, fits, b.stream)
	}
	if err != nil {
		d.Purse.Settle(c.Hold, 0)
		return c, err
	}
	return c, nil
}

// holdFor holds what a call can cost at most, for as much output as fits.
func (d *Desk) holdFor(ctx context.Context, m *Model, b bound, wanted int64) (fits int64, c proofbox.CapCertificate, err error) {
	in, out := m.Prices.worst(b.input)
	detail, err := json.Marshal(map[string]any{
		"model": m.Name, "input_tokens": b.input, "answers": b.times,
		"usd_per_million": map[string]proofbox.Money{"input": in, "output": out}, "price": m.Prices,
	})
	if err != nil {
		return 0, c, fmt.Errorf("describing a hold: %w", err)
	}
	return d.Purse.Hold(ctx, tokensAt(b.input, in), each(out)*proofbox.Money(b.times), wanted, string(detail))
}

// make sends the call and hands on the answer.
func (d *Desk) make(w http.ResponseWriter, r *http.Request, c *call) error {
	defer func() {
		d.Purse.Settle(c.certificate.Hold, c.charge())
		c.account()
		// What cannot be kept stops the next call, see recordable.
		_ = c.record()
	}()
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	out, err := c.request(ctx, r)
	if err != nil {
		return err
	}
	c.sent, c.made.Sent = true, time.Now()
	in, err := c.Transport.RoundTrip(out)
	if err != nil {
		return fmt.Errorf("calling the provider of %s: %w", c.Name, err)
	}
	defer in.Body.Close()
	// A provider that refuses a request has not worked on it.
	c.refused = in.StatusCode >= 400 && in.StatusCode < 500
	return c.handOn(w, in)
}

// charge is what the call costs: by the provider's report at its end, where that
// can be, else in full.
func (c *call) charge() proofbox.Money {
	switch {
	case !c.sent || c.refused:
		return 0
	case c.report.known && c.report.ended && c.report.usage.credible():
		return c.Prices.cost(c.report.usage)
	default:
		return c.certificate.Bound
	}
}

// passed lists the headers of a request that go to the provider.
var passed = []string{"Content-Type", "Accept", "Anthropic-Version", "Anthropic-Beta", "User-Agent"}

// request makes the request that leaves.
func (c *call) request(ctx context.Context, r *http.Request) (*http.Request, error) {
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+c.api.callPath(), bytes.NewReader(c.body))
	if err != nil {
		return nil, fmt.Errorf("making a request to the provider of %s: %w", c.Name, err)
	}
	for _, name := range passed {
		if v := r.Header.Values(name); len(v) > 0 {
			out.Header[name] = v
		}
	}
	if c.Key != "" {
		out.Header.Set(c.api.key(c.Key))
	}
	return out, nil
}

// returned lists the headers of an answer that go to the box.
var returned = []string{"Content-Type", "Retry-After", "Request-Id", "X-Request-Id"}

// handOn gives the box the answer while it is read for its usage.
func (c *call) handOn(w http.ResponseWriter, in *http.Response) error {
	for _, name := range returned {
		if v := in.Header.Values(name); len(v) > 0 {
			w.Header()[name] = v
		}
	}
	certificate, err := json.Marshal(c.certificate)
	if err != nil {
		return fmt.Errorf("encoding the certificate: %w", err)
	}
	w.Header().Set("Proofbox-Certificate", string(certificate))
	if c.certificate.Clamp > 0 {
		w.Header().Set("Proofbox-Fits", strconv.FormatInt(c.certificate.Clamp, 10))
	}
	w.WriteHeader(in.StatusCode)
	c.status = in.StatusCode
	kind, _, _ := mime.ParseMediaType(in.Header.Get("Content-Type")) // what is no type is no stream
	c.tape.kind = kind
	if kind == eventStream {
		return c.stream(w, in.Body)
	}
	return c.whole(w, in.Body)
}

// eventStream is the type of a stream of events.
const eventStream = "text/event-stream"

// maxAnswer bounds an answer that is not a stream, and one event of a stream.
const maxAnswer = 32 << 20

func (c *call) whole(w http.ResponseWriter, body io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err == nil {
		// An answer that cannot be read is no report, and charged in full.
		_ = c.api.report(data, &c.report)
	}
	c.take(data, err)
	if _, writeErr := w.Write(data); writeErr != nil || err != nil {
		panic(http.ErrAbortHandler) // it must not look complete
	}
	return nil
}

// stream hands on server-sent events as they come.
func (c *call) stream(w http.ResponseWriter, body io.Reader) error {
	events := &eventReader{}
	buf := make([]byte, 32<<10)
	flush := http.NewResponseController(w).Flush
	for {
		n, err := body.Read(buf)
		c.take(buf[:n], err)
		events.add(buf[:n], func(data []byte) {
			_ = c.api.report(data, &c.report) // as above
		})
		if _, writeErr := w.Write(buf[:n]); writeErr != nil {
			panic(http.ErrAbortHandler) // who asked has gone; what is not reported is charged in full
		}
		if flushErr := flush(); flushErr != nil || err != nil && !errors.Is(err, io.EOF) {
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			return nil
		}
	}
}

// eventReader finds the data of server-sent events in pieces of a stream; see
// the HTML standard, section 9.2.
type eventReader struct {
	line []byte
	data []string
	lost bool // an event was too long to keep
}

func (e *eventReader) add(p []byte, found func(data []byte)) {
	for len(p) > 0 {
		before, after, ok := bytes.Cut(p, []byte{'\n'})
		if !ok {
			e.keep(p)
			return
		}
		e.keep(before)
		e.end(strings.TrimSuffix(string(e.line), "\r"), found)
		e.line, p = e.line[:0], after
	}
}

func (e *eventReader) keep(p []byte) {
	if len(e.line)+len(p) > maxAnswer {
		e.lost = true
		return
	}
	e.line = append(e.line, p...)
}

// end takes a whole line; an empty one ends an event.
func (e *eventReader) end(line string, found func([]byte)) {
	if value, ok := strings.CutPrefix(line, "data:"); ok {
		e.data = append(e.data, strings.TrimPrefix(value, " "))
	}
	if line != "" || len(e.data) == 0 {
		return
	}
	if !e.lost {
		found([]byte(strings.Join(e.data, "\n")))
	}
	e.data, e.lost = nil, false
}
