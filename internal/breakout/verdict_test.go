package breakout

import (
	"testing"

	"proofbox"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	user := proofbox.Attempt{As: asUser}
	twin := proofbox.Attempt{As: asTwin, Reached: true, Evidence: "it was seen"}
	for name, c := range map[string]struct {
		attempts []proofbox.Attempt
		not      string
		want     proofbox.Verdict
	}{
		"stopped, and the twin not":   {[]proofbox.Attempt{user, twin}, "", proofbox.Contained},
		"reached":                     {[]proofbox.Attempt{{As: asUser, Reached: true}, twin}, "", proofbox.Escaped},
		"reached as root alone":       {[]proofbox.Attempt{user, {As: asRoot, Reached: true}, twin}, "", proofbox.Escaped},
		"reached in spite of a fault": {[]proofbox.Attempt{{As: asUser, Reached: true, Fault: "it broke"}, twin}, "", proofbox.Escaped},
		"the twin stops it too":       {[]proofbox.Attempt{user, {As: asTwin}}, "", proofbox.Unproven},
		"no twin":                     {[]proofbox.Attempt{user}, "", proofbox.Unproven},
		"the twin is broken":          {[]proofbox.Attempt{user, {As: asTwin, Fault: "it did not start"}}, "", proofbox.Unproven},
		"not made":                    {[]proofbox.Attempt{{As: asUser, Fault: "no such program"}, twin}, "", proofbox.Unproven},
		"not made as root":            {[]proofbox.Attempt{user, {As: asRoot, Fault: "x"}, twin}, "", proofbox.Unproven},
		"no root in the box":          {[]proofbox.Attempt{user, {As: asRoot, Absent: "no user 0"}, twin}, "", proofbox.Contained},
		"nothing but an absent root":  {[]proofbox.Attempt{{As: asRoot, Absent: "no user 0"}, twin}, "", proofbox.Unproven},
		"nothing at all":              {nil, "", proofbox.Unproven},
		"absent from the kernel":      {[]proofbox.Attempt{user, {As: asTwin, Absent: "no such call"}}, "", proofbox.NotApplicable},
		"absent, but reached":         {[]proofbox.Attempt{{As: asUser, Reached: true}, {As: asTwin, Absent: "x"}}, "", proofbox.Escaped},
		"not for this wall":           {nil, "another kernel answers", proofbox.NotApplicable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := proofbox.ProbeResult{Attempts: c.attempts}
			judge(c.not, &r)
			if r.Verdict != c.want || r.Why == "" {
				t.Errorf("%s because %q, want %s", r.Verdict, r.Why, c.want)
			}
		})
	}
}

// TestNoDescriptorOfKVM: where every monitor has /dev/kvm open, to see it open
// shows nothing, and a trial must neither call that an escape nor a success.
func TestNoDescriptorOfKVM(t *testing.T) {
	t.Parallel()
	probes, err := Select("C3")
	if err != nil {
		t.Fatal(err)
	}
	for accelerator, sittings := range map[string]int{"tcg": 4, "kvm": 0} {
		trial := &Trial{Wall: proofbox.MicroVM, Accelerator: accelerator, Probes: probes}
		if plan := trial.plan(); len(plan) != sittings {
			t.Errorf("%s: %d sittings, want %d", accelerator, len(plan), sittings)
		}
	}
}
