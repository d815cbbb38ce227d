package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/audit"
	"proofbox/internal/box"
	"proofbox/internal/breakout"
	"proofbox/internal/policy"
)

// certificatesDir is where certificates are kept below the state folder, one
// file a trial: WALL-TIME.dsse.json.
const certificatesDir = "certificates"

// fingerprinted is a wall that can say what it is made of, part by part. One
// that cannot is not certified.
type fingerprinted interface {
	Fingerprint(l box.Layout) (map[string]string, error)
}

// parts names everything that a certificate of a wall depends on.
func (d *Daemon) parts(wall proofbox.Wall) (map[string]string, error) {
	made, ok := d.runtimes[wall].(fingerprinted)
	if !ok {
		return nil, fmt.Errorf("the wall %q cannot say what it is made of, so it cannot be certified", wall)
	}
	layout, err := d.host.Sample(wall)
	if err != nil {
		return nil, err
	}
	parts, err := made.Fingerprint(layout)
	if err != nil {
		return nil, err
	}
	for name, path := range map[string]string{"jail": d.programs.jail, "process 1": d.programs.init} {
		if parts[name], err = audit.DigestFile(path); err != nil {
			return nil, err
		}
	}
	if parts["suite"], err = breakout.Digest(d.programs.attack); err != nil {
		return nil, err
	}
	if parts["host kernel"], err = kernel(); err != nil {
		return nil, err
	}
	parts["limits"] = means(d.host.Enforcements(wall))
	parts["started by"] = "an ordinary user"
	if os.Geteuid() == 0 {
		parts["started by"] = "root"
	}
	return parts, nil
}

// means says by what each limit is enforced.
func means(enforced map[string]proofbox.Enforcement) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(enforced)) {
		list = append(list, name+" by "+enforced[name].By)
	}
	return strings.Join(list, ", ")
}

// kernel names the host's kernel, with its build.
func kernel() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("asking for the kernel's name: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Version[:]), nil
}

// certify signs what a trial of the whole suite found out, and keeps it. The
// parts were taken before the trial: what changes meanwhile voids it.
func (d *Daemon) certify(ctx context.Context, t proofbox.Trial, parts map[string]string) (path string, err error) {
	c := proofbox.Certificate{
		Wall: t.Wall, Accelerator: t.Accelerator, Time: t.Ended, Parts: parts, Holds: t.Holds, Made: t.Made,
		Probes: map[string]proofbox.Verdict{}, Uses: map[string]bool{},
	}
	for _, p := range t.Probes {
		c.Probes[p.ID] = p.Verdict
	}
	for _, u := range t.Uses {
		c.Uses[u.Name] = u.Works || u.LeftOut != ""
	}
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding a certificate: %w", err)
	}
	subject := audit.Subject{
		Name: "wall/" + string(t.Wall), Digest: map[string]string{"sha256": strings.TrimPrefix(audit.Digest(body), "sha256:")},
	}
	signed, err := d.key.SignStatement(ctx, subject, audit.BreakoutPredicate, json.RawMessage(body))
	if err != nil {
		return "", err
	}
	dir := filepath.Join(d.store.home, certificatesDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the folder of certificates: %w", err)
	}
	path = filepath.Join(dir, fmt.Sprintf("%s-%s.dsse.json", t.Wall, t.Ended.Format("20060102T150405.000000000Z")))
	return path, errors.Join(
		writeFile(path, signed),
		d.note(ctx, "breakout", "", trialNote{t.Wall, t.Holds, t.Tally, audit.Digest(signed)}))
}

// trialNote is what the audit log holds of a trial.
type trialNote struct {
	Wall        proofbox.Wall            `json:"wall"`
	Holds       bool                     `json:"holds"`
	Tally       map[proofbox.Verdict]int `json:"tally"`
	Certificate string                   `json:"certificate"` // digest of its file
}

// VerifyCertificate checks a certificate against this host as it is now. What is
// wrong with it is in the answer; an error says that it could not be looked at.
func (d *Daemon) VerifyCertificate(ctx context.Context, envelope []byte) (proofbox.CertificateCheck, error) {
	check := proofbox.CertificateCheck{Changed: []proofbox.PartChange{}}
	statement, err := d.key.VerifyReceipt(ctx, envelope)
	if err != nil {
		check.Problem = "it is not signed by this host's key: " + err.Error()
		return check, nil
	}
	if statement.PredicateType != audit.BreakoutPredicate {
		check.Problem = fmt.Sprintf("it is a %q and no certificate of a wall", statement.PredicateType)
		return check, nil
	}
	if err := json.Unmarshal(statement.Predicate, &check.Certificate); err != nil {
		check.Problem = "it cannot be read: " + err.Error()
		return check, nil
	}
	if !slices.Contains(proofbox.Walls, check.Certificate.Wall) {
		check.Problem = fmt.Sprintf("it is of the wall %q, which is not known", check.Certificate.Wall)
		return check, nil
	}
	now, err := d.parts(check.Certificate.Wall)
	if err != nil {
		return check, err
	}
	check.Changed = changes(check.Certificate.Parts, now)
	check.Problem = problemOf(check, time.Now())
	check.Valid = check.Problem == ""
	return check, nil
}

// changes compares the parts of a wall at its trial with those of now.
func changes(was, is map[string]string) []proofbox.PartChange {
	list := []proofbox.PartChange{}
	names := maps.Clone(was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was[name] != is[name] {
			list = append(list, proofbox.PartChange{Part: name, Was: was[name], Is: is[name]})
		}
	}
	return list
}

// problemOf says why a signed certificate does not count.
func problemOf(c proofbox.CertificateCheck, now time.Time) string {
	age := now.Sub(c.Certificate.Time)
	switch {
	case len(c.Changed) > 0:
		var names []string
		for _, p := range c.Changed {
			names = append(names, p.Part)
		}
		return "what it is about has changed since: " + strings.Join(names, ", ")
	case age < 0:
		return "it is from the future: " + c.Certificate.Time.Format(time.RFC3339)
	case age > policy.CertificateAge:
		return fmt.Sprintf("it is %v old, and counts for %v", age.Round(time.Hour), policy.CertificateAge)
	case !c.Certificate.Holds:
		return "the wall did not hold: " + strings.Join(failures(c.Certificate), ", ")
	}
	return ""
}

// failures lists what a wall was not certified for.
func failures(c proofbox.Certificate) []string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(c.Probes)) {
		if v := c.Probes[id]; v == proofbox.Escaped || v == proofbox.Unproven {
			list = append(list, id+" "+string(v))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Uses)) {
		if !c.Uses[name] {
			list = append(list, name+" does not work")
		}
	}
	return list
}

// certificate looks for the newest certificate of a wall that counts.
func (d *Daemon) certificate(ctx context.Context, wall proofbox.Wall) policy.Certificate {
	dir := filepath.Join(d.store.home, certificatesDir)
	names, err := filepath.Glob(filepath.Join(dir, string(wall)+"-*.dsse.json"))
	if err != nil || len(names) == 0 {
		return policy.Certificate{Why: "the wall has never been tried on this host"}
	}
	slices.Sort(names)
	why := ""
	for _, name := range slices.Backward(names) {
		check, err := d.checkFile(ctx, name)
		if err == nil && check.Valid && check.Certificate.Wall == wall {
			return policy.Certificate{File: name, Time: check.Certificate.Time}
		}
		if why == "" { // of the newest
			why = check.Problem
			if err != nil {
				why = err.Error()
			}
		}
	}
	return policy.Certificate{Why: "its last certificate does not count: " + why}
}

func (d *Daemon) checkFile(ctx context.Context, name string) (proofbox.CertificateCheck, error) {
	envelope, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return proofbox.CertificateCheck{Problem: "it is gone"}, nil
	}
	if err != nil {
		return proofbox.CertificateCheck{}, fmt.Errorf("reading a certificate: %w", err)
	}
	return d.VerifyCertificate(ctx, envelope)
}

// ensureCertificate tries the wall that a run of generated code would get, where
// it has no certificate that counts.
func (d *Daemon) ensureCertificate(ctx context.Context, spec proofbox.Spec, progress func(proofbox.Event)) error {
	if policy.Risk(spec).Code != proofbox.Generated {
		return nil
	}
	host := d.facts(ctx, proofbox.Reviewed)
	for wall, state := range host.Walls {
		state.Certificate = policy.Certificate{File: "to be made"}
		host.Walls[wall] = state
	}
	terms, err := policy.Decide(spec, host)
	if err != nil || d.certificate(ctx, terms.Wall).Valid() {
		return nil // what stands in the way of the run is said by the run
	}
	_, err = d.Breakout(ctx, proofbox.TrialRequest{Wall: terms.Wall}, progress)
	return err
}
