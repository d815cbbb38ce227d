package cli

import (
	"strings"
	"testing"

	"proofbox"
)

// TestProposal: a plan has every field in which something was found, and says where it cannot.
func TestProposal(t *testing.T) {
	t.Parallel()
	scan := proofbox.Scan{Fields: []proofbox.FieldCount{
		{Field: "customer.name", Kind: "person", Found: 5000},
		{Field: "customer.name", Kind: "email", Found: 3},
		{Field: "to[].cc[]", Kind: "email", Found: 2},
		{Field: "when", Kind: "date-of-birth", Found: 1},
		{Field: "token", Kind: "secret:aws", Found: 9},
	}}
	plan := proposal(scan)
	for _, line := range []string{
		"  \"customer.name\": person   # found 5000 times\n", "  # \"to.cc\": email   # found 2 times\n", "  # \"when\": date   # found 1 time\n",
	} {
		if !strings.Contains(plan, line) {
			t.Errorf("the plan has no %q:\n%s", line, plan)
		}
	}
	if strings.Contains(plan, "token") || strings.Contains(plan, "More was found") {
		t.Errorf("the plan says too much:\n%s", plan)
	}
	scan.Elsewhere = 7
	if plan = proposal(scan); !strings.Contains(plan, "# More was found, 7 times, in other fields than the first 10000") {
		t.Errorf("the plan does not say what is missing:\n%s", plan)
	}
}
