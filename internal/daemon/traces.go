package daemon

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"proofbox"
	"proofbox/internal/model"
	"proofbox/internal/telemetry"
)

// trace is what a run tells a collector: one span for the run, and in it one for
// each connection that its box has asked for and each call to a model. Its number
// follows from the run's, as in `proofbox recording export`.
type trace struct {
	*telemetry.Exporter
	run string
}

// flushTime bounds how long the end of a run waits for a collector.
const flushTime = 5 * time.Second

// openTrace finds whether anybody collects. That it cannot be done is no reason
// not to run.
func (s *session) openTrace() {
	exporter, err := telemetry.FromEnvironment(os.Getenv)
	if err != nil {
		s.warn(fmt.Errorf("nothing is traced: %w", err))
	}
	s.trace = trace{exporter, s.run.ID}
}

// span makes a span of the run's trace.
func (t trace) span(name, number string, kind int, began, ended time.Time) telemetry.Span {
	return telemetry.Span{
		TraceID: telemetry.TraceID(t.run), SpanID: telemetry.SpanID(t.run + "/" + number), Parent: telemetry.SpanID(t.run),
		Name: telemetry.Clip(name), Kind: kind, Start: telemetry.Nanos(began), End: telemetry.Nanos(ended),
	}
}

// close tells of the run itself and sends what waits.
func (t trace) close(ctx context.Context, run *proofbox.Run) error {
	if t.Exporter == nil {
		return nil
	}
	s := t.span("proofbox.run", "", telemetry.Internal, run.Created, time.Now())
	s.SpanID, s.Parent = s.Parent, ""
	s.Attributes = []telemetry.Attribute{
		telemetry.Text("proofbox.run.id", run.ID), telemetry.Text("proofbox.wall", string(run.Wall)),
		telemetry.Text("proofbox.ended", telemetry.Clip(run.Ended)), telemetry.Number("process.exit.code", int64(run.ExitCode)),
		telemetry.Text("proofbox.charged_usd", run.Spend.USD),
	}
	if run.ExitCode != 0 {
		s.Failed(run.Ended)
	}
	t.Add(s)
	ctx, cancel := context.WithTimeoutCause(ctx, flushTime, fmt.Errorf("there was no answer within %v", flushTime))
	defer cancel()
	return t.Close(ctx)
}

// connection tells of a connection that the box has asked for, by the
// conventions for HTTP clients. What the box has asked for there is not told.
func (t trace) connection(c proofbox.Call, ended time.Time) {
	if t.Exporter == nil {
		return
	}
	s := t.span(c.Method, "call/"+newID(), telemetry.Client, c.Time, ended)
	s.Attributes = []telemetry.Attribute{
		telemetry.Text("server.address", telemetry.Clip(c.Host)), telemetry.Number("server.port", int64(c.Port)),
		telemetry.Text("http.request.method", telemetry.Clip(c.Method)), telemetry.Text("proofbox.verdict", c.Verdict),
		telemetry.Number("proofbox.bytes.sent", c.Sent), telemetry.Number("proofbox.bytes.received", c.Received),
	}
	if c.Status != 0 {
		s.Attributes = append(s.Attributes, telemetry.Number("http.response.status_code", int64(c.Status)))
	}
	if c.Reason != "" {
		s.Failed(c.Reason)
	}
	t.Add(s)
}

// call tells of a call to a model, by the conventions for generative AI, and of
// what holding its cost took. What was said is not told.
func (t trace) call(m model.Made) {
	if t.Exporter == nil {
		return
	}
	number := strconv.Itoa(m.Number)
	if m.Number == 0 {
		number = newID() // it was refused
	}
	operation := "chat"
	if strings.HasSuffix(m.Format, ".embeddings") {
		operation = "embeddings"
	}
	provider, _, _ := strings.Cut(m.Format, ".")
	s := t.span(operation+" "+m.Model, number, telemetry.Client, m.Began, m.Ended)
	s.Attributes = []telemetry.Attribute{
		telemetry.Text("gen_ai.operation.name", operation), telemetry.Text("gen_ai.provider.name", provider),
		telemetry.Text("gen_ai.request.model", telemetry.Clip(m.Model)),
		telemetry.Text("proofbox.held_usd", m.Hold.Bound.String()), telemetry.Text("proofbox.charged_usd", m.Charged.String()),
	}
	if m.Status != 0 {
		s.Attributes = append(s.Attributes, telemetry.Number("http.response.status_code", int64(m.Status)))
	}
	if u := m.Usage; u != nil {
		s.Attributes = append(s.Attributes, telemetry.Number("gen_ai.usage.input_tokens", u.Input+u.CacheRead+u.CacheWrite+u.CacheWrite1h),
			telemetry.Number("gen_ai.usage.output_tokens", u.Output))
	}
	if m.Hold.Clamp > 0 {
		s.Attributes = append(s.Attributes, telemetry.Number("proofbox.clamp_tokens", m.Hold.Clamp))
	}
	if why := failureOf(m); why != "" {
		s.Attributes = append(s.Attributes, telemetry.Text("error.type", errorType(m)))
		s.Failed(why)
	}
	t.Add(s)
	if m.Number == 0 {
		return
	}
	hold := t.span("proofbox.spend.hold", number+"/hold", telemetry.Internal, m.Began, m.Began.Add(m.Held))
	hold.Parent = s.SpanID
	hold.Attributes = []telemetry.Attribute{telemetry.Number("proofbox.hold", m.Hold.Hold)}
	t.Add(hold)
}

// failureOf says why a call has failed; empty where it has not.
func failureOf(m model.Made) string {
	switch {
	case m.Err != nil:
		return m.Err.Error()
	case m.Status >= http.StatusBadRequest:
		return "the provider answers " + strconv.Itoa(m.Status)
	case m.Status == 0:
		return "the provider has not answered"
	}
	return ""
}

// errorType is one of few words, as the conventions want it.
func errorType(m model.Made) string {
	switch {
	case m.Status >= http.StatusBadRequest:
		return strconv.Itoa(m.Status)
	case m.Number == 0:
		return "refused"
	}
	return "_OTHER"
}
