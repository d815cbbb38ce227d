package policy

import (
	"fmt"
	"slices"
	"time"

	"proofbox"
)

// Least values that a box can work with.
const (
	leastMemory = proofbox.Size(16 << 20)
	leastDisk   = proofbox.Size(4 << 20)
	leastOutput = proofbox.Size(1)
	leastPids   = 8
	leastCPUs   = 0.05
	leastTime   = proofbox.Duration(100 * time.Millisecond)
)

// Most values that make sense; above them a number is a slip of the hand.
const (
	mostPids = 1 << 20
	mostCPUs = 4096
	mostSize = proofbox.Size(1 << 46)
	mostTime = proofbox.Duration(365 * 24 * time.Hour)
)

// limits fills in the limits and refuses nonsense.
func (d *decision) limits() *proofbox.Refusal {
	l := d.spec.Limits
	for _, c := range []struct {
		name    string
		set, ok bool
		least   string
		most    string
		value   any
	}{
		{"memory", l.Memory != 0, l.Memory >= leastMemory && l.Memory <= mostSize, leastMemory.String(), mostSize.String(), l.Memory},
		{"disk", l.Disk != 0, l.Disk >= leastDisk && l.Disk <= mostSize, leastDisk.String(), mostSize.String(), l.Disk},
		{"output", l.Output != 0, l.Output >= leastOutput && l.Output <= mostSize, leastOutput.String(), mostSize.String(), l.Output},
		{"pids", l.Pids != 0, l.Pids >= leastPids && l.Pids <= mostPids, fmt.Sprint(leastPids), fmt.Sprint(mostPids), l.Pids},
		{"cpus", l.CPUs != 0, l.CPUs >= leastCPUs && l.CPUs <= mostCPUs, fmt.Sprint(leastCPUs), fmt.Sprint(mostCPUs), l.CPUs},
		{"time", l.Time != 0, l.Time >= leastTime && l.Time <= mostTime, leastTime.String(), mostTime.String(), l.Time},
	} {
		if c.set && !c.ok {
			return refuse("sane-limits", fmt.Sprintf("give at least %s and at most %s", c.least, c.most), "the limit %s is %v, which no box can work with", c.name, c.value)
		}
		if c.set {
			d.because("limit-declared", fmt.Sprintf("%s %v", c.name, c.value), "the spec says so")
		}
	}
	d.terms.Limits = l.Or(proofbox.DefaultLimits)
	if l != d.terms.Limits {
		d.because("limit-default", "the other limits", "every box has limits; what the spec leaves open is proofbox's default")
	}
	return nil
}

// enforcement takes over how the host enforces the limits, and refuses a limit
// that it cannot enforce.
func (d *decision) enforcement() *proofbox.Refusal {
	means := d.host.Walls[d.terms.Wall].Limits
	d.terms.Enforced = map[string]proofbox.Enforcement{}
	for _, name := range []string{"memory", "cpus", "pids", "disk", "time", "output"} {
		e := means[name]
		if e.By == "" {
			return refuse("limits-enforced", "`proofbox doctor` says what the host lacks", "the limit %s cannot be enforced on this host: %s", name, e.Weaker)
		}
		d.terms.Enforced[name] = e
		if e.Weaker != "" {
			d.because("weaker-limit-named", name+" by "+e.By, "%s", e.Weaker)
		}
	}
	d.terms.Reasons = slices.Clip(d.terms.Reasons)
	return nil
}
