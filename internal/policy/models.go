package policy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"proofbox"
)

// models settles which models the box may call, and what that may cost.
func (d *decision) models() *proofbox.Refusal {
	if refusal := d.budget(); refusal != nil {
		return refusal
	}
	if d.spec.Record {
		if len(d.spec.Models) == 0 {
			return refuse("recording-needs-models", "name a model, or take `record` out", "there is no model whose calls could be recorded")
		}
		d.because("calls-are-recorded", "a recording of every call to a model", "the spec asks for it; it has all that was said, and only this user can read it")
	}
	names := map[string]bool{}
	for _, m := range d.spec.Models {
		if names[m.Name] || m.Name == "" {
			return refuse("models-by-name", "give each model the name that its provider knows it by, once", "a model has no name, or the name %q is there twice", m.Name)
		}
		names[m.Name] = true
		if refusal := d.model(m); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (d *decision) model(m proofbox.Model) *proofbox.Refusal {
	scripted := m.Provider == "scripted"
	switch {
	case !slices.Contains(proofbox.Providers, m.Provider):
		return refuse("models-by-known-providers", "name one of "+strings.Join(proofbox.Providers, ", "), "the provider %q of the model %q is not known", m.Provider, m.Name)
	case scripted != (m.Script != ""):
		return refuse("script-of-a-scripted-model", "give models of the provider scripted, and no others, a script", "the model %q has a script and another provider, or none and the provider scripted", m.Name)
	case scripted && m.Base != "" || m.Base == "" && m.KeyFrom != "":
		return refuse("base-of-a-server", "give base and key_from to a model that is elsewhere than at its provider's", "the model %q has a base or a key_from that is for nothing", m.Name)
	case m.Base != "" && !isServer(m.Base):
		return refuse("base-of-a-server", "write the address up to where the paths begin: http://localhost:11434/v1", "the base %q of the model %q is not the address of a server", m.Base, m.Name)
	case !scripted && m.Price == nil:
		return refuse("models-have-a-price", "write `price: {input: USD, output: USD}`, for a million tokens each, from the provider's list; cache_read, cache_write and above if it has them", "the price of the model %q is not known, and what has no price cannot be capped", m.Name)
	case !scripted && m.Base == "" && m.Price.Source == "" && (m.Price.Input == 0 || m.Price.Output == 0):
		return refuse("models-have-a-price", "write both, for a million tokens each, from the provider's list", "the price of the model %q has no input or no output, and its provider gives nothing away", m.Name)
	case m.Price != nil && m.Price.Above != nil && (m.Price.Above.Input < m.Price.Input || m.Price.Above.Output < m.Price.Output):
		return refuse("models-have-a-price", "write all rates of above, for a million tokens each", "the model %q would cost less above %d tokens", m.Name, m.Price.Above.Tokens)
	case m.MaxOutput < 0:
		return refuse("models-have-a-price", "give max_output a number above 0", "the model %q has an output of less than nothing", m.Name)
	case m.Cap && d.terms.Cap == nil:
		return refuse("cap-needs-budget", "set budget.usd, or --budget", "the model %q is to be capped, and there is no budget", m.Name)
	}
	spend := "without a cap"
	if d.terms.Cap != nil {
		spend = "within " + d.terms.Cap.String() + " USD, which is held before each call"
	}
	d.because("models-through-the-gateway", "the model "+m.Name, "the spec names it; its key stays with the host, and it is paid for %s", spend)
	if m.Price != nil && m.Price.Source != "" {
		d.because("prices-of-a-dated-table", fmt.Sprintf("%s USD for a million tokens in, %s USD out", m.Price.Input, m.Price.Output), "%s has that for %s; `price:` in the box file goes before it", m.Price.Source, m.Name)
	}
	return nil
}

// isServer says whether a text is the address of a server.
func isServer(base string) bool {
	u, err := url.Parse(base)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// budget reads the cap.
func (d *decision) budget() *proofbox.Refusal {
	if d.spec.Budget == nil {
		return nil
	}
	usd, err := proofbox.ParseMoney(d.spec.Budget.USD)
	if err != nil {
		return refuse("budget-in-dollars", "write the budget as decimal dollars: 5, 0.25", "%s", err)
	}
	if len(d.spec.Models) == 0 {
		return refuse("budget-needs-models", "name a model, or take the budget out", "there is no model to spend a budget of %s USD on", usd)
	}
	d.terms.Cap = &usd
	return nil
}
