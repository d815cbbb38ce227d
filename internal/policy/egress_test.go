package policy_test

import (
	"errors"
	"testing"

	"proofbox"
	"proofbox/internal/policy"
)

// TestEgress: what is opened, and what the gateway puts into it.
func TestEgress(t *testing.T) {
	t.Parallel()
	allowing := proofbox.Egress{Allow: []string{"example.com", "example.com:80"}}
	inspecting := func(i ...proofbox.Inspection) proofbox.Spec {
		return proofbox.Spec{Egress: proofbox.Egress{Inspect: i}}
	}
	keeping := func(s ...proofbox.Secret) proofbox.Spec { return proofbox.Spec{Egress: allowing, Secrets: s} }
	for name, c := range map[string]struct {
		spec    proofbox.Spec
		refused string // the rule
	}{
		"inspected":              {inspecting(proofbox.Inspection{Host: "*.example.com", Methods: []string{"get"}, Paths: []string{"/v1/*", "/"}}), ""},
		"inspected by no method": {inspecting(proofbox.Inspection{Host: "example.com", Methods: []string{"GET /"}}), "requests-by-method-and-path"},
		"inspected by no path":   {inspecting(proofbox.Inspection{Host: "example.com", Paths: []string{"/a/../b"}}), "requests-by-method-and-path"},
		"inspected by a middle":  {inspecting(proofbox.Inspection{Host: "example.com", Paths: []string{"/*/b"}}), "requests-by-method-and-path"},
		"inspected twice":        {inspecting(proofbox.Inspection{Host: "example.com"}, proofbox.Inspection{Host: "EXAMPLE.com."}), "inspected-once"},
		"staged":                 {proofbox.Spec{Egress: proofbox.Egress{Stage: []string{"*.example.com:8443", "example.com"}}}, ""},
		"staged at an address":   {proofbox.Spec{Egress: proofbox.Egress{Stage: []string{"10.0.0.1"}}}, "egress-by-name"},
		"secret":                 {keeping(proofbox.Secret{Name: "TOKEN", Host: "example.com"}), ""},
		"secret for nobody":      {keeping(proofbox.Secret{Name: "TOKEN", Host: "other.com"}), "secrets-for-allowed-hosts"},
		"secret for many":        {keeping(proofbox.Secret{Name: "TOKEN", Host: "*.example.com"}), "secrets-for-one-host"},
		"secret in the open":     {keeping(proofbox.Secret{Name: "TOKEN", Host: "example.com:80"}), "secrets-for-one-host"},
		"secret without a name":  {keeping(proofbox.Secret{Name: "A=B", Host: "example.com"}), "secrets-by-name"},
		"secret twice":           {keeping(proofbox.Secret{Name: "T", Host: "example.com"}, proofbox.Secret{Name: "T", Host: "example.com"}), "secrets-by-name"},
		"secret in env":          {proofbox.Spec{Egress: allowing, Env: map[string]string{"T": "x"}, Secrets: []proofbox.Secret{{Name: "T", Host: "example.com"}}}, "secrets-by-name"},
	} {
		_, err := policy.Decide(c.spec, host(proofbox.Walls...))
		refusal, _ := errors.AsType[*proofbox.Refusal](err)
		if refusal == nil {
			refusal = &proofbox.Refusal{}
		}
		if refusal.Rule != c.refused || err != nil && c.refused == "" {
			t.Errorf("%s: refused by %q, want %q: %v", name, refusal.Rule, c.refused, err)
		}
	}
}
