// Package policy decides what a box may do: the risk and what the host can do
// go in, terms come out, each decision with the rule that caused it. It never
// lowers what the risk demands; where the host cannot give it, it refuses and
// names the repair.
package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"proofbox"
)

// Host is what a host can do.
type Host struct {
	Walls map[proofbox.Wall]WallState
	// Root says that proofbox was started by root.
	Root bool
}

// WallState says whether a host has a wall.
type WallState struct {
	Available bool
	// Why says what is missing where it is not available.
	Why string
	// Accelerator is how a microVM would run: "kvm" or "tcg".
	Accelerator string
	// AcceleratorWhy says why so.
	AcceleratorWhy string
	// Certificate is that of the last trial of the wall; it is looked for where
	// the code demands it.
	Certificate Certificate
	// Limits says by which means each limit would be enforced, by the limit's
	// name. An empty means says that it cannot be.
	Limits map[string]proofbox.Enforcement
}

// decision collects terms while they are made.
type decision struct {
	spec  proofbox.Spec
	host  Host
	terms proofbox.Terms
}

// Decide gives the terms of a box, or a [*proofbox.Refusal].
func Decide(spec proofbox.Spec, host Host) (proofbox.Terms, error) {
	spec.Risk = Risk(spec)
	d := &decision{spec: spec, host: host}
	for _, step := range []func() *proofbox.Refusal{
		d.contents, d.openings, d.wall, d.image, d.limits, d.enforcement,
	} {
		if refusal := step(); refusal != nil {
			return proofbox.Terms{}, refusal
		}
	}
	return d.terms, nil
}

// Risk gives the risk of a spec with what it leaves open filled in: code is an
// agent's, and data as sensitive as the contents. Contents that nobody declared
// are real.
func Risk(spec proofbox.Spec) proofbox.Risk {
	r := spec.Risk
	if r.Code == "" {
		r.Code = proofbox.Agent
	}
	if r.Data == "" {
		r.Data = sensitivity(spec.Contents)
	}
	return r
}

// sensitivity is the highest class of contents.
func sensitivity(contents []proofbox.Content) proofbox.Class {
	highest := proofbox.None
	for _, c := range contents {
		class := c.Class
		if class == "" {
			class = proofbox.Real
		}
		if rank(class) > rank(highest) {
			highest = class
		}
	}
	return highest
}

func (d *decision) because(rule, decided, reason string, args ...any) {
	d.terms.Reasons = append(d.terms.Reasons, proofbox.Reason{
		Rule: rule, Decision: decided, Because: fmt.Sprintf(reason, args...),
	})
}

func refuse(rule, repair, reason string, args ...any) *proofbox.Refusal {
	return &proofbox.Refusal{Rule: rule, Reason: fmt.Sprintf(reason, args...), Repair: repair}
}

// contents settles the data class.
func (d *decision) contents() *proofbox.Refusal {
	declared, highest := d.spec.Risk.Data, sensitivity(d.spec.Contents)
	if rank(declared) < rank(highest) {
		return refuse("data-not-below-contents", fmt.Sprintf("declare risk.data %s, or take the data out", highest),
			"risk.data is %s, but the contents hold %s data", declared, highest)
	}
	if declared == proofbox.Real {
		return refuse("real-data-needs-grant", "declare the data's class if it is not real; grants for real data are not in this version of proofbox",
			"real data, and data that nobody declared counts as real, needs a grant with a person, a reason and an end date")
	}
	for i, c := range d.spec.Contents {
		if refusal := placed(c, d.spec.Contents[:i]); refusal != nil {
			return refusal
		}
		d.because("contents-as-sealed", "data at "+c.At, "the box gets a copy of %q, of which every byte was held against its %s seal", c.Path, c.Class)
	}
	d.because("data-class", "data "+string(declared), "the contents hold nothing more sensitive")
	return nil
}

// placed checks where a data set is to be in the box: below /data, and in no
// other one.
func placed(c proofbox.Content, others []proofbox.Content) *proofbox.Refusal {
	const repair = "give each of the contents a place of its own, such as /data/NAME"
	if !strings.HasPrefix(c.At, "/data/") || path.Clean(c.At) != c.At {
		return refuse("contents-below-data", repair, "%q is to be at %q, which is no path below /data", c.Path, c.At)
	}
	for _, o := range others {
		if strings.HasPrefix(c.At+"/", o.At+"/") || strings.HasPrefix(o.At+"/", c.At+"/") {
			return refuse("contents-below-data", repair, "%q and %q are both to be at %q", o.Path, c.Path, c.At)
		}
	}
	return nil
}

func rank(c proofbox.Class) int { return slices.Index(proofbox.Classes, c) }

// openings refuses whatever this version could only pretend to give.
func (d *decision) openings() *proofbox.Refusal {
	const repair = "take it out of the spec. What the job needs of it can be put into the workspace, or shown with expose"
	s := d.spec
	switch {
	case len(s.Tools) > 0:
		return refuse("tools-need-gateway", repair, "this version of proofbox has no stand-in for %q", s.Tools[0].Mock)
	}
	if refusal := d.models(); refusal != nil {
		return refusal
	}
	return d.egress()
}
