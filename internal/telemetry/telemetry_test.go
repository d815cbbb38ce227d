package telemetry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"pgregory.net/rapid"

	"proofbox/internal/telemetry"
)

// collector takes spans as OpenTelemetry's own does.
type collector struct {
	*httptest.Server

	mu     sync.Mutex
	spans  []ptrace.Span    // guarded by mu
	heard  []http.Header    // guarded by mu
	from   []map[string]any // the resources, guarded by mu
	busy   int              // answers that say so first, guarded by mu
	status int              // of those, guarded by mu
}

func newCollector(t *testing.T) *collector {
	c := &collector{status: http.StatusServiceUnavailable}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.heard = append(c.heard, r.Header)
		if c.busy > 0 {
			c.busy--
			w.WriteHeader(c.status)
			return
		}
		traces, parseErr := (&ptrace.JSONUnmarshaler{DisallowUnknownFields: true}).UnmarshalTraces(body)
		if err != nil || parseErr != nil || r.URL.Path != "/v1/traces" || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v, %v: %s", r.Method, r.URL, err, parseErr, body)
			return
		}
		for _, rs := range traces.ResourceSpans().All() {
			c.from = append(c.from, rs.Resource().Attributes().AsRaw())
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					c.spans = append(c.spans, s)
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// environment is one of some variables.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func exporter(t *testing.T, c *collector, more ...string) *telemetry.Exporter {
	t.Helper()
	e, err := telemetry.FromEnvironment(environment(append(more, "OTEL_EXPORTER_OTLP_ENDPOINT", c.URL+"/")...))
	if err != nil || e == nil {
		t.Fatalf("no exporter: %v", err)
	}
	return e
}

func span(n int) telemetry.Span {
	began := time.Unix(1777863721, int64(n))
	s := telemetry.Span{
		TraceID: telemetry.TraceID("run"), SpanID: telemetry.SpanID(fmt.Sprint(n)), Parent: telemetry.SpanID("run"), Name: "GET", Kind: telemetry.Client,
		Start: telemetry.Nanos(began), End: telemetry.Nanos(began.Add(time.Second)),
		Attributes: []telemetry.Attribute{telemetry.Number("n", int64(n)), telemetry.Text("said", telemetry.Clip("a\x00\xff\n\u2028"))},
	}
	s.Failed("it \"failed\"\x1b[2J")
	return s
}

// TestExporter has a real reader of OTLP take more spans than one batch has.
func TestExporter(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	e := exporter(t, c, "OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x,bad", "OTEL_SERVICE_NAME", "boxes", "OTEL_RESOURCE_ATTRIBUTES", "service.name=other,host.name=h")
	const many = 1200
	for n := range many {
		e.Add(span(n))
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[int64]bool{}
	for _, s := range c.spans {
		n, _ := s.Attributes().Get("n")
		seen[n.Int()] = true
	}
	if len(c.spans) != many || len(seen) != many {
		t.Errorf("%d spans came, %d different ones of %d", len(c.spans), len(seen), many)
	}
	s := c.spans[0]
	if s.TraceID().IsEmpty() || s.SpanID().IsEmpty() || s.ParentSpanID().IsEmpty() || s.Kind() != ptrace.SpanKindClient ||
		s.EndTimestamp()-s.StartTimestamp() != 1e9 || s.Status().Code() != ptrace.StatusCodeError || s.Status().Message() != "it \"failed\"\x1b[2J" {
		t.Errorf("%v %v %v %v %v %q", s.TraceID(), s.SpanID(), s.ParentSpanID(), s.Kind(), s.Status().Code(), s.Status().Message())
	}
	if got := c.heard[0].Get("Authorization"); got != "Bearer x" {
		t.Errorf("the header is %q", got)
	}
	if f := c.from[0]; f["service.name"] != "boxes" || f["host.name"] != "h" {
		t.Errorf("the resource is %v", f)
	}
}

// TestUnderWayIsSentOnce ends an exporter while the collector has a batch and has not
// answered.
func TestUnderWayIsSentOnce(t *testing.T) {
	t.Parallel()
	came, ended := make(chan struct{}, 10), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		came <- struct{}{}
		select {
		case <-ended:
		case <-r.Context().Done(): // it was broken off
		}
	}))
	defer s.Close()
	e, err := telemetry.FromEnvironment(environment("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 512 { // a batch
		e.Add(span(n))
	}
	<-came
	closed := make(chan error, 1)
	ctx := beginning{t.Context(), make(chan struct{}, 10)}
	go func() { closed <- e.Close(ctx) }()
	<-ctx.asked
	close(ended)
	if err := <-closed; err != nil || len(came) > 0 {
		t.Errorf("%d more times it was sent; %v", len(came), err)
	}
}

// beginning is a context that says when somebody waits for its end.
type beginning struct {
	context.Context
	asked chan struct{}
}

func (b beginning) Done() <-chan struct{} {
	select {
	case b.asked <- struct{}{}:
	default:
	}
	return b.Context.Done()
}

// TestBusyCollector: spans that may be taken later are sent again, others are not.
func TestBusyCollector(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{http.StatusServiceUnavailable: "", http.StatusTooManyRequests: "", http.StatusBadRequest: "1 spans did not get to"} {
		c := newCollector(t)
		c.busy, c.status = 2, status
		e := exporter(t, c)
		e.Add(span(1))
		err := e.Close(t.Context())
		c.mu.Lock()
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) || (len(c.spans) == 1) != (want == "") {
			t.Errorf("%d: %d spans, %v", status, len(c.spans), err)
		}
		c.mu.Unlock()
	}
}

// TestNoCollector: what cannot be sent is counted, holds nobody up and no more
// memory than its bound.
func TestNoCollector(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	c.Close()
	e := exporter(t, c)
	for n := range 3000 {
		e.Add(span(n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Close(ctx); err == nil || !strings.Contains(err.Error(), "3000 spans did not get to "+c.URL+"/v1/traces") {
		t.Errorf("%v", err)
	}
}

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, none := range [][]string{
		{}, {endpoint, "http://x", "OTEL_SDK_DISABLED", "TRUE"}, {endpoint, "http://x", "OTEL_TRACES_EXPORTER", "none"},
	} {
		if e, err := telemetry.FromEnvironment(environment(none...)); e != nil || err != nil {
			t.Errorf("%q: %v, %v", none, e, err)
		}
	}
	for want, bad := range map[string][]string{
		"not one of http:":            {endpoint, "localhost:4318"},
		"proofbox sends spans by":     {endpoint, "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
		"no number of milliseconds":   {endpoint, "http://x", "OTEL_EXPORTER_OTLP_TIMEOUT", "soon"},
		`by http/json, and not by "h`: {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://x/y", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"},
	} {
		if e, err := telemetry.FromEnvironment(environment(bad...)); e != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", bad, e, err)
		}
	}
	var none *telemetry.Exporter
	none.Add(telemetry.Span{})
	if err := none.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestMetrics has Prometheus's own parser and linter read what is written, with
// labels from anywhere.
func TestMetrics(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfNDistinct(rapid.StringN(0, 50, 190), 1, 20, rapid.ID[string]).Draw(t, "values")
		f := telemetry.Family{Name: "proofbox_things", Help: "Things\\ and\nmore.", Kind: "gauge"}
		for i, v := range values {
			f.Samples = append(f.Samples, telemetry.Sample{Labels: []telemetry.Label{{"of", v}, {"at", "x"}}, Value: fmt.Sprint(i)})
		}
		var text strings.Builder
		if err := telemetry.WriteMetrics(&text, []telemetry.Family{f}); err != nil {
			t.Fatal(err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text.String()))
		if err != nil {
			t.Fatalf("%v in %q", err, text.String())
		}
		for i, m := range families["proofbox_things"].GetMetric() {
			if got := m.GetLabel()[1].GetValue(); got != telemetry.Clip(values[i]) || m.GetGauge().GetValue() != float64(i) {
				t.Errorf("%q came back as %q", values[i], got)
			}
		}
		if problems, err := promlint.New(strings.NewReader(text.String())).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
	})
	much := telemetry.Family{Name: "x", Samples: make([]telemetry.Sample, telemetry.MaxSamples+1)}
	if err := telemetry.WriteMetrics(io.Discard, []telemetry.Family{much}); err == nil {
		t.Error("any number of samples is written")
	}
}
