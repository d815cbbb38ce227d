package daemon

import (
	"cmp"
	"context"
	"maps"
	"path/filepath"
	"slices"

	"proofbox"
	"proofbox/internal/spend"
)

// kinds gives the kind of task of every run that is kept.
func (d *Daemon) kinds() (map[string]string, error) {
	runs, err := d.store.all()
	if err != nil {
		return nil, err
	}
	of := map[string]string{}
	for _, run := range runs {
		of[run.ID] = run.Plan.Spec.Name
		if of[run.ID] == "" && len(run.Plan.Command) > 0 {
			of[run.ID] = filepath.Base(run.Plan.Command[0])
		}
	}
	return of, nil
}

// unknownKind is the kind of runs of which there is no record any more.
const unknownKind = "unknown"

// maxHistory bounds the charges of one answer.
const maxHistory = 10_000

// SpendHistory gives the newest charges, the newest first.
func (d *Daemon) SpendHistory(ctx context.Context, r proofbox.HistoryRequest) ([]proofbox.Charge, error) {
	ledger, err := d.money.open()
	if err != nil {
		return nil, err
	}
	kinds, err := d.kinds()
	if err != nil {
		return nil, err
	}
	calls, err := ledger.History(ctx, r.Account, max(0, min(r.Limit, maxHistory)))
	charges := make([]proofbox.Charge, len(calls))
	for i, c := range calls {
		charges[i] = proofbox.Charge{
			Hold: c.ID, Account: c.Account, Run: c.Owner, Kind: cmp.Or(kinds[c.Owner], unknownKind), Time: c.At, Model: c.Model(), Held: c.Held,
		}
		if c.End > 0 {
			charges[i].Charged = &c.Charged
		}
	}
	return charges, err
}

// WhatIf says what another cap would have done, and proposes caps.
func (d *Daemon) WhatIf(ctx context.Context, r proofbox.WhatIfRequest) (proofbox.WhatIf, error) {
	report := proofbox.WhatIf{Cap: r.Cap, Stopped: []proofbox.Stop{}, Proposals: []proofbox.Proposal{}}
	if _, err := proofbox.ParsePeriod(string(r.Period)); err != nil {
		return report, err
	}
	ledger, err := d.money.open()
	if err != nil {
		return report, err
	}
	kinds, err := d.kinds()
	if err != nil {
		return report, err
	}
	calls, err := ledger.All(ctx, r.Account)
	if err != nil {
		return report, err
	}
	costs := map[string]proofbox.Money{}
	owners := map[string]string{}
	for _, c := range calls {
		report.Spent += c.Charged
		costs[c.Owner] += c.Charged
		owners[c.Account] = c.Owner
	}
	report.Proposals = propose(costs, kinds)
	if r.Cap == nil {
		return report, nil
	}
	report.Stopped, report.Spenders = spend.WhatIf(calls, spend.Scope{Account: r.Account, Period: r.Period}, *r.Cap)
	for i, s := range report.Stopped {
		if run, ok := owners[s.Account]; ok {
			report.Stopped[i].Kind = cmp.Or(kinds[run], unknownKind)
		}
	}
	return report, nil
}

// propose proposes a cap for each kind of task, in the order of their names.
func propose(costs map[string]proofbox.Money, kinds map[string]string) []proofbox.Proposal {
	of := map[string][]proofbox.Money{}
	for run, cost := range costs {
		kind := cmp.Or(kinds[run], unknownKind)
		of[kind] = append(of[kind], cost)
	}
	proposals := []proofbox.Proposal{}
	for _, kind := range slices.Sorted(maps.Keys(of)) {
		proposals = append(proposals, spend.Propose(kind, of[kind]))
	}
	return proposals
}
