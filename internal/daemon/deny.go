package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"proofbox"
	"proofbox/internal/policy"
)

// deniedFile has what was taken away from a run's box, for the record of a run
// whose supervisor was killed.
const deniedFile = "denied.json"

// Deny takes destinations away from a running box. The run's record has them at its
// end.
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
	denied, err := s.deny(rules)
	return denied, errors.Join(err, d.note(ctx, "deny", s.run.ID, denied.Denied))
}

// deny takes destinations away, also from what is sent for the run later.
func (s *session) deny(rules []proofbox.Destination) (proofbox.Denied, error) {
	s.mu.Lock() // so that the list on the disk does not become shorter
	defer s.mu.Unlock()
	s.gateway.Deny(rules...)
	denied := proofbox.Denied{Run: s.run.ID, Denied: s.gateway.Denied()}
	data, err := json.Marshal(denied.Denied)
	if err == nil {
		err = writeFile(filepath.Join(s.daemon.store.dir(s.run.ID), deniedFile), data)
	}
	if err != nil {
		err = fmt.Errorf("they are taken away, but this may be forgotten if the supervisor is killed: %w", err)
	}
	return denied, err
}

// recallDenied reads what was taken away from a run whose supervisor has died.
func (d *Daemon) recallDenied(run *proofbox.Run) error {
	data, err := os.ReadFile(filepath.Join(d.store.dir(run.ID), deniedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &run.Denied)
	}
	if err != nil {
		return fmt.Errorf("reading what was taken away from the run: %w", err)
	}
	return nil
}
