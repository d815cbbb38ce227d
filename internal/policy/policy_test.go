package policy_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"proofbox"
	"proofbox/internal/policy"
)

// means enforces every limit.
func means() map[string]proofbox.Enforcement {
	m := map[string]proofbox.Enforcement{}
	for _, name := range []string{"memory", "cpus", "pids", "disk", "time", "output"} {
		m[name] = proofbox.Enforcement{By: "test"}
	}
	return m
}

// host has the walls that are named.
func host(walls ...proofbox.Wall) policy.Host {
	h := policy.Host{Walls: map[proofbox.Wall]policy.WallState{}}
	for _, w := range proofbox.Walls {
		h.Walls[w] = policy.WallState{Why: "not installed"}
	}
	for _, w := range walls {
		h.Walls[w] = policy.WallState{Available: true, Limits: means(), Certificate: policy.Certificate{File: "a certificate"}}
	}
	return h
}

func TestDecide(t *testing.T) {
	t.Parallel()
	all := host(proofbox.Walls...)
	for name, c := range map[string]struct {
		spec    proofbox.Spec
		host    policy.Host
		wall    proofbox.Wall
		refused string // the rule
	}{
		"default":                  {proofbox.Spec{}, all, proofbox.Container, ""},
		"reviewed":                 {proofbox.Spec{Risk: proofbox.Risk{Code: proofbox.Reviewed}}, all, proofbox.Container, ""},
		"agent":                    {proofbox.Spec{Risk: proofbox.Risk{Code: proofbox.Agent}}, all, proofbox.Container, ""},
		"agent without containers": {proofbox.Spec{}, host(proofbox.Gvisor), proofbox.Gvisor, ""},
		"generated":                {proofbox.Spec{Risk: proofbox.Risk{Code: proofbox.Generated}}, all, proofbox.MicroVM, ""},
		"generated, no microvm":    {proofbox.Spec{Risk: proofbox.Risk{Code: proofbox.Generated}}, host(proofbox.Container, proofbox.Gvisor), "", "generated-needs-microvm"},
		"generated, named weak":    {proofbox.Spec{Risk: proofbox.Risk{Code: proofbox.Generated}, Wall: proofbox.Container}, all, "", "generated-needs-microvm"},
		"generated, named gvisor":  {proofbox.Spec{Risk: proofbox.Risk{Code: proofbox.Generated}, Wall: proofbox.Gvisor}, all, "", "generated-needs-microvm"},
		"generated, accepted":      {proofbox.Spec{Risk: proofbox.Risk{Code: proofbox.Generated}, Accept: &proofbox.Acceptance{Wall: proofbox.Gvisor, Because: "a trial"}}, all, proofbox.Gvisor, ""},
		"accepted without reason":  {proofbox.Spec{Risk: proofbox.Risk{Code: proofbox.Generated}, Accept: &proofbox.Acceptance{Wall: proofbox.Gvisor, Because: " "}}, all, "", "accept-needs-because"},
		"accepted container":       {proofbox.Spec{Risk: proofbox.Risk{Code: proofbox.Generated}, Accept: &proofbox.Acceptance{Wall: proofbox.Container, Because: "x"}}, all, "", "accept-only-gvisor"},
		"accept for an agent":      {proofbox.Spec{Accept: &proofbox.Acceptance{Wall: proofbox.Gvisor, Because: "x"}}, all, "", "accept-only-for-generated"},
		"microvm on the host":      {proofbox.Spec{Wall: proofbox.MicroVM, Image: "host"}, all, "", "microvm-boots-a-disk"},
		"microvm on the base":      {proofbox.Spec{Wall: proofbox.MicroVM, Image: "base"}, all, proofbox.MicroVM, ""},
		"named stronger":           {proofbox.Spec{Wall: proofbox.Gvisor}, all, proofbox.Gvisor, ""},
		"named, not there":         {proofbox.Spec{Wall: proofbox.Gvisor}, host(proofbox.Container), "", "wall-available"},
		"nothing there":            {proofbox.Spec{}, host(), "", "agent-needs-container"},
		"real data":                {proofbox.Spec{Risk: proofbox.Risk{Data: proofbox.Real}}, all, "", "real-data-needs-grant"},
		"undeclared contents":      {proofbox.Spec{Contents: []proofbox.Content{{Path: "x"}}}, all, "", "real-data-needs-grant"},
		"data below contents":      {proofbox.Spec{Risk: proofbox.Risk{Data: proofbox.Synthetic}, Contents: []proofbox.Content{{Path: "x", Class: proofbox.Masked}}}, all, "", "data-not-below-contents"},
		"contents":                 {proofbox.Spec{Contents: []proofbox.Content{{Path: "x", At: "/data/x", Class: proofbox.Synthetic}}}, all, proofbox.Container, ""},
		"contents anywhere":        {proofbox.Spec{Contents: []proofbox.Content{{Path: "x", At: "/data/../etc/x", Class: proofbox.Synthetic}}}, all, "", "contents-below-data"},
		"contents in contents":     {proofbox.Spec{Contents: []proofbox.Content{{Path: "x", At: "/data/x", Class: proofbox.Synthetic}, {Path: "y", At: "/data/x/y", Class: proofbox.Synthetic}}}, all, "", "contents-below-data"},
		"egress":                   {proofbox.Spec{Egress: proofbox.Egress{Allow: []string{"pypi.org"}}}, all, proofbox.Container, ""},
		"egress to no name":        {proofbox.Spec{Egress: proofbox.Egress{Allow: []string{"10.0.0.1:443"}}}, all, "", "egress-by-name"},
		"tool":                     {proofbox.Spec{Tools: []proofbox.Tool{{Mock: "stripe"}}}, all, "", "tools-need-gateway"},
		"model":                    {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "scripted", Script: "/s"}}}, all, proofbox.Container, ""},
		"model of nobody":          {proofbox.Spec{Models: []proofbox.Model{{Name: "m"}}}, all, "", "models-by-known-providers"},
		"model twice":              {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "scripted", Script: "/s"}, {Name: "m", Provider: "scripted", Script: "/s"}}}, all, "", "models-by-name"},
		"model without script":     {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "scripted"}}}, all, "", "script-of-a-scripted-model"},
		"model without price":      {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "openai"}}}, all, "", "models-have-a-price"},
		"model with half a price":  {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "openai", Price: &proofbox.Price{Rates: proofbox.Rates{Input: 1}}}}}, all, "", "models-have-a-price"},
		"model of the table":       {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "openai", Price: &proofbox.Price{Rates: proofbox.Rates{Input: 1}, Source: "a table"}}}}, all, proofbox.Container, ""},
		"model of another server":  {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "openai", Base: "http://localhost:1/v1", Price: &proofbox.Price{}}}}, all, proofbox.Container, ""},
		"another without a price":  {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "openai", Base: "http://localhost:1/v1"}}}, all, "", "models-have-a-price"},
		"model of no server":       {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "openai", Base: "file:///etc/passwd", Price: &proofbox.Price{}}}}, all, "", "base-of-a-server"},
		"script of a server":       {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "scripted", Script: "/s", Base: "http://x"}}}, all, "", "base-of-a-server"},
		"key for no server":        {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "openai", KeyFrom: "X", Price: &proofbox.Price{Rates: proofbox.Rates{Input: 1, Output: 1}}}}}, all, "", "base-of-a-server"},
		"model cheaper when long":  {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "openai", Price: &proofbox.Price{Rates: proofbox.Rates{Input: 2, Output: 2}, Above: &proofbox.LongRates{Tokens: 1}}}}}, all, "", "models-have-a-price"},
		"recording of nothing":     {proofbox.Spec{Record: true}, all, "", "recording-needs-models"},
		"recording":                {proofbox.Spec{Record: true, Models: []proofbox.Model{{Name: "m", Provider: "scripted", Script: "/s"}}}, all, proofbox.Container, ""},
		"model without budget":     {proofbox.Spec{Models: []proofbox.Model{{Name: "m", Provider: "scripted", Script: "/s", Cap: true}}}, all, "", "cap-needs-budget"},
		"budget":                   {proofbox.Spec{Budget: &proofbox.Budget{USD: "1"}, Models: []proofbox.Model{{Name: "m", Provider: "scripted", Script: "/s", Cap: true}}}, all, proofbox.Container, ""},
		"budget for nothing":       {proofbox.Spec{Budget: &proofbox.Budget{USD: "1"}}, all, "", "budget-needs-models"},
		"budget of words":          {proofbox.Spec{Budget: &proofbox.Budget{USD: "much"}}, all, "", "budget-in-dollars"},
		"actions":                  {proofbox.Spec{Risk: proofbox.Risk{Actions: []string{"payments"}}}, all, proofbox.Container, ""},
		"few pids":                 {proofbox.Spec{Limits: proofbox.Limits{Pids: 2}}, all, "", "sane-limits"},
		"negative pids":            {proofbox.Spec{Limits: proofbox.Limits{Pids: -2}}, all, "", "sane-limits"},
		"little memory":            {proofbox.Spec{Limits: proofbox.Limits{Memory: 1 << 20}}, all, "", "sane-limits"},
		"unknown code":             {proofbox.Spec{Risk: proofbox.Risk{Code: "trusted"}}, all, "", "known-code"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terms, err := policy.Decide(c.spec, c.host)
			refusal, refused := errors.AsType[*proofbox.Refusal](err)
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.refused == "" && terms.Wall != c.wall:
				t.Errorf("wall %s, want %s", terms.Wall, c.wall)
			case c.refused != "" && !refused:
				t.Errorf("got %+v, %v, want a refusal by %s", terms, err, c.refused)
			case refused && (refusal.Rule != c.refused || refusal.Reason == "" || refusal.Repair == ""):
				t.Errorf("refused as %+v, want by %s", refusal, c.refused)
			}
		})
	}
}

func TestLimitThatCannotBeEnforcedIsRefusedAndWeakerIsNamed(t *testing.T) {
	t.Parallel()
	h := host(proofbox.Container)
	m := means()
	m["memory"] = proofbox.Enforcement{Weaker: "no cgroups"}
	h.Walls[proofbox.Container] = policy.WallState{Available: true, Limits: m}
	if _, err := policy.Decide(proofbox.Spec{}, h); err == nil || !strings.Contains(err.Error(), "limits-enforced") {
		t.Errorf("got %v", err)
	}
	m["memory"] = proofbox.Enforcement{By: "supervisor", Weaker: "looked at now and then"}
	terms, err := policy.Decide(proofbox.Spec{}, h)
	if err != nil {
		t.Fatal(err)
	}
	named := false
	for _, r := range terms.Reasons {
		named = named || r.Because == "looked at now and then"
	}
	if !named || terms.Enforced["memory"].Weaker == "" {
		t.Errorf("the weaker means is not named: %+v", terms.Reasons)
	}
}

// TestNeverWeakerThanTheRisk draws specs and hosts at random.
func TestNeverWeakerThanTheRisk(t *testing.T) {
	t.Parallel()
	least := map[proofbox.Code]proofbox.Wall{
		proofbox.Reviewed: proofbox.Container, proofbox.Agent: proofbox.Container, proofbox.Generated: proofbox.MicroVM,
	}
	rapid.Check(t, func(t *rapid.T) {
		spec := proofbox.Spec{
			Risk: proofbox.Risk{Code: rapid.SampledFrom(proofbox.Codes).Draw(t, "code")},
			Wall: rapid.SampledFrom(append([]proofbox.Wall{"", proofbox.AutoWall}, proofbox.Walls...)).Draw(t, "wall"),
		}
		need := least[spec.Risk.Code]
		if rapid.Bool().Draw(t, "accept") {
			spec.Accept = &proofbox.Acceptance{
				Wall:    rapid.SampledFrom(proofbox.Walls).Draw(t, "accepted"),
				Because: rapid.SampledFrom([]string{"", "a reason"}).Draw(t, "because"),
			}
			need = proofbox.Gvisor
		}
		terms, err := policy.Decide(spec, host(rapid.SliceOfDistinct(rapid.SampledFrom(proofbox.Walls), rapid.ID).Draw(t, "host")...))
		if err != nil {
			if _, ok := errors.AsType[*proofbox.Refusal](err); !ok {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		if terms.Wall.Strength() < need.Strength() {
			t.Fatalf("the wall %s for %+v", terms.Wall, spec)
		}
		if len(terms.Reasons) == 0 || terms.Limits != terms.Limits.Or(proofbox.DefaultLimits) {
			t.Fatalf("terms without reasons or limits: %+v", terms)
		}
	})
}
