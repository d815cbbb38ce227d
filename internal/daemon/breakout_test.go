package daemon_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// TestBreakout runs the whole suite against the container wall, and what is left
// of it against gVisor.
func TestBreakout(t *testing.T) {
	for wall, only := range map[proofbox.Wall]string{proofbox.Container: "", proofbox.Gvisor: "[A-J]*"} {
		t.Run(string(wall), func(t *testing.T) {
			trial := attack(t, open(t), proofbox.TrialRequest{Wall: wall, Only: only})
			for _, p := range trial.Probes {
				if p.Verdict == proofbox.Escaped || p.Verdict == proofbox.Unproven {
					t.Errorf("%s %s: %s: %s", p.ID, p.Title, p.Verdict, p.Why)
				}
			}
			t.Logf("%v in %v", trial.Tally, trial.Ended.Sub(trial.Began))
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
