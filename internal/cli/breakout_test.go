package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"proofbox"
)

// golden compares what a person reads with a file, or writes it with -update.
func golden(t *testing.T, path string, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-%s +got)\n%s", path, diff)
	}
}

// someTrial has a probe of every verdict, and words that came out of a box.
func someTrial(wall proofbox.Wall) proofbox.Trial {
	began := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	return proofbox.Trial{
		Wall: wall, Began: began, Ended: began.Add(42 * time.Second),
		Probes: []proofbox.ProbeResult{
			{ID: "A1a", Title: "read a file of the host", Verdict: proofbox.Contained, Why: "stopped as user and as root; on the twin it says what is written in the home folder"},
			{ID: "G1", Title: "open an io_uring", Verdict: proofbox.Escaped, Why: "as user: process 7 holds \x1b[2Janon_inode:[io_uring]"},
			{ID: "G3", Title: "open a userfaultfd", Verdict: proofbox.Unproven, Why: "the twin stops it too: operation not permitted"},
			{ID: "G12b", Title: "call the kernel by the x32 table", Verdict: proofbox.NotApplicable, Why: "this kernel does not have the x32 table"},
		},
		Uses: []proofbox.UseResult{
			{Name: "run tests", Works: true, Found: "works"},
			{Name: "compile a program", LeftOut: "the image has no C compiler"},
			{Name: "have 500 processes at once", Found: "after 3: resource temporarily unavailable"},
		},
		Tally: map[proofbox.Verdict]int{
			proofbox.Contained: 1, proofbox.Escaped: 1, proofbox.Unproven: 1, proofbox.NotApplicable: 1,
		},
		Made:  map[string]int{"user": 3, "root": 2, "twin": 3},
		Boxes: 4, BoxTime: proofbox.Duration(time.Second),
		Certificate: "/state/certificates/container.dsse.json",
	}
}

func TestTrialPage(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	(&app{stdout: &out}).showTrial(someTrial(proofbox.Container))
	golden(t, "testdata/trial.golden", out.String())
}

// TestMatrixPage shows what the trials of the three walls of a real host have
// found: some of their probes, of every verdict. It has emulated guests.
func TestMatrixPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/matrix.json")
	if err != nil {
		t.Fatal(err)
	}
	var trials []proofbox.Trial
	if err := json.Unmarshal(text, &trials); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	(&app{stdout: &out}).showMatrix(trials)
	golden(t, "testdata/matrix.golden", out.String())
}

// TestMatrixOfAnEscape shows one that has not happened.
func TestMatrixOfAnEscape(t *testing.T) {
	t.Parallel()
	weak, strong := someTrial(proofbox.Container), someTrial(proofbox.Gvisor)
	strong.Probes = strong.Probes[:2]
	strong.Probes[1].Verdict, strong.Holds = proofbox.Contained, true
	var out strings.Builder
	(&app{stdout: &out}).showMatrix([]proofbox.Trial{weak, strong})
	golden(t, "testdata/matrix-escape.golden", out.String())
}

func TestCertificatePage(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	a := &app{stdout: &out}
	a.showCheck(proofbox.CertificateCheck{Problem: "it is not signed by this host's key"})
	a.showCheck(proofbox.CertificateCheck{
		Problem: "what it is about has changed since: host kernel",
		Changed: []proofbox.PartChange{{Part: "host kernel", Was: "6.1", Is: "6.2"}},
		Certificate: proofbox.Certificate{
			Wall: proofbox.Gvisor, Time: time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local),
			Parts: map[string]string{"host kernel": "6.1", "runtime": "sha256:00"},
		},
	})
	golden(t, "testdata/certificate.golden", out.String())
}
