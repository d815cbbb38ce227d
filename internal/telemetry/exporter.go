package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of what waits to be sent.
const (
	maxWaiting = 2048
	maxBatch   = 512
	sendEvery  = 5 * time.Second
)

// Exporter sends spans to a collector by OTLP over HTTP, in JSON, from a
// goroutine of its own. Nothing waits for it: what finds no room is counted and
// dropped.
type Exporter struct {
	address  string
	header   http.Header
	resource []Attribute
	client   *http.Client

	mu      sync.Mutex
	waiting []Span // guarded by mu
	lost    int    // guarded by mu
	problem error  // the last of a batch that was lost or is to be sent again, guarded by mu

	full   chan struct{} // holds one where a batch waits
	over   chan struct{} // closed when nothing more comes
	done   chan struct{} // closed when the goroutine has ended
	cancel func()        // ends what the goroutine has under way
}

// FromEnvironment makes the exporter that OpenTelemetry's variables ask for; nil
// where they ask for none. See its specification of exporters.
func FromEnvironment(getenv func(string) string) (*Exporter, error) {
	of := func(name string) string {
		if v := getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); v != "" {
			return v
		}
		return getenv("OTEL_EXPORTER_OTLP_" + name)
	}
	address := getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if base := getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); address == "" && base != "" {
		address = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	if address == "" || getenv("OTEL_TRACES_EXPORTER") == "none" || strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the address %q of a collector is not one of http: or https:; see OTEL_EXPORTER_OTLP_ENDPOINT", address)
	}
	if p := of("PROTOCOL"); p != "" && p != "http/json" {
		return nil, fmt.Errorf("proofbox sends spans by http/json, and not by %q; set OTEL_EXPORTER_OTLP_PROTOCOL=http/json and the address of that port", p)
	}
	limit := 10 * time.Second
	if text := of("TIMEOUT"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT=%q is no number of milliseconds", text)
		}
		limit = time.Duration(n) * time.Millisecond
	}
	e := &Exporter{
		address: address, header: http.Header{"Content-Type": {"application/json"}}, client: &http.Client{Timeout: limit},
		full: make(chan struct{}, 1), over: make(chan struct{}), done: make(chan struct{}),
	}
	for name, value := range pairs(of("HEADERS")) {
		e.header.Set(name, value)
	}
	name := "proofbox"
	for key, value := range pairs(getenv("OTEL_RESOURCE_ATTRIBUTES")) {
		if key == "service.name" {
			name = value
			continue
		}
		e.resource = append(e.resource, Text(key, value))
	}
	if own := getenv("OTEL_SERVICE_NAME"); own != "" {
		name = own
	}
	e.resource = append(e.resource, Text("service.name", name))
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go e.run(ctx)
	return e, nil
}

// pairs reads a list of KEY=VALUE, as W3C's baggage has them. What is none is
// passed over.
func pairs(list string) map[string]string {
	found := map[string]string{}
	for item := range strings.SplitSeq(list, ",") {
		key, value, ok := strings.Cut(item, "=")
		if plain, err := url.PathUnescape(strings.TrimSpace(value)); ok && err == nil {
			found[strings.TrimSpace(key)] = plain
		}
	}
	return found
}

// Add has a span sent. A nil exporter sends none.
func (e *Exporter) Add(s Span) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting) >= maxWaiting {
		e.lost++
		return
	}
	e.waiting = append(e.waiting, s)
	if len(e.waiting) >= maxBatch {
		select {
		case e.full <- struct{}{}:
		default:
		}
	}
}

// Close sends what waits, and says what was lost. Nothing may be added any more.
func (e *Exporter) Close(ctx context.Context) error {
	if e == nil {
		return nil
	}
	// What is under way may have arrived already: it comes to its end, and is not sent twice.
	stop := context.AfterFunc(ctx, e.cancel)
	defer stop()
	close(e.over)
	<-e.done
	for tries := 0; e.sendAll(ctx) && tries < len(pauses); tries++ {
		select {
		case <-ctx.Done():
		case <-time.After(pauses[tries]):
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if lost := e.lost + len(e.waiting); lost > 0 {
		return fmt.Errorf("%d spans did not get to %s: %w", lost, e.address, errors.Join(e.problem, context.Cause(ctx)))
	}
	return nil
}

// pauses are how long the end waits for a collector that may take spans later.
var pauses = []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, 900 * time.Millisecond}

// sendAll sends what waits, and says whether some of it is left for later.
func (e *Exporter) sendAll(ctx context.Context) bool {
	for e.send(ctx) {
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.waiting) > 0 && ctx.Err() == nil
}

// run sends from time to time, and when there is much.
func (e *Exporter) run(ctx context.Context) {
	defer e.cancel()
	defer close(e.done)
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.over:
			return
		case <-tick.C:
		case <-e.full:
		}
		e.sendAll(ctx)
	}
}

// send sends one batch; it says whether it is done with it, and there may be
// another.
func (e *Exporter) send(ctx context.Context) bool {
	e.mu.Lock()
	batch := e.waiting[:min(len(e.waiting), maxBatch)]
	e.mu.Unlock()
	if len(batch) == 0 {
		return false
	}
	again, err := e.post(ctx, batch)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.problem = err
	}
	if again {
		return false
	}
	if err != nil {
		e.lost += len(batch)
	}
	e.waiting = e.waiting[len(batch):]
	return true
}

// post sends spans. again says that the collector may take them later.
func (e *Exporter) post(ctx context.Context, spans []Span) (again bool, err error) {
	body, err := json.Marshal(Services(e.resource, spans...))
	if err != nil {
		return false, fmt.Errorf("encoding spans: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.address, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("making a request to the collector: %w", err)
	}
	r.Header = e.header
	answer, err := e.client.Do(r)
	if err != nil {
		return true, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	switch code := answer.StatusCode; {
	case code < 300:
		return false, nil
	case code == http.StatusTooManyRequests || code >= http.StatusBadGateway && code <= http.StatusGatewayTimeout:
		return true, fmt.Errorf("the collector answers %s", answer.Status)
	default:
		return false, fmt.Errorf("the collector answers %s", answer.Status)
	}
}
