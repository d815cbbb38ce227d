package daemon_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"proofbox"
	"proofbox/internal/daemon"
)

// attack puts a wall to the test and checks that nothing of it is left.
func attack(t *testing.T, d *daemon.Daemon, req proofbox.TrialRequest) proofbox.Trial {
	t.Helper()
	if _, err := os.Stat(filepath.Join(os.Getenv("PROOFBOX_BIN"), "proofbox-attack")); err != nil {
		missing(t, "proofbox-attack", "`make build` makes it")
	}
	trial, err := d.Breakout(t.Context(), req, func(proofbox.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	if runs, err := d.Runs(t.Context()); err != nil || len(runs) > 0 {
		t.Errorf("%d runs are left of the trial, %v", len(runs), err)
	}
	return trial
}

// TestBreakout runs the whole suite against the container and the microvm wall,
// and most of it against gVisor. With -short a microVM is attacked with a part of
// it, and gVisor without what is the gateway's.
func TestBreakout(t *testing.T) {
	guest, user := "", "[A-J]*"
	if testing.Short() {
		guest, user = "[A-R]1?", "[A-I]*"
	}
	for wall, only := range map[proofbox.Wall]string{proofbox.Container: "", proofbox.Gvisor: user, proofbox.MicroVM: guest} {
		t.Run(string(wall), func(t *testing.T) {
			if wall == proofbox.MicroVM {
				needGuests(t)
			}
			trial := attack(t, open(t), proofbox.TrialRequest{Wall: wall, Only: only})
			for _, p := range trial.Probes {
				if p.Verdict == proofbox.Escaped || p.Verdict == proofbox.Unproven {
					t.Errorf("%s %s: %s: %s", p.ID, p.Title, p.Verdict, p.Why)
				}
			}
			for _, u := range trial.Uses {
				if !u.Works && u.LeftOut == "" {
					t.Errorf("%s does not work: %s", u.Name, u.Found)
				}
			}
			if only == "" && (!trial.Holds || trial.Tally[proofbox.Contained] < 150) {
				t.Errorf("the wall %s is not held to hold: %v", wall, trial.Tally)
			}
			t.Logf("%v in %v, %d boxes", trial.Tally, trial.Ended.Sub(trial.Began), trial.Boxes)
		})
	}
}

// TestBreakoutFindsAWeakWall is the trial's own twin: a wall without a
// protection must be found out.
func TestBreakoutFindsAWeakWall(t *testing.T) {
	trial, err := daemon.TrialOfWeakWall(t.Context(), open(t), proofbox.Container, "G[13]")
	if err != nil {
		t.Fatal(err)
	}
	if trial.Holds || trial.Tally[proofbox.Escaped] != len(trial.Probes) {
		t.Errorf("a wall without a list of system calls: %v", trial.Tally)
	}
}

// TestNobodyCanAskForAWeakWall tries every way by which somebody else than a
// trial could name a weakness.
func TestNobodyCanAskForAWeakWall(t *testing.T) {
	h := open(t).Handler()
	for _, body := range []string{
		`{"spec":{},"command":["true"],"weakness":{"Calls":true}}`,
		`{"spec":{"weakness":{"Calls":true}},"command":["true"]}`,
		`{"spec":{},"command":["true"],"weakened":["no list of system calls"]}`,
		`{"spec":{"limits":{"weakness":{"Root":true}}},"command":["true"]}`,
	} {
		for _, path := range []string{"/v1/runs", "/v1/plan"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body)))
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "unknown field") {
				t.Errorf("%s %s: %d %s", path, body, w.Code, w.Body)
			}
		}
	}
	trial := httptest.NewRecorder()
	h.ServeHTTP(trial, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/breakout", strings.NewReader(`{"wall":"container","base":{"Calls":true}}`)))
	if trial.Code != http.StatusBadRequest {
		t.Errorf("a trial of a weak wall: %d %s", trial.Code, trial.Body)
	}
}

// TestCertificate follows a certificate from its trial to its end.
func TestCertificate(t *testing.T) {
	d := open(t)
	spec := proofbox.Spec{
		Wall: proofbox.Gvisor, Risk: proofbox.Risk{Code: proofbox.Generated},
		Accept:    &proofbox.Acceptance{Wall: proofbox.Gvisor, Because: "a test"},
		Workspace: proofbox.Workspace{Original: "none"},
	}
	refusal := refusedBy(t, d, spec)
	if refusal.Rule != "generated-needs-certificate" || !strings.Contains(refusal.Repair, "breakout run --wall gvisor") {
		t.Errorf("without a certificate: %+v", refusal)
	}
	file := daemon.Certify(t, d, proofbox.Gvisor, time.Now(), proofbox.Contained)
	if r := run(t, d, spec, "true"); r.Plan.Terms.Certificate != file || r.ExitCode != 0 {
		t.Errorf("the run with a certificate: %q, %s", r.Plan.Terms.Certificate, r.Ended)
	}
	envelope, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if check, err := d.VerifyCertificate(t.Context(), envelope); err != nil || !check.Valid || check.Certificate.Parts["host kernel"] == "" {
		t.Errorf("%+v, %v", check, err)
	}
	other := open(t) // another key
	if check, err := other.VerifyCertificate(t.Context(), envelope); err != nil || check.Valid || !strings.Contains(check.Problem, "key") {
		t.Errorf("with another key: %+v, %v", check, err)
	}
	begin := bytes.Index(envelope, []byte(`"payload": "`)) + len(`"payload": "`)
	for at := begin; at < begin+bytes.IndexByte(envelope[begin:], '"')-4; at += 7 {
		forged := bytes.Clone(envelope)
		forged[at] ^= 1
		if check, err := d.VerifyCertificate(t.Context(), forged); err == nil && check.Valid {
			t.Fatalf("a bit of byte %d was changed, and it is valid", at)
		}
	}
}

// TestCertificateThatDoesNotCount: a certificate that is old, of a wall that did
// not hold, or of another configuration.
func TestCertificateThatDoesNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		age     time.Duration
		verdict proofbox.Verdict
		part    string
		why     string
	}{
		"old":           {8 * 24 * time.Hour, proofbox.Contained, "", "old"},
		"of tomorrow":   {-24 * time.Hour, proofbox.Contained, "", "future"},
		"escaped":       {0, proofbox.Escaped, "", "A1a escaped"},
		"unproven":      {0, proofbox.Unproven, "", "A1a unproven"},
		"other kernel":  {0, proofbox.Contained, "host kernel", "host kernel"},
		"other runtime": {0, proofbox.Contained, "runtime", "runtime"},
		"other bundle":  {0, proofbox.Contained, "configuration", "configuration"},
		"other suite":   {0, proofbox.Contained, "suite", "suite"},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			file := daemon.Certify(t, d, proofbox.Container, time.Now().Add(-c.age), c.verdict, c.part)
			envelope, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			check, err := d.VerifyCertificate(t.Context(), envelope)
			if err != nil || check.Valid || !strings.Contains(check.Problem, c.why) {
				t.Errorf("%+v, %v", check, err)
			}
		})
	}
}

func refusedBy(t *testing.T, d *daemon.Daemon, spec proofbox.Spec) *proofbox.Refusal {
	t.Helper()
	_, err := d.Plan(t.Context(), spec, []string{"true"})
	refusal, ok := errors.AsType[*proofbox.Refusal](err)
	if !ok {
		t.Fatalf("not refused: %v", err)
	}
	return refusal
}

// TestScriptOfOnesOwn runs a script that reads, writes and calls whatever it is
// told of.
func TestScriptOfOnesOwn(t *testing.T) {
	script := "#!/bin/sh\ncat $PROOFBOX_FLAG_HOME $PROOFBOX_FLAG_HIDDEN\necho x >>$PROOFBOX_FLAG_TMP\necho x >>$PROOFBOX_FLAG_ORIGINAL\n"
	trial := attack(t, open(t), proofbox.TrialRequest{Wall: proofbox.Container, Attack: []byte(script)})
	verdicts := map[string]proofbox.Verdict{}
	for _, p := range trial.Probes {
		verdicts[p.ID] = p.Verdict
	}
	for id, want := range map[string]proofbox.Verdict{
		"read-home": proofbox.Contained, "read-hidden": proofbox.Contained, "write-tmp": proofbox.Contained,
		"write-original": proofbox.Contained, "reach-tcp": proofbox.Unproven, "write-home": proofbox.Unproven,
	} {
		if verdicts[id] != want {
			t.Errorf("%s is %s, want %s", id, verdicts[id], want)
		}
	}
	if !trial.Holds {
		t.Error("the wall did not hold")
	}
}
