// Package api serves proofbox over HTTP: the same verbs as the command line,
// for the command line itself, for other processes on this host and, later,
// for other hosts. Documents are those of package proofbox; an error is a
// [proofbox.Problem].
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"syscall"

	"proofbox"
)

// Boxes runs commands in boxes.
type Boxes interface {
	// Plan says what a run would do, without doing it.
	Plan(ctx context.Context, spec proofbox.Spec, command []string) (proofbox.Plan, error)
	// Run runs a command in a new box until it has been torn down. The end of
	// the context stops the run, unless it is detached.
	Run(ctx context.Context, r proofbox.RunRequest, s Session) (proofbox.Run, error)
	// Exec runs a further command in a box that this process supervises.
	Exec(ctx context.Context, run string, r proofbox.ExecRequest, s Session) (proofbox.ExecResult, error)
	// Deny takes destinations away from a running box.
	Deny(ctx context.Context, run string, r proofbox.DenyRequest) (proofbox.Denied, error)
	// Stop ends a run and returns when it has been torn down.
	Stop(ctx context.Context, run string) (proofbox.Run, error)
}

// Records tells what runs have done.
type Records interface {
	Runs(ctx context.Context) ([]proofbox.Run, error)
	Show(ctx context.Context, run string) (proofbox.Run, error)
	// Logs gives the output of a run; with follow it ends when the run does.
	Logs(ctx context.Context, run string, follow bool) iter.Seq2[proofbox.Output, error]
	// Exchanges gives the recorded calls of a run to models.
	Exchanges(ctx context.Context, run string) iter.Seq2[proofbox.Exchange, error]
}

// Files reads and writes files of a running box.
type Files interface {
	ReadFile(ctx context.Context, run, path string) (io.ReadCloser, error)
	WriteFile(ctx context.Context, run, path string, mode fs.FileMode, r io.Reader) error
}

// Changes decides what becomes of a run's changes.
type Changes interface {
	Diff(ctx context.Context, run string, r proofbox.DiffRequest) (proofbox.Diff, error)
	Keep(ctx context.Context, run string, r proofbox.KeepRequest) (proofbox.KeepReceipt, error)
	// Prove runs a command on what a keep would leave, and writes nothing.
	Prove(ctx context.Context, run string, r proofbox.ProofRequest, s Session) (proofbox.Proof, error)
	Discard(ctx context.Context, run string) (proofbox.Run, error)
}

// Decisions are made before changes are applied, and taken back after.
type Decisions interface {
	// Decide notes choices and applies nothing.
	Decide(ctx context.Context, run string, r proofbox.ChoiceRequest) (proofbox.Run, error)
	// Undo takes back what the last keep has written.
	Undo(ctx context.Context, run string, r proofbox.UndoRequest) (proofbox.KeepReceipt, error)
	// Send sends requests that were held.
	Send(ctx context.Context, run string, r proofbox.SendRequest) (proofbox.Run, error)
}

// Ledger is the audit log.
type Ledger interface {
	// Log gives the last n events, all where n is 0, the oldest first.
	Log(ctx context.Context, n int) ([]proofbox.LogEntry, error)
	VerifyLog(ctx context.Context) (proofbox.LogReport, error)
}

// Money is the ledger of what runs have spent.
type Money interface {
	// Spending gives every balance.
	Spending(ctx context.Context) ([]proofbox.Balance, error)
	// Cap caps an account and gives its balances.
	Cap(ctx context.Context, r proofbox.CapRequest) ([]proofbox.Balance, error)
	// AbandonSpending charges in full what a run holds that is on no record here.
	AbandonSpending(ctx context.Context, r proofbox.AbandonRequest) (proofbox.Abandoned, error)
	// VerifySpending replays the ledger from its beginning.
	VerifySpending(ctx context.Context) (proofbox.SpendReport, error)
	// SpendHistory gives the newest charges, the newest first.
	SpendHistory(ctx context.Context, r proofbox.HistoryRequest) ([]proofbox.Charge, error)
	// WhatIf says what another cap would have done, and proposes caps.
	WhatIf(ctx context.Context, r proofbox.WhatIfRequest) (proofbox.WhatIf, error)
}

// Host looks after this machine.
type Host interface {
	Doctor(ctx context.Context, progress func(proofbox.Event)) (proofbox.Health, error)
	// Setup finds what this host lacks and, where install is set, installs it.
	Setup(ctx context.Context, install bool, progress func(proofbox.Event)) (proofbox.Setup, error)
	// Metrics writes what is on record here in the text format of Prometheus.
	Metrics(ctx context.Context, w io.Writer) error
}

// Walls puts the walls of this machine to the test.
type Walls interface {
	// Breakout tries to break out of a wall.
	Breakout(ctx context.Context, r proofbox.TrialRequest, progress func(proofbox.Event)) (proofbox.Trial, error)
	// VerifyCertificate checks the certificate of a trial against this host.
	VerifyCertificate(ctx context.Context, envelope []byte) (proofbox.CertificateCheck, error)
	// Probes lists what a trial attempts.
	Probes(ctx context.Context) ([]proofbox.ProbeInfo, error)
}

// Contents says what data sets are.
type Contents interface {
	// Scan looks for identifiers and secrets in the data set at a path.
	Scan(ctx context.Context, path string, names bool) (proofbox.Scan, error)
	Seal(ctx context.Context, r proofbox.SealRequest) (proofbox.Verified, error)
	Mask(ctx context.Context, r proofbox.MaskRequest) (proofbox.Verified, error)
	Unmask(ctx context.Context, r proofbox.UnmaskRequest) (proofbox.Unmasked, error)
	Verify(ctx context.Context, path string, all bool) (proofbox.Verified, error)
	// Synthesise makes up a data set.
	Synthesise(ctx context.Context, r proofbox.SynthRequest) (proofbox.Synthesised, error)
	// Mess says how dirty a data set is.
	Mess(ctx context.Context, r proofbox.MessRequest) (proofbox.MessJudged, error)
	// Seen gives the data sets that a run's box could read.
	Seen(ctx context.Context, run string) (proofbox.Sight, error)
}

// Service is all of it.
type Service interface {
	Boxes
	Records
	Files
	Changes
	Decisions
	Ledger
	Money
	Host
	Walls
	Contents
}

// Session is the caller's end of a command. Its functions are never nil.
type Session struct {
	Stdin          io.Reader // nil for none
	Stdout, Stderr io.Writer
	// Event tells the caller what goes on.
	Event func(proofbox.Event)
	// Drive is called with the running command, for the caller's signals and
	// the size of its terminal.
	Drive func(Driver)
}

// Driver steers a running command.
type Driver interface {
	Signal(syscall.Signal) error
	Resize(proofbox.TerminalSize) error
}

// maxRequest bounds the JSON of a request; a patch may be in it.
const maxRequest = 128 << 20

// Handler serves a service.
func Handler(s Service) http.Handler {
	h := handler{s}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /v1/plan":                h.plan,
		"POST /v1/runs":                h.run,
		"GET /v1/runs":                 h.runs,
		"GET /v1/runs/{run}":           h.show,
		"GET /v1/runs/{run}/logs":      h.logs,
		"GET /v1/runs/{run}/exchanges": h.exchanges,
		"POST /v1/runs/{run}/exec":     h.exec,
		"POST /v1/runs/{run}/stop":     h.stop,
		"POST /v1/runs/{run}/diff":     h.diff,
		"POST /v1/runs/{run}/keep":     h.keep,
		"POST /v1/runs/{run}/prove":    h.prove,
		"POST /v1/runs/{run}/discard":  h.discard,
		"POST /v1/runs/{run}/decide":   h.decide,
		"POST /v1/runs/{run}/undo":     h.undo,
		"POST /v1/runs/{run}/deny":     h.deny,
		"POST /v1/runs/{run}/send":     h.send,
		"GET /v1/runs/{run}/files":     h.readFile,
		"PUT /v1/runs/{run}/files":     h.writeFile,
		"GET /v1/log":                  h.log,
		"GET /v1/log/verify":           h.verifyLog,
		"GET /v1/spend":                h.spending,
		"POST /v1/spend/caps":          h.cap,
		"POST /v1/spend/abandon":       h.abandonSpending,
		"GET /v1/spend/verify":         h.verifySpending,
		"POST /v1/spend/history":       h.spendHistory,
		"POST /v1/spend/what-if":       h.whatIf,
		"GET /metrics":                 h.metrics,
		"GET /v1/doctor":               h.doctor,
		"POST /v1/setup":               h.setup,
		"POST /v1/breakout":            h.breakout,
		"GET /v1/breakout/probes":      h.probes,
		"GET /v1/runs/{run}/contents":  h.seen,
		"POST /v1/contents/scan":       h.scan,
		"POST /v1/contents/seal":       h.seal,
		"POST /v1/contents/mask":       h.mask,
		"POST /v1/contents/unmask":     h.unmask,
		"POST /v1/contents/verify":     h.verify,
		"POST /v1/contents/synth":      h.synthesise,
		"POST /v1/contents/mess":       h.mess,
		"POST /v1/breakout/verify":     h.verifyCertificate,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := handle(w, r); err != nil {
				fail(w, err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &proofbox.Problem{
			Code:    proofbox.CodeNotFound,
			Message: fmt.Sprintf("this version of proofbox has no %s %s", r.Method, r.URL.Path),
		})
	})
	return mux
}

type handler struct{ service Service }

// reply writes a document.
func reply(w http.ResponseWriter, v any, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// read reads a request's document strictly.
func read(r *http.Request, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return &proofbox.Problem{Code: proofbox.CodeInvalid, Message: fmt.Sprintf("reading the request: %v", err)}
	}
	return nil
}

// fail writes an error. Where an answer has begun already, the status cannot
// be changed any more and the caller sees it break off.
func fail(w http.ResponseWriter, err error) {
	p := problem(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status(p.Code))
	_ = json.NewEncoder(w).Encode(p) // the caller may have gone
}

// problem puts an error into the form of the API.
func problem(err error) *proofbox.Problem {
	if p, ok := errors.AsType[*proofbox.Problem](err); ok {
		return p
	}
	p := &proofbox.Problem{Code: proofbox.CodeFailed, Message: err.Error()}
	if refusal, ok := errors.AsType[*proofbox.Refusal](err); ok {
		p.Code, p.Refusal = proofbox.CodeRefused, refusal
	} else if _, ok := errors.AsType[interface {
		error
		NotFound() bool
	}](err); ok || errors.Is(err, fs.ErrNotExist) {
		p.Code = proofbox.CodeNotFound
	} else if _, ok := errors.AsType[interface {
		error
		Conflict() bool
	}](err); ok {
		p.Code = proofbox.CodeConflict
	} else if _, ok := errors.AsType[interface {
		error
		Invalid() bool
	}](err); ok {
		p.Code = proofbox.CodeInvalid
	}
	return p
}

func status(code string) int {
	switch code {
	case proofbox.CodeRefused:
		return http.StatusUnprocessableEntity
	case proofbox.CodeNotFound:
		return http.StatusNotFound
	case proofbox.CodeConflict:
		return http.StatusConflict
	case proofbox.CodeInvalid:
		return http.StatusBadRequest
	case proofbox.CodeForbidden:
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}
