package daemon_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/daemon"
	"proofbox/internal/spend"
	"proofbox/internal/spend/spendtest"
)

// database starts a PostgreSQL that PROOFBOX_DATABASE names.
func database(t *testing.T) *spendtest.Server {
	t.Helper()
	s, err := spendtest.New("")
	if errors.Is(err, spendtest.ErrMissing) {
		missing(t, "postgres", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROOFBOX_DATABASE", s.URL("ledger"))
	return s
}

// scripted is a box with a model that answers nothing.
func scripted(t *testing.T) proofbox.Spec {
	t.Helper()
	ws := t.TempDir()
	write(t, ws, map[string]string{"script.yaml": "version: 1\nturns: [{text: hello}]\n"})
	return proofbox.Spec{
		Workspace: proofbox.Workspace{Original: ws},
		Models: []proofbox.Model{{
			Name: "m", Provider: "scripted", Script: filepath.Join(ws, "script.yaml"), MaxOutput: 100, Price: &proofbox.Price{Rates: proofbox.Rates{Input: 1, Output: 1}},
		}},
	}
}

// TestMoneyIsSettledWhenItsDatabaseIsBack: what a run holds when its database has gone
// stays held, and the next proofbox charges it.
func TestMoneyIsSettledWhenItsDatabaseIsBack(t *testing.T) {
	server := database(t)
	d := open(t)
	ended := make(chan error, 1)
	go func() {
		_, err := d.Run(t.Context(), proofbox.RunRequest{Spec: scripted(t), Command: []string{"sleep", "300"}}, api.Session{
			Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Event: func(proofbox.Event) {}, Drive: func(api.Driver) {},
		})
		ended <- err
	}()
	run := awaitRunning(t, d, ended)
	ledger, err := spend.Open(server.URL("ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	if _, err := ledger.Reserve(t.Context(), spend.Claim{Account: "runs/" + run, Owner: run, Fixed: 100}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.AbandonSpending(t.Context(), proofbox.AbandonRequest{Run: run}); err == nil {
		t.Error("a run that goes on was abandoned")
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stop(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "nothing is spent meanwhile") {
		t.Errorf("the run's end without the database: %v", err)
	}
	if _, err := daemon.Open(daemon.HomeOf(d)); err == nil || !strings.Contains(err.Error(), "see that it runs") {
		t.Errorf("opened with money to settle and no database: %v", err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	again, err := daemon.Open(daemon.HomeOf(d))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	charged, err := ledger.Charged(t.Context(), "runs/"+run)
	shown, errShown := again.Show(t.Context(), run)
	if err := errors.Join(err, errShown); err != nil || charged != 100 || shown.Spend.USD != charged.String() {
		t.Errorf("charged %s, and the record says %s: %v", charged, shown.Spend.USD, err)
	}
}

// awaitRunning gives the run that a daemon has, when its command runs.
func awaitRunning(t *testing.T, d *daemon.Daemon, ended <-chan error) string {
	t.Helper()
	for {
		select {
		case err := <-ended:
			t.Fatalf("the run has ended: %v", err)
		default:
		}
		runs, err := d.Runs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) > 0 && runs[0].State == proofbox.Running {
			return runs[0].ID
		}
	}
}

// TestHomeHasOneLedger: two would not know each other's caps.
func TestHomeHasOneLedger(t *testing.T) {
	server := database(t)
	for name, first := range map[string]string{"a database, then none": server.URL("ledger"), "a file, then a database": ""} {
		t.Run(name, func(t *testing.T) {
			second := server.URL("ledger")
			if first != "" {
				second = ""
			}
			t.Setenv("PROOFBOX_DATABASE", first)
			d := open(t)
			if _, err := d.Spending(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PROOFBOX_DATABASE", second)
			other, err := daemon.Open(daemon.HomeOf(d))
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if _, err := other.Spending(t.Context()); err == nil || !strings.Contains(err.Error(), "PROOFBOX_DATABASE") {
				t.Errorf("with another ledger: %v", err)
			}
		})
	}
}

// TestDatabaseThatComesLate: a daemon that has asked too early asks again.
func TestDatabaseThatComesLate(t *testing.T) {
	server := database(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	d := open(t)
	if _, err := d.Spending(t.Context()); err == nil || !strings.Contains(err.Error(), "see that it runs") {
		t.Errorf("without the database: %v", err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Spending(t.Context()); err != nil {
		t.Error(err)
	}
	var text bytes.Buffer
	if err := d.Metrics(t.Context(), &text); err != nil || !strings.Contains(text.String(), "proofbox_model_calls_total") {
		t.Errorf("the numbers: %v\n%s", err, &text)
	}
}
