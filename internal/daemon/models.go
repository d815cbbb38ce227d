package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"proofbox"
	"proofbox/internal/model"
	"proofbox/internal/recording"
	"proofbox/internal/spend"
)

// allRuns is the account above every run's.
const allRuns = "runs"

func accountOf(run string) string { return allRuns + "/" + run }

// purse pays for one run.
type purse struct {
	ledger *spend.Ledger
	run    string
}

var _ model.Purse = purse{}

// Hold implements [model.Purse].
func (p purse) Hold(ctx context.Context, fixed, each proofbox.Money, wanted int64, detail string) (int64, proofbox.CapCertificate, error) {
	h, err := p.ledger.Reserve(ctx, spend.Claim{
		Account: accountOf(p.run), Owner: p.run, Fixed: fixed, Each: each, Units: wanted, Least: 1, Detail: detail,
	})
	if refused, ok := errors.AsType[*spend.Refused](err); ok {
		return 0, proofbox.CapCertificate{}, fmt.Errorf("%w: %w", model.ErrNoMoney, refused)
	}
	return h.Units, proofbox.CapCertificate{Hold: h.ID, Lease: h.Lease, Time: h.Time, Bound: h.Amount, Balances: h.Balances}, err
}

// Settle implements [model.Purse].
func (p purse) Settle(hold int64, charge proofbox.Money) { p.ledger.SettleSoon(hold, charge) }

// desk makes what answers the run's calls to models; nil where it has none. The
// models are reached until the context ends.
func (d *Daemon) desk(over context.Context, run string, p *prepared, t trace) (http.Handler, error) {
	if len(p.plan.Spec.Models) == 0 {
		return nil, nil
	}
	ledger, err := d.money.open()
	if err != nil {
		return nil, err
	}
	if limit := p.plan.Terms.Cap; limit != nil {
		if err := ledger.SetCap(over, accountOf(run), proofbox.Total, *limit); err != nil {
			return nil, err
		}
	}
	desk := &model.Desk{Purse: purse{ledger, run}, Ended: t.call}
	if p.plan.Spec.Record {
		if p.recording, err = recording.Create(filepath.Join(d.store.dir(run), recordingFile)); err != nil {
			return nil, err
		}
		desk.Recorder = p.recording
	}
	out := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: handshakeTime,
		IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: maxIdle,
	}
	context.AfterFunc(over, out.CloseIdleConnections)
	for _, m := range p.plan.Spec.Models {
		made, err := provide(over, m, out)
		if err != nil {
			return nil, err
		}
		desk.Models = append(desk.Models, made)
	}
	return desk, nil
}

// Bounds of the connections to providers: a box that makes many calls at once
// makes the next over the same.
const (
	handshakeTime = 10 * time.Second
	maxIdle       = 64
)

// services are the providers that are somewhere else.
var services = map[string]struct{ base, key string }{
	"openai":    {"https://api.openai.com/v1", "OPENAI_API_KEY"},
	"anthropic": {"https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"},
}

// priced gives the models with the prices that they do not say and the table has.
func priced(models []proofbox.Model) []proofbox.Model {
	models = slices.Clone(models)
	for i, m := range models {
		if m.Price != nil || m.Base != "" {
			continue
		}
		if price, ok := model.Listed(m.Provider, m.Name); ok {
			models[i].Price = &price
		}
	}
	return models
}

// provide finds the provider of a model.
func provide(over context.Context, m proofbox.Model, out http.RoundTripper) (model.Model, error) {
	made := model.Model{Name: m.Name, Formats: []string{m.Provider}, MaxOutput: int64(m.MaxOutput)}
	if made.MaxOutput == 0 {
		made.MaxOutput = proofbox.DefaultMaxOutput
	}
	if m.Price != nil {
		made.Prices = model.Prices(*m.Price)
	}
	if service, ok := services[m.Provider]; ok {
		if m.Base != "" {
			service.base, service.key = m.Base, m.KeyFrom
		} else if m.Provider == "openai" {
			made.Counter = model.CounterOf(m.Name)
		}
		made.Base, made.Transport = strings.TrimSuffix(service.base, "/"), out
		if service.key == "" {
			return made, nil
		}
		if made.Key = os.Getenv(service.key); made.Key == "" {
			return made, fmt.Errorf("the model %q needs a key: set %s where proofbox is started; it will not be in the box", m.Name, service.key)
		}
		return made, nil
	}
	script, err := readScript(m.Script)
	if err != nil {
		return made, fmt.Errorf("the model %q: %w", m.Name, err)
	}
	made.Formats = []string{"openai", "anthropic"}
	made.Base, made.Transport = "http://scripted", script.Transport(over)
	return made, nil
}

// maxScript bounds the script of a model.
const maxScript = 16 << 20

func readScript(path string) (*model.Script, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading its script: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxScript+1))
	if err == nil && len(data) > maxScript {
		err = fmt.Errorf("it is larger than %d bytes", maxScript)
	}
	if err != nil {
		return nil, fmt.Errorf("reading its script: %w", err)
	}
	return model.ReadScript(data)
}

// settle charges what a run still holds, and says in its record what it has
// cost.
func (d *Daemon) settle(ctx context.Context, run *proofbox.Run) error {
	if len(run.Plan.Spec.Models) == 0 || !d.money.exists() {
		return nil
	}
	ledger, err := d.money.open()
	if err != nil {
		return err
	}
	if _, err := ledger.Abandon(ctx, run.ID); err != nil {
		return err
	}
	charged, err := ledger.Charged(ctx, accountOf(run.ID))
	run.Spend.USD = charged.String()
	if limit := run.Plan.Terms.Cap; limit != nil {
		run.Spend.Cap = limit.String()
	}
	return err
}

// Spending gives every balance.
func (d *Daemon) Spending(ctx context.Context) ([]proofbox.Balance, error) {
	ledger, err := d.money.open()
	if err != nil {
		return nil, err
	}
	return ledger.Balances(ctx)
}

// Cap caps an account and gives its balances.
func (d *Daemon) Cap(ctx context.Context, r proofbox.CapRequest) ([]proofbox.Balance, error) {
	ledger, err := d.money.open()
	if err != nil {
		return nil, err
	}
	if _, err := proofbox.ParsePeriod(string(r.Period)); err != nil {
		return nil, err
	}
	if err := ledger.SetCap(ctx, r.Account, r.Period, r.USD); err != nil {
		return nil, err
	}
	if err := d.note(ctx, "cap", "", r); err != nil {
		return nil, err
	}
	list, err := ledger.Balances(ctx)
	return slices.DeleteFunc(list, func(b proofbox.Balance) bool { return b.Account != r.Account }), err
}

// AbandonSpending charges in full what a run holds that nobody will settle. That is
// safe where the run lives after all: what it has set aside is charged as well, so it
// spends what was paid for. A run that is on record here is settled when it ends, or
// by the reaper.
func (d *Daemon) AbandonSpending(ctx context.Context, r proofbox.AbandonRequest) (proofbox.Abandoned, error) {
	done := proofbox.Abandoned{Run: r.Run}
	if filepath.Base(r.Run) != r.Run || exists(d.store.live(r.Run)) {
		return done, fmt.Errorf("%q is no run of another host; one of this state folder is settled when it ends: stop it", r.Run)
	}
	ledger, err := d.money.open()
	if err != nil {
		return done, err
	}
	if done.Holds, err = ledger.Abandon(ctx, r.Run); err != nil {
		return done, err
	}
	return done, d.note(ctx, "abandon", "", done)
}

// VerifySpending replays the ledger of spending.
func (d *Daemon) VerifySpending(ctx context.Context) (proofbox.SpendReport, error) {
	ledger, err := d.money.open()
	if err != nil {
		return proofbox.SpendReport{}, err
	}
	return ledger.Verify(ctx)
}
