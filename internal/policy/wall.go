package policy

import (
	"fmt"
	"strings"

	"proofbox"
)

// demand is the weakest wall that a risk allows, and why.
type demand struct {
	wall   proofbox.Wall
	rule   string
	reason string
}

// demanded gives the demand of the declared risk.
func demanded(s proofbox.Spec) (demand, *proofbox.Refusal) {
	switch s.Risk.Code {
	case proofbox.Reviewed:
		return demand{proofbox.Container, "reviewed-needs-container", "the code was read by a person"}, nil
	case proofbox.Agent:
		return demand{proofbox.Container, "agent-needs-container", "the code is a known tool that a model steers"}, nil
	case proofbox.Generated:
		return generated(s)
	}
	return demand{}, refuse("known-code", "use reviewed, agent or generated", "risk.code is %q", s.Risk.Code)
}

// generated code needs a kernel of its own, unless its owner accepts gVisor and
// says why.
func generated(s proofbox.Spec) (demand, *proofbox.Refusal) {
	if s.Accept == nil {
		return demand{proofbox.MicroVM, "generated-needs-microvm", "the code came out of a model and nobody has read it"}, nil
	}
	if s.Accept.Wall != proofbox.Gvisor {
		return demand{}, refuse("accept-only-gvisor", "accept gvisor, or leave accept out",
			"accept names the wall %q; for generated code only gvisor can be accepted instead of a microvm", s.Accept.Wall)
	}
	if strings.TrimSpace(s.Accept.Because) == "" {
		return demand{}, refuse("accept-needs-because", "write accept.because", "accepting a weaker wall needs a reason for the record")
	}
	return demand{proofbox.Gvisor, "generated-accepts-gvisor", fmt.Sprintf("its owner accepts gvisor because %q", s.Accept.Because)}, nil
}

// wall chooses the wall.
func (d *decision) wall() *proofbox.Refusal {
	if d.spec.Accept != nil && d.spec.Risk.Code != proofbox.Generated {
		return refuse("accept-only-for-generated", "leave accept out", "accept lowers the wall of generated code; the code here is %s", d.spec.Risk.Code)
	}
	need, refusal := demanded(d.spec)
	if refusal != nil {
		return refusal
	}
	if d.spec.Wall != "" && d.spec.Wall != proofbox.AutoWall {
		return d.named(need)
	}
	return d.weakest(need)
}

// named takes the wall that the spec asks for, if it is strong enough.
func (d *decision) named(need demand) *proofbox.Refusal {
	wall := d.spec.Wall
	if wall.Strength() < need.wall.Strength() {
		repair := fmt.Sprintf("use --wall %s, or leave the wall to policy", need.wall)
		if d.spec.Risk.Code == proofbox.Generated && wall == proofbox.Gvisor {
			repair += "; or accept gVisor with a reason, in a box file (-f): `accept: {wall: gvisor, because: …}`"
		}
		return refuse(need.rule, repair, "the wall %s is weaker than %s, which the risk demands: %s", wall, need.wall, need.reason)
	}
	if refusal := d.available(wall, need); refusal != nil {
		return refusal
	}
	d.because(need.rule, "wall "+string(wall), "the spec names it, and it is at least %s: %s", need.wall, need.reason)
	return d.take(wall)
}

// weakest takes the weakest wall that is strong enough and that the host has.
func (d *decision) weakest(need demand) *proofbox.Refusal {
	var passed []string
	for _, wall := range proofbox.Walls {
		if wall.Strength() < need.wall.Strength() {
			continue
		}
		if state := d.host.Walls[wall]; !state.Available {
			passed = append(passed, fmt.Sprintf("%s: %s", wall, state.Why))
			continue
		}
		d.because(need.rule, "wall "+string(wall), "the risk demands at least %s: %s", need.wall, need.reason)
		if len(passed) > 0 {
			d.because("strongest-available", "wall "+string(wall), "what would be enough is not there (%s), and the next is stronger", strings.Join(passed, "; "))
		}
		return d.take(wall)
	}
	return refuse(need.rule, repairOf(d.spec, need), "the risk demands the wall %s or a stronger one (%s), and this host has none: %s",
		need.wall, need.reason, strings.Join(passed, "; "))
}

func repairOf(s proofbox.Spec, need demand) string {
	repair := "`proofbox doctor` says what each wall lacks, and the next step"
	if s.Risk.Code == proofbox.Generated && need.wall == proofbox.MicroVM {
		repair = "accept gVisor with a reason, in a box file (-f): `accept: {wall: gvisor, because: …}`; or use a host with the wall: " + repair
	}
	return repair
}

func (d *decision) available(wall proofbox.Wall, need demand) *proofbox.Refusal {
	if state := d.host.Walls[wall]; !state.Available {
		return refuse("wall-available", repairOf(d.spec, need), "the wall %s cannot be built on this host: %s", wall, state.Why)
	}
	return nil
}

// image refuses what cannot be made into a disk. Left out, the image is one that
// fits the wall.
func (d *decision) image() *proofbox.Refusal {
	if d.terms.Wall == proofbox.MicroVM && d.spec.Image == "host" {
		return refuse("microvm-boots-a-disk", "leave the image out, and the box boots from base; or use dir:PATH or oci:PATH[:TAG]",
			"a box with a kernel of its own boots from a disk image, and the host's system folders are too large, and change too often, to be packed into one")
	}
	return nil
}

func (d *decision) take(wall proofbox.Wall) *proofbox.Refusal {
	d.terms.Wall = wall
	state := d.host.Walls[wall]
	if d.terms.Accelerator = state.Accelerator; state.Accelerator != "" {
		d.because("kvm-where-a-guest-boots", "the machine's processor by "+state.Accelerator, "%s", state.AcceleratorWhy)
	}
	return d.certified(wall)
}
