package daemon

import (
	"context"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"proofbox"
	"proofbox/internal/telemetry"
)

// Metrics writes what is on record here as numbers in Prometheus's text: of the
// ledger of spending, and of the runs that were not discarded. They are of the
// state folder and not of a process, since every run has one of its own.
func (d *Daemon) Metrics(ctx context.Context, w io.Writer) error {
	runs, err := d.store.all()
	if err != nil {
		return err
	}
	families := gatewayMetrics(runs)
	if d.money.exists() {
		spent, err := d.spendMetrics(ctx)
		if err != nil {
			return err
		}
		families = append(families, spent...)
	}
	return telemetry.WriteMetrics(w, families)
}

// gatewayMetrics counts runs, and the connections in their records.
func gatewayMetrics(runs []proofbox.Run) []telemetry.Family {
	states, verdicts := map[string]int64{}, map[string]int64{}
	var sent, received, alarms int64
	for _, r := range runs {
		states[string(r.State)]++
		for _, c := range r.Egress {
			verdicts[c.Verdict] += int64(c.Times)
			sent, received = sent+c.Sent, received+c.Received
			if c.Alarm != "" {
				alarms += int64(c.Times)
			}
		}
	}
	return []telemetry.Family{
		gauge("proofbox_runs", "Runs on record, by state.", counted("state", states)),
		gauge("proofbox_gateway_calls", "Connections and requests that boxes have asked for, in the records of runs, by what became of them.", counted("verdict", verdicts)),
		gauge("proofbox_gateway_sent_bytes", "Bytes that have left boxes, in the records of runs.", one(sent)),
		gauge("proofbox_gateway_received_bytes", "Bytes that have come into boxes, in the records of runs.", one(received)),
		gauge("proofbox_gateway_alarms", "Placeholders of secrets that were sent where they are not for, in the records of runs.", one(alarms)),
	}
}

// Bounds of what is told of the ledger: names are kept for good by who collects.
const (
	maxModels   = 100
	maxAccounts = 60 // with three periods each
)

// spendMetrics tells of models and of accounts, but not of each run's: the account
// above them has their sum, and the history each of them.
func (d *Daemon) spendMetrics(ctx context.Context) ([]telemetry.Family, error) {
	ledger, err := d.money.open()
	if err != nil {
		return nil, err
	}
	models, err := ledger.Models(ctx, maxModels)
	if err != nil {
		return nil, err
	}
	balances, err := ledger.Balances(ctx)
	if err != nil {
		return nil, err
	}
	var calls, open, cost []telemetry.Sample
	for _, m := range models {
		name := []telemetry.Label{{Name: "model", Value: m.Model}}
		calls = append(calls, telemetry.Sample{Labels: name, Value: strconv.FormatInt(m.Calls, 10)})
		open = append(open, telemetry.Sample{Labels: name, Value: strconv.FormatInt(m.Open, 10)})
		cost = append(cost, telemetry.Sample{Labels: name, Value: m.Charged.String()})
	}
	charged, held, caps := accountSamples(balances)
	return []telemetry.Family{
		{Name: "proofbox_model_calls_total", Help: "Calls to models that were paid for.", Kind: "counter", Samples: calls},
		gauge("proofbox_model_calls_open", "Calls to models whose cost is held and not settled.", open),
		{Name: "proofbox_model_charged_usd_total", Help: "What calls to models have cost, in US dollars.", Kind: "counter", Samples: cost},
		gauge("proofbox_spend_charged_usd", "What an account has spent in the current period, in US dollars.", charged),
		gauge("proofbox_spend_held_usd", "What is held for calls that go on, in US dollars.", held),
		gauge("proofbox_spend_cap_usd", "What an account can spend in the period, in US dollars.", caps),
	}, nil
}

// accountSamples gives the balances of accounts in the newest period of each kind.
func accountSamples(balances []proofbox.Balance) (charged, held, caps []telemetry.Sample) {
	newest := map[[2]string]proofbox.Balance{}
	accounts := map[string]bool{}
	for _, b := range balances {
		kind, _, _ := strings.Cut(b.Period, " ")
		key := [2]string{b.Account, kind}
		of, below := strings.CutPrefix(b.Account, allRuns+"/")
		accounts[b.Account] = accounts[b.Account] || len(accounts) < maxAccounts
		if below && of != "" || !accounts[b.Account] || newest[key].Period > b.Period {
			continue
		}
		newest[key] = b
	}
	for _, key := range slices.SortedFunc(maps.Keys(newest), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		b := newest[key]
		labels := []telemetry.Label{{Name: "account", Value: key[0]}, {Name: "period", Value: key[1]}}
		charged = append(charged, telemetry.Sample{Labels: labels, Value: b.Charged.String()})
		held = append(held, telemetry.Sample{Labels: labels, Value: b.Held.String()})
		if b.Cap != nil {
			caps = append(caps, telemetry.Sample{Labels: labels, Value: b.Cap.String()})
		}
	}
	return charged, held, caps
}

func gauge(name, help string, samples []telemetry.Sample) telemetry.Family {
	return telemetry.Family{Name: name, Help: help, Kind: "gauge", Samples: samples}
}

func one(n int64) []telemetry.Sample { return []telemetry.Sample{{Value: strconv.FormatInt(n, 10)}} }

// counted gives numbers by the value of one label.
func counted(label string, numbers map[string]int64) (samples []telemetry.Sample) {
	for _, value := range slices.Sorted(maps.Keys(numbers)) {
		samples = append(samples, telemetry.Sample{Labels: []telemetry.Label{{Name: label, Value: value}}, Value: strconv.FormatInt(numbers[value], 10)})
	}
	return samples
}
