package daemon

import (
	"context"
	"errors"
	"time"

	"proofbox"
	"proofbox/internal/audit"
)

// Log gives the last n events of the audit log, the oldest first; all where n
// is 0.
func (d *Daemon) Log(ctx context.Context, n int) ([]proofbox.LogEntry, error) {
	var entries []proofbox.LogEntry
	for e, err := range d.log.Events() {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries = append(entries, proofbox.LogEntry{
			Index: e.Index, Time: e.Time.UTC().Format(time.RFC3339Nano), Kind: e.Kind, Run: e.Run, Detail: e.Detail,
		})
		if n > 0 && len(entries) > n {
			entries = entries[1:]
		}
	}
	return entries, nil
}

// VerifyLog checks the whole audit log. What is wrong with it is in the report;
// an error says that it could not be looked at.
func (d *Daemon) VerifyLog(context.Context) (proofbox.LogReport, error) {
	report, err := d.log.Verify()
	r := proofbox.LogReport{OK: err == nil, Entries: report.Entries, Root: report.Root}
	if altered, ok := errors.AsType[*audit.AlteredError](err); ok {
		r.Problem, err = altered.Error(), nil
	}
	return r, err
}
