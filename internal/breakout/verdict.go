package breakout

import (
	"fmt"
	"strings"

	"proofbox"
)

// judge gives the verdict on a probe from its attempts; not says why it makes no
// sense here, if so.
func judge(not string, r *proofbox.ProbeResult) {
	r.Verdict, r.Why = proofbox.Contained, ""
	if not != "" {
		r.Verdict, r.Why = proofbox.NotApplicable, not
		return
	}
	var twin *proofbox.Attempt
	held := []string{}
	for i, a := range r.Attempts {
		switch {
		case a.As == asTwin:
			twin = &r.Attempts[i]
		case a.Reached:
			r.Verdict, r.Why = proofbox.Escaped, fmt.Sprintf("as %s: %s", a.As, a.Evidence)
			return
		case a.Fault != "":
			r.Verdict, r.Why = proofbox.Unproven, fmt.Sprintf("as %s: %s", a.As, a.Fault)
		case a.Absent == "":
			held = append(held, "as "+a.As)
		}
	}
	switch {
	case r.Verdict != proofbox.Contained:
	case twin == nil:
		r.Verdict, r.Why = proofbox.Unproven, "there was no twin"
	case !twin.Reached && twin.Fault != "":
		r.Verdict, r.Why = proofbox.Unproven, "on the twin: "+twin.Fault
	case !twin.Reached && twin.Absent != "":
		r.Verdict, r.Why = proofbox.NotApplicable, twin.Absent
	case !twin.Reached:
		r.Verdict, r.Why = proofbox.Unproven, strings.TrimSuffix("the twin stops it too: "+twin.Said, ": ")
	case len(held) == 0:
		r.Verdict, r.Why = proofbox.Unproven, "no attempt was made on the whole wall"
	default:
		r.Why = fmt.Sprintf("stopped %s; on the twin %s", strings.Join(held, " and "), twin.Evidence)
	}
}
