package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strconv"

	"proofbox"
)

// PlanRequest is the body of POST /v1/plan.
type PlanRequest struct {
	Spec    proofbox.Spec `json:"spec"`
	Command []string      `json:"command"`
}

func (h handler) plan(w http.ResponseWriter, r *http.Request) error {
	var req PlanRequest
	if err := read(r, &req); err != nil {
		return err
	}
	plan, err := h.service.Plan(r.Context(), req.Spec, req.Command)
	return reply(w, plan, err)
}

func (h handler) runs(w http.ResponseWriter, r *http.Request) error {
	runs, err := h.service.Runs(r.Context())
	if runs == nil {
		runs = []proofbox.Run{}
	}
	return reply(w, runs, err)
}

func (h handler) show(w http.ResponseWriter, r *http.Request) error {
	run, err := h.service.Show(r.Context(), r.PathValue("run"))
	return reply(w, run, err)
}

// logs writes one [proofbox.Output] a line.
func (h handler) logs(w http.ResponseWriter, r *http.Request) error {
	follow := r.URL.Query().Get("follow") == "1"
	return lines(w, h.service.Logs(r.Context(), r.PathValue("run"), follow), follow)
}

// exchanges writes one [proofbox.Exchange] a line.
func (h handler) exchanges(w http.ResponseWriter, r *http.Request) error {
	return lines(w, h.service.Exchanges(r.Context(), r.PathValue("run")), false)
}

// lines writes a document in each line; at once where somebody waits for each.
func lines[T any](w http.ResponseWriter, documents iter.Seq2[T, error], flush bool) error {
	begun := false
	enc := json.NewEncoder(w)
	for d, err := range documents {
		if err != nil && !begun {
			return err
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the caller must not take it for the end
		}
		if !begun {
			w.Header().Set("Content-Type", "application/jsonl")
			begun = true
		}
		if err := enc.Encode(d); err != nil {
			return nil // the caller has gone
		}
		if flush {
			_ = http.NewResponseController(w).Flush()
		}
	}
	return nil
}

func (h handler) stop(w http.ResponseWriter, r *http.Request) error {
	run, err := h.service.Stop(r.Context(), r.PathValue("run"))
	return reply(w, run, err)
}

func (h handler) deny(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.DenyRequest
	if err := read(r, &req); err != nil {
		return err
	}
	denied, err := h.service.Deny(r.Context(), r.PathValue("run"), req)
	return reply(w, denied, err)
}

func (h handler) diff(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.DiffRequest
	if err := read(r, &req); err != nil {
		return err
	}
	diff, err := h.service.Diff(r.Context(), r.PathValue("run"), req)
	if diff.Changes == nil {
		diff.Changes = []proofbox.Change{}
	}
	return reply(w, diff, err)
}

func (h handler) keep(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.KeepRequest
	if err := read(r, &req); err != nil {
		return err
	}
	receipt, err := h.service.Keep(r.Context(), r.PathValue("run"), req)
	return reply(w, receipt, err)
}

func (h handler) discard(w http.ResponseWriter, r *http.Request) error {
	run, err := h.service.Discard(r.Context(), r.PathValue("run"))
	return reply(w, run, err)
}

func (h handler) decide(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.ChoiceRequest
	if err := read(r, &req); err != nil {
		return err
	}
	run, err := h.service.Decide(r.Context(), r.PathValue("run"), req)
	return reply(w, run, err)
}

func (h handler) undo(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.UndoRequest
	if err := read(r, &req); err != nil {
		return err
	}
	receipt, err := h.service.Undo(r.Context(), r.PathValue("run"), req)
	return reply(w, receipt, err)
}

func (h handler) send(w http.ResponseWriter, r *http.Request) error {
	var req proofbox.SendRequest
	if err := read(r, &req); err != nil {
		return err
	}
	run, err := h.service.Send(r.Context(), r.PathValue("run"), req)
	return reply(w, run, err)
}

func (h handler) readFile(w http.ResponseWriter, r *http.Request) error {
	f, err := h.service.ReadFile(r.Context(), r.PathValue("run"), r.URL.Query().Get("path"))
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	if _, err := io.Copy(w, f); err != nil {
		panic(http.ErrAbortHandler) // the caller must not take it for the end
	}
	return nil
}

// metrics answers whoever collects them; see the text format of Prometheus.
func (h handler) metrics(w http.ResponseWriter, r *http.Request) error {
	var text bytes.Buffer
	if err := h.service.Metrics(r.Context(), &text); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, err := text.WriteTo(w)
	return err
}

func (h handler) writeFile(w http.ResponseWriter, r *http.Request) error {
	mode, err := strconv.ParseUint(r.URL.Query().Get("mode"), 8, 32)
	if err != nil {
		return &proofbox.Problem{Code: proofbox.CodeInvalid, Message: fmt.Sprintf("the mode %q is not an octal number", r.URL.Query().Get("mode"))}
	}
	err = h.service.WriteFile(r.Context(), r.PathValue("run"), r.URL.Query().Get("path"), fs.FileMode(mode), r.Body)
	return reply(w, struct{}{}, err)
}

func (h handler) log(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || n < 0 {
		n = 0
	}
	entries, err := h.service.Log(r.Context(), n)
	if entries == nil {
		entries = []proofbox.LogEntry{}
	}
	return reply(w, entries, err)
}

func (h handler) verifyLog(w http.ResponseWriter, r *http.Request) error {
	report, err := h.service.VerifyLog(r.Context())
	return reply(w, report, err)
}

// Step is one line of the answer to a request that takes long: what goes on,
// and, last, the result or the problem.
type Step struct {
	Event   *proofbox.Event   `json:"event,omitempty"`
	Result  json.RawMessage   `json:"result,omitempty"`
	Problem *proofbox.Problem `json:"problem,omitempty"`
}

func (h handler) doctor(w http.ResponseWriter, r *http.Request) error {
	return steps(w, func(progress func(proofbox.Event)) (any, error) {
		return h.service.Doctor(r.Context(), progress)
	})
}

func (h handler) setup(w http.ResponseWriter, r *http.Request) error {
	install := r.URL.Query().Get("install") == "1"
	return steps(w, func(progress func(proofbox.Event)) (any, error) {
		return h.service.Setup(r.Context(), install, progress)
	})
}

// steps answers with [Step] lines. Errors of writing mean that the caller has
// gone.
func steps(w http.ResponseWriter, work func(func(proofbox.Event)) (any, error)) error {
	w.Header().Set("Content-Type", "application/jsonl")
	enc := json.NewEncoder(w)
	result, err := work(func(e proofbox.Event) {
		_ = enc.Encode(Step{Event: &e})
		_ = http.NewResponseController(w).Flush()
	})
	end := last(result, err)
	_ = enc.Encode(Step{Result: end.Result, Problem: end.Problem})
	return nil
}
