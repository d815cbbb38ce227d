package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"proofbox"
	"proofbox/internal/gateway"
)

// Send sends requests of a run that were held, one after the other, each once.
func (d *Daemon) Send(ctx context.Context, name string, r proofbox.SendRequest) (proofbox.Run, error) {
	id, err := d.store.resolve(name)
	if err != nil {
		return proofbox.Run{}, err
	}
	run, err := d.store.load(id)
	if err != nil {
		return proofbox.Run{}, err
	}
	if run.State != proofbox.Ended {
		return *run, &StateError{Run: id, Why: "it is still running; what it would send can be sent when it has ended"}
	}
	dir := filepath.Join(d.store.dir(id), stagedDir)
	lock, err := alone(dir)
	if err != nil {
		return *run, &StateError{Run: id, Why: err.Error()}
	}
	defer lock.Close()
	chosen, err := d.chosen(id, r)
	if err != nil {
		return *run, err
	}
	err = d.sendAll(ctx, run, dir, chosen)
	var listErr error
	run.Staged, listErr = d.staged(id, false)
	return *run, errors.Join(err, listErr)
}

// alone keeps others from sending requests of the same run.
func alone(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, errors.New("no request of it was held")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, errors.New("its requests are being sent by somebody else")
	}
	return f, nil
}

// chosen finds the requests that are to be sent.
func (d *Daemon) chosen(run string, r proofbox.SendRequest) ([]proofbox.Staged, error) {
	list, err := d.staged(run, false)
	if err != nil {
		return nil, err
	}
	named := map[int]string{}
	for _, id := range r.Of {
		named[id.N] = id.Hash
	}
	var chosen []proofbox.Staged
	for _, s := range list {
		hash, is := named[s.N]
		delete(named, s.N)
		switch {
		case !is && (!r.All || s.State != proofbox.Held):
			continue
		case is && hash != s.Hash:
			return nil, &StateError{Run: run, Why: fmt.Sprintf("request %d is not the one that was shown: name it as `proofbox diff` does, %d@%s", s.N, s.N, s.Hash)}
		case s.State == proofbox.Sending && !r.Again:
			return nil, &StateError{Run: run, Why: fmt.Sprintf("request %d may have arrived already; look there, and send it with --again if it has not", s.N)}
		case s.State == proofbox.Sent || s.State == proofbox.Dropped:
			return nil, &StateError{Run: run, Why: fmt.Sprintf("request %d was %s", s.N, s.State)}
		}
		chosen = append(chosen, s)
	}
	for n := range named {
		return nil, &StateError{Run: run, Why: fmt.Sprintf("it has no request %d", n)}
	}
	if len(chosen) == 0 {
		return nil, &StateError{Run: run, Why: "nothing of it waits to be sent"}
	}
	return chosen, nil
}

// outgoing is what the audit log says of a request that is sent.
type outgoing struct {
	N      int    `json:"n"`
	Hash   string `json:"hash"`
	Method string `json:"method"`
	URL    string `json:"url"`
	Status int    `json:"status,omitempty"`
}

// sendAll sends requests up to the first that is not answered with success.
func (d *Daemon) sendAll(ctx context.Context, run *proofbox.Run, dir string, chosen []proofbox.Staged) error {
	config, err := d.sendingConfig(run, chosen)
	if err != nil {
		return err
	}
	g := gateway.New(config)
	g.Deny(run.Denied...)
	for _, s := range chosen {
		if err = d.sendOne(ctx, g, run.ID, dir, s); err != nil {
			break
		}
	}
	return errors.Join(err, g.Close())
}

// sendingConfig has a gateway send what a run's box asked for, under the terms
// that the box had.
func (d *Daemon) sendingConfig(run *proofbox.Run, chosen []proofbox.Staged) (gateway.Config, error) {
	terms := run.Plan.Terms
	config := gateway.Config{Allow: terms.Egress, Inspect: terms.Inspect, Upload: terms.Upload, Network: d.network, Roots: d.roots}
	for _, use := range terms.Secrets {
		placeholder := run.Placeholders[use.Name]
		if !mentioned(chosen, placeholder) {
			continue
		}
		secret, err := secretOf(use)
		if err != nil {
			return config, err
		}
		secret.Placeholder = placeholder
		config.Secrets = append(config.Secrets, secret)
	}
	return config, nil
}

// mentioned says whether a request has a placeholder in a header, as it is or
// within a user's name and password, which are not looked into here.
func mentioned(chosen []proofbox.Staged, placeholder string) bool {
	for _, s := range chosen {
		for _, values := range s.Header {
			for _, v := range values {
				if strings.Contains(v, placeholder) || strings.HasPrefix(strings.ToLower(v), "basic ") {
					return true
				}
			}
		}
	}
	return false
}

// sendOne sends one request. That it was begun is on the disk before it is.
func (d *Daemon) sendOne(ctx context.Context, g *gateway.Gateway, run, dir string, s proofbox.Staged) error {
	body, err := unaltered(dir, s)
	if err != nil {
		return err
	}
	defer body.Close()
	record := outgoing{N: s.N, Hash: s.Hash, Method: s.Method, URL: s.URL}
	if err := d.note(ctx, "sending", run, record); err != nil {
		return err
	}
	s.State, s.Problem = proofbox.Sending, ""
	if err := saveStaged(dir, s); err != nil {
		return err
	}
	answer, sent, failed := g.Send(ctx, s, body)
	switch {
	case failed == nil:
		s.State, s.Status, s.Answer, s.Problem = proofbox.Sent, answer.Status, proofbox.Raw(answer.Text), answer.Rejected
	case sent:
		s.Problem = failed.Error()
	default:
		s.State, s.Problem = proofbox.Held, failed.Error()
	}
	record.Status = s.Status
	if err := errors.Join(saveStaged(dir, s), d.note(context.WithoutCancel(ctx), "sent", run, record)); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("sending request %d: %w", s.N, failed)
	}
	if s.Status >= 400 {
		return fmt.Errorf("request %d was answered with %d; those after it were not sent", s.N, s.Status)
	}
	if s.Problem != "" {
		return fmt.Errorf("request %d was answered with %q; those after it were not sent", s.N, s.Problem)
	}
	return nil
}

// unaltered opens the body of a request that is what it was.
func unaltered(dir string, s proofbox.Staged) (*os.File, error) {
	f, err := os.Open(bodyOf(dir, s.N))
	if err != nil {
		return nil, fmt.Errorf("reading the body of request %d: %w", s.N, err)
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	hash, hashErr := hashStaged(s)
	if err = errors.Join(err, hashErr); err == nil && (hash != s.Hash || hex.EncodeToString(sum.Sum(nil)) != s.Digest) {
		err = errors.New("it is not what it was when it was held")
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("reading request %d: %w", s.N, err)
	}
	return f, nil
}
