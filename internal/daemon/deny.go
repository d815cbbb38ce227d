package daemon

import (
	"context"
	"errors"
	"strings"

	"proofbox"
	"proofbox/internal/policy"
)

// Deny takes destinations away from a running box. The run's record has them at its
// end; of a run whose supervisor was killed the audit log has them alone.
func (d *Daemon) Deny(ctx context.Context, name string, r proofbox.DenyRequest) (proofbox.Denied, error) {
	s, _, err := d.running(name)
	if err != nil {
		return proofbox.Denied{}, err
	}
	if s.gateway == nil {
		return proofbox.Denied{}, &StateError{Run: s.run.ID, Why: "it is a trial's, and has no gateway"}
	}
	if len(r.Hosts) == 0 {
		return proofbox.Denied{}, errors.New("no host is named; name those that the box may not reach any more")
	}
	rules := make([]proofbox.Destination, len(r.Hosts))
	for i, host := range r.Hosts {
		if rules[i], err = policy.ParseDestination(host); err != nil {
			return proofbox.Denied{}, err
		}
		if !strings.Contains(host, ":") {
			rules[i].Port = 0 // every one
		}
	}
	s.gateway.Deny(rules...)
	denied := proofbox.Denied{Run: s.run.ID, Denied: s.gateway.Denied()}
	return denied, d.note(ctx, "deny", s.run.ID, denied.Denied)
}
