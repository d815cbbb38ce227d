package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"proofbox"
	"proofbox/internal/api"
)

// Plan says what a run would do and why, without doing it.
func (c *Client) Plan(ctx context.Context, spec proofbox.Spec, args []string) (proofbox.Plan, error) {
	return ask[proofbox.Plan](ctx, c, request{
		method: http.MethodPost, path: "/v1/plan", body: api.PlanRequest{Spec: spec, Command: args},
	})
}

// Runs lists every run, the newest first.
func (c *Client) Runs(ctx context.Context) ([]proofbox.Run, error) {
	return ask[[]proofbox.Run](ctx, c, request{method: http.MethodGet, path: "/v1/runs"})
}

// Show gives a run's record. Here and below, a run is named by its ID, by the
// beginning of one, by its name (the newest of that name), or as "last".
func (c *Client) Show(ctx context.Context, run string) (proofbox.Run, error) {
	return ask[proofbox.Run](ctx, c, request{method: http.MethodGet, run: &run})
}

// Logs gives what a run's command wrote; with follow it goes on until the run
// has ended.
func (c *Client) Logs(ctx context.Context, run string, follow bool) iter.Seq2[proofbox.Output, error] {
	query := url.Values{}
	if follow {
		query.Set("follow", "1")
	}
	return documents[proofbox.Output](ctx, c, request{method: http.MethodGet, run: &run, verb: "logs", query: query})
}

// Exchanges gives the calls to models of a run that was recorded, in the order in
// which they ended.
func (c *Client) Exchanges(ctx context.Context, run string) iter.Seq2[proofbox.Exchange, error] {
	return documents[proofbox.Exchange](ctx, c, request{method: http.MethodGet, run: &run, verb: "exchanges"})
}

// documents gives the documents that an answer has, one in each line.
func documents[T any](ctx context.Context, c *Client, r request) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var d T
		resp, err := c.send(ctx, r)
		if err != nil {
			yield(d, err)
			return
		}
		defer resp.Body.Close()
		for dec := json.NewDecoder(resp.Body); ; {
			var d T
			err := dec.Decode(&d)
			if errors.Is(err, io.EOF) || !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// Stop ends a run and returns its record when it has been torn down.
func (c *Client) Stop(ctx context.Context, run string) (proofbox.Run, error) {
	return ask[proofbox.Run](ctx, c, request{
		method: http.MethodPost, run: &run, verb: "stop", live: true,
	})
}

// Deny takes destinations away from a running box: connections to them are ended,
// and no new ones are made.
func (c *Client) Deny(ctx context.Context, run string, r proofbox.DenyRequest) (proofbox.Denied, error) {
	return ask[proofbox.Denied](ctx, c, request{method: http.MethodPost, run: &run, verb: "deny", live: true, body: r})
}

// Diff gives a run's changes.
func (c *Client) Diff(ctx context.Context, run string, r proofbox.DiffRequest) (proofbox.Diff, error) {
	return ask[proofbox.Diff](ctx, c, request{method: http.MethodPost, run: &run, verb: "diff", body: r})
}

// Keep applies changes of a run to its original.
func (c *Client) Keep(ctx context.Context, run string, r proofbox.KeepRequest) (proofbox.KeepReceipt, error) {
	return ask[proofbox.KeepReceipt](ctx, c, request{method: http.MethodPost, run: &run, verb: "keep", body: r})
}

// Discard throws a run's changes away.
func (c *Client) Discard(ctx context.Context, run string) (proofbox.Run, error) {
	return ask[proofbox.Run](ctx, c, request{method: http.MethodPost, run: &run, verb: "discard"})
}

// Decide notes choices about a run's changes, and applies nothing.
func (c *Client) Decide(ctx context.Context, run string, r proofbox.ChoiceRequest) (proofbox.Run, error) {
	return ask[proofbox.Run](ctx, c, request{method: http.MethodPost, run: &run, verb: "decide", body: r})
}

// Undo takes back what the last keep of a run has written.
func (c *Client) Undo(ctx context.Context, run string, r proofbox.UndoRequest) (proofbox.KeepReceipt, error) {
	return ask[proofbox.KeepReceipt](ctx, c, request{method: http.MethodPost, run: &run, verb: "undo", body: r})
}

// Send sends requests of a run that were held.
func (c *Client) Send(ctx context.Context, run string, r proofbox.SendRequest) (proofbox.Run, error) {
	return ask[proofbox.Run](ctx, c, request{method: http.MethodPost, run: &run, verb: "send", body: r})
}

// ReadFile reads a file of a running box, as the box's user sees it. The path is
// absolute; the writable copy is in /workspace.
func (c *Client) ReadFile(ctx context.Context, run, path string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, request{
		method: http.MethodGet, run: &run, verb: "files", live: true,
		query: url.Values{"path": {path}},
	})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// WriteFile writes a file of a running box, whole or not at all. The path is
// absolute; the writable copy is in /workspace.
func (c *Client) WriteFile(ctx context.Context, run, path string, mode fs.FileMode, r io.Reader) error {
	_, err := ask[struct{}](ctx, c, request{
		method: http.MethodPut, run: &run, verb: "files", live: true, body: r,
		query: url.Values{"path": {path}, "mode": {strconv.FormatUint(uint64(mode.Perm()), 8)}},
	})
	return err
}

// Log gives the last n events of the audit log, the oldest first; all where n
// is 0.
func (c *Client) Log(ctx context.Context, n int) ([]proofbox.LogEntry, error) {
	return ask[[]proofbox.LogEntry](ctx, c, request{
		method: http.MethodGet, path: "/v1/log", query: url.Values{"n": {strconv.Itoa(n)}},
	})
}

// VerifyLog checks the whole audit log for altered bytes.
func (c *Client) VerifyLog(ctx context.Context) (proofbox.LogReport, error) {
	return ask[proofbox.LogReport](ctx, c, request{method: http.MethodGet, path: "/v1/log/verify"})
}

// Metrics gives what is on record here in the text format of Prometheus.
func (c *Client) Metrics(ctx context.Context) (io.ReadCloser, error) {
	resp, err := c.send(ctx, request{method: http.MethodGet, path: "/metrics"})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Spending gives what every account has spent.
func (c *Client) Spending(ctx context.Context) ([]proofbox.Balance, error) {
	return ask[[]proofbox.Balance](ctx, c, request{method: http.MethodGet, path: "/v1/spend"})
}

// Cap caps an account and gives its balances.
func (c *Client) Cap(ctx context.Context, r proofbox.CapRequest) ([]proofbox.Balance, error) {
	return ask[[]proofbox.Balance](ctx, c, request{method: http.MethodPost, path: "/v1/spend/caps", body: r})
}

// AbandonSpending charges in full what a run of a lost host holds.
func (c *Client) AbandonSpending(ctx context.Context, r proofbox.AbandonRequest) (proofbox.Abandoned, error) {
	return ask[proofbox.Abandoned](ctx, c, request{method: http.MethodPost, path: "/v1/spend/abandon", body: r})
}

// VerifySpending replays the ledger of spending and looks for a moment at which
// a cap was passed.
func (c *Client) VerifySpending(ctx context.Context) (proofbox.SpendReport, error) {
	return ask[proofbox.SpendReport](ctx, c, request{method: http.MethodGet, path: "/v1/spend/verify"})
}

// SpendHistory gives the newest charges, the newest first.
func (c *Client) SpendHistory(ctx context.Context, r proofbox.HistoryRequest) ([]proofbox.Charge, error) {
	return ask[[]proofbox.Charge](ctx, c, request{method: http.MethodPost, path: "/v1/spend/history", body: r})
}

// WhatIf says what another cap would have done to what was spent, and proposes a
// cap for each kind of task.
func (c *Client) WhatIf(ctx context.Context, r proofbox.WhatIfRequest) (proofbox.WhatIf, error) {
	return ask[proofbox.WhatIf](ctx, c, request{method: http.MethodPost, path: "/v1/spend/what-if", body: r})
}

// Doctor starts a real box behind every wall and says what works.
func (c *Client) Doctor(ctx context.Context, progress func(proofbox.Event)) (proofbox.Health, error) {
	return steps[proofbox.Health](ctx, c, request{method: http.MethodGet, path: "/v1/doctor"}, progress)
}

// Setup finds what this host lacks and, with install, installs it.
func (c *Client) Setup(ctx context.Context, install bool, progress func(proofbox.Event)) (proofbox.Setup, error) {
	query := url.Values{}
	if install {
		query.Set("install", "1")
	}
	return steps[proofbox.Setup](ctx, c, request{method: http.MethodPost, path: "/v1/setup", query: query}, progress)
}

// steps reads an answer of [api.Step] lines.
func steps[T any](ctx context.Context, c *Client, r request, progress func(proofbox.Event)) (T, error) {
	var result T
	resp, err := c.send(ctx, r)
	if err != nil {
		return result, err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	for {
		var s api.Step
		if err := dec.Decode(&s); err != nil {
			return result, fmt.Errorf("reading proofbox's answer: %w", err)
		}
		switch {
		case s.Problem != nil:
			return result, s.Problem
		case s.Result != nil:
			return result, json.Unmarshal(s.Result, &result)
		case s.Event != nil && progress != nil:
			progress(*s.Event)
		}
	}
}
