package breakout

import (
	"fmt"
	"path"
	"slices"

	"proofbox"
	"proofbox/internal/box"
)

// Probe is one attempt to break out.
type Probe struct {
	// ID is the line of the catalogue and, where a line has several probes, a
	// letter: "G6b". Its first letter names the group.
	ID string
	// Title says what is attempted.
	Title string
	// Attack is the name of an attack of cmd/proofbox-attack and what it
	// needs. Words of the stage in braces ("{home}") are replaced; see
	// [stage.word].
	Attack []string
	// Deed is what the trial does itself, in the place of somebody who is on the
	// host and in no box; it gives what shows that the aim was reached. It stands in
	// the place of Attack, and of what Oracle looks at.
	Deed func(*attempt) (evidence string, err error)
	// Oracle decides whether the attempt has reached its aim.
	Oracle Oracle
	// Box is how the whole wall is started, where it is not the usual way.
	Box Setting
	// Twin is what the wall is started without, or with, where the same attempt
	// must succeed.
	Twin Setting
	// Alone gives each attempt a box of its own, for attacks that would disturb
	// others.
	Alone bool
	// Upsets does so only where somebody is root: nobody else can disturb others
	// by such an attack without having reached its aim.
	Upsets bool
	// MayEnd says that the wall may stop the attempt by ending the box, as a
	// limit does; such a probe is alone.
	MayEnd bool
	// Neighbour has another box run beside, which has left secrets in its own
	// folders before the attack begins.
	Neighbour bool
	// Bare says that the attack may be made on the host itself, outside of any
	// box, to find out whether this host lets anybody do it.
	Bare bool
	// UserOnly leaves out the attempt as root in the box, where being root is
	// what the probe is about, or makes no difference.
	UserOnly bool
	// KVM says that the oracle looks for what every monitor has where the host has
	// KVM; there the probe makes no sense.
	KVM bool
	// Itself has a wall with a kernel of its own be weakened itself for the
	// twin. What stops other probes there is that kernel: their twin is a box
	// that shares the host's, weakened as Twin says.
	Itself bool
	// Monitor has the attempt on a microVM be made in the place of its monitor alone:
	// what a guest's kernel says or does of itself shows nothing of the host's.
	Monitor bool
	// Not says for which walls the probe makes no sense, and why. A line of the
	// catalogue that is attempted nowhere has it for every wall, and nothing else.
	Not map[proofbox.Wall]string
}

// Setting is how a box of a trial differs from the usual one.
type Setting struct {
	box.Weakness
	Limits proofbox.Limits // zero fields are proofbox's defaults
	// Naive has what the box wrote taken over by a tool of the host that trusts
	// it: it copies everything, through every link, while the box runs.
	Naive bool
	// Shown hides nothing of the workspace.
	Shown bool
	// Open has proofbox's server answer whoever asks.
	Open bool
	// Nothing allows the box no destination.
	Nothing bool
	// HostKernel has the box share the host's kernel, whatever wall is tried.
	HostKernel bool
}

// Group is the family that the probe belongs to.
func (p Probe) Group() string { return p.ID[:1] }

// Describe puts probes into the form of a document.
func Describe(probes []Probe) []proofbox.ProbeInfo {
	list := make([]proofbox.ProbeInfo, len(probes))
	for i, p := range probes {
		list[i] = p.info()
	}
	return list
}

func (p Probe) info() proofbox.ProbeInfo {
	return proofbox.ProbeInfo{ID: p.ID, Title: p.Title, Oracle: p.Oracle.Says, Twin: p.Twin.words(), Itself: p.Itself, Not: p.Not}
}

// words says how the setting differs from the usual one.
func (s Setting) words() []string {
	var words []string
	if s.HostKernel {
		words = append(words, "no kernel of its own")
	}
	words = append(words, s.Weakness.Names()...)
	if s.Shown {
		words = append(words, "nothing hidden in the workspace")
	}
	if s.Nothing {
		words = append(words, "nothing allowed outside")
	}
	if s.Naive {
		words = append(words, "a tool of the host that trusts the box")
	}
	if s.Open {
		words = append(words, "a server that answers everybody")
	}
	return append(words, s.limitWords()...)
}

func (s Setting) limitWords() []string {
	var words []string
	for _, l := range []struct {
		set  bool
		text string
	}{
		{s.Limits.Memory > 0, "memory " + s.Limits.Memory.String()},
		{s.Limits.CPUs > 0, "cpus " + number(s.Limits.CPUs)},
		{s.Limits.Pids > 0, "pids " + number(float64(s.Limits.Pids))},
		{s.Limits.Disk > 0, "disk " + s.Limits.Disk.String()},
		{s.Limits.Time > 0, "time " + s.Limits.Time.String()},
		{s.Limits.Output > 0, "output " + s.Limits.Output.String()},
	} {
		if l.set {
			words = append(words, l.text)
		}
	}
	return words
}

// onlyKernel leaves a probe out for walls where the call is not answered by the
// host's kernel.
func onlyKernel() map[proofbox.Wall]string {
	return map[proofbox.Wall]string{
		proofbox.Gvisor: "the call is answered by gVisor's kernel and does not reach the host's",
	}
}

// notGuest leaves a probe out for microVMs, too, where its oracle looks at
// something that only a box on the host's kernel has.
func notGuest(why string) map[proofbox.Wall]string {
	not := onlyKernel()
	not[proofbox.MicroVM] = why
	return not
}

// Table lists every probe, in the order of the catalogue.
func Table() []Probe {
	return slices.Concat(
		files(), procs(), devices(), mounts(), namespaces(), processes(), kernel(), groups(), sockets(),
		egress(), gateways(), exhaustion(), remains(), snapshots(), channels(), copyout(), output(), planted(), interfaces(),
	)
}

// Select gives the probes whose ID matches a pattern of path.Match; all where it
// is empty.
func Select(pattern string) ([]Probe, error) {
	var selected []Probe
	for _, p := range Table() {
		match, err := path.Match(pattern, p.ID)
		if err != nil {
			return nil, fmt.Errorf("the pattern %q of probes: %w", pattern, err)
		}
		if match || pattern == "" {
			selected = append(selected, p)
		}
	}
	if len(selected) == 0 {
		return nil, fmt.Errorf("no probe matches %q; `proofbox breakout list` names them", pattern)
	}
	return selected, nil
}
