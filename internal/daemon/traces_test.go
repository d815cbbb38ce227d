package daemon_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"proofbox"
	"proofbox/internal/daemon"
)

// TestRunIsTracedAndCounted has a real reader of OTLP take what a run tells, and
// one of Prometheus's text what is on record afterwards.
func TestRunIsTracedAndCounted(t *testing.T) {
	var mu sync.Mutex
	spans := map[string]ptrace.Span{} // by name, guarded by mu
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		traces, parseErr := (&ptrace.JSONUnmarshaler{DisallowUnknownFields: true}).UnmarshalTraces(body)
		if err != nil || parseErr != nil {
			t.Errorf("%v, %v: %s", err, parseErr, body)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
			spans[s.Name()] = s
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	dir := t.TempDir()
	script := filepath.Join(dir, "script.yaml")
	if err := os.WriteFile(script, []byte("version: 1\nturns: [{text: hello}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t)
	price := &proofbox.Price{Rates: proofbox.Rates{Input: 1_000_000_000, Output: 1_000_000_000}}
	const name = "m\"\n\\"
	r := run(t, d, proofbox.Spec{
		Wall: proofbox.Container, Workspace: proofbox.Workspace{Original: "none"},
		Models: []proofbox.Model{{Name: name, Provider: "scripted", Script: script, Price: price, MaxOutput: 100}},
	}, `python3 -c '
import json, os, urllib.request
def ask(model):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "x"}]}).encode()
    try: print(urllib.request.urlopen(urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body)).status)
    except Exception as e: print(e)
ask("m\"\n\\")
ask("other")
'; `+fetch+`http://evil.com/y`)
	if !strings.HasPrefix(r.stdout, "200\n") || len(r.Warnings) > 0 {
		t.Fatalf("%q %q, %q", r.stdout, r.stderr, r.Warnings)
	}
	mu.Lock()
	defer mu.Unlock()
	whole, call, refused, hold, denied := spans["proofbox.run"], spans["chat "+name], spans["chat other"], spans["proofbox.spend.hold"], spans["GET"]
	for _, s := range []ptrace.Span{whole, call, refused, hold, denied} {
		if s == (ptrace.Span{}) || s.TraceID() != whole.TraceID() || s.EndTimestamp() < s.StartTimestamp() {
			t.Fatalf("what came is %v", spans)
		}
	}
	if call.ParentSpanID() != whole.SpanID() || hold.ParentSpanID() != call.SpanID() || denied.ParentSpanID() != whole.SpanID() {
		t.Error("the spans are not in each other")
	}
	for want, s := range map[string]ptrace.Span{
		"gen_ai.operation.name=chat": call, "gen_ai.provider.name=openai": call, "gen_ai.usage.output_tokens=": call, "proofbox.charged_usd=" + r.Spend.USD: call,
		"error.type=refused": refused, "proofbox.verdict=denied": denied, "server.address=evil.com": denied, "proofbox.run.id=" + r.ID: whole,
	} {
		key, value, _ := strings.Cut(want, "=")
		if got, ok := s.Attributes().Get(key); !ok || !strings.HasPrefix(got.AsString(), value) {
			t.Errorf("%s is not in %v", want, s.Attributes().AsRaw())
		}
	}
	if call.Status().Code() == ptrace.StatusCodeError || denied.Status().Code() != ptrace.StatusCodeError || whole.TraceID() == (pcommon.TraceID{}) {
		t.Error("what failed is not what is said to have")
	}
	counted(t, d, r.Run, name)
}

// counted has what is on record of one run, with one call to a model, read.
func counted(t *testing.T, d *daemon.Daemon, r proofbox.Run, name string) {
	t.Helper()
	answer := httptest.NewRecorder()
	d.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	text := answer.Body.String()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	calls := families["proofbox_model_calls_total"].GetMetric()
	if len(calls) != 1 || calls[0].GetLabel()[0].GetValue() != name || calls[0].GetCounter().GetValue() != 1 {
		t.Errorf("the calls are %v", calls)
	}
	for want := range strings.Lines("proofbox_runs{state=\"ended\"} 1\nproofbox_gateway_calls{verdict=\"denied\"} 1\n" +
		"proofbox_spend_charged_usd{account=\"runs\",period=\"total\"} " + r.Spend.USD + "\nproofbox_spend_held_usd{account=\"runs\",period=\"day\"} 0\n") {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in %s", want, text)
		}
	}
	if strings.Contains(text, r.ID) {
		t.Errorf("each run makes numbers of its own: %s", text)
	}
}
