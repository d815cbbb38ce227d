package breakout

import (
	"slices"
	"strings"

	"proofbox"
	"proofbox/internal/box"
)

// Who makes an attempt, as [proofbox.Attempt.As] has it.
const (
	asUser = "user"
	asRoot = "root"
	// In the place of the monitor of a machine, in its jail.
	asMonitor = "monitor"
	// On the host, in no box.
	asHost = "host"
	asTwin = "twin"
)

var everyone = []string{asUser, asRoot, asMonitor, asHost, asTwin}

// sitting is one box and the attempts that are made in it, one after the other.
type sitting struct {
	as      string
	setting Setting
	alone   bool
	later   bool  // its attempts are judged when the box is down
	probes  []int // of Trial.Probes
}

func (s *sitting) text() string {
	if s.as == asTwin {
		return "on a twin with " + strings.Join(s.setting.words(), ", ")
	}
	return "as " + s.as
}

// plan puts attempts that need the same box into one sitting: the whole wall
// first, then the twins.
func (t *Trial) plan() []*sitting {
	var plan []*sitting
	for _, as := range everyone {
		for i, p := range t.Probes {
			if t.notFor(p) != "" || !p.madeAs(as, t.Wall) {
				continue
			}
			setting := p.settingFor(as, t.Wall)
			setting.Weakness = together(setting.Weakness, t.Base)
			plan = seat(plan, &sitting{as, setting, p.alone(as), p.Oracle.after != nil, []int{i}})
		}
	}
	return plan
}

// notFor says why a probe makes no sense here; empty where it does.
func (t *Trial) notFor(p Probe) string {
	if p.KVM && t.Accelerator == box.ByKVM {
		return "the monitor of every guest holds /dev/kvm here, so that a descriptor of it shows nothing"
	}
	return p.Not[t.Wall]
}

// madeAs says whether the attempt is one for somebody.
func (p Probe) madeAs(as string, wall proofbox.Wall) bool {
	switch {
	case as == asTwin:
		return true
	case p.Deed != nil || as == asHost:
		return p.Deed != nil && as == asHost
	case as == asMonitor:
		return p.atMonitor(wall)
	case p.Monitor && wall == proofbox.MicroVM:
		return false
	}
	return as == asUser || !p.UserOnly
}

// atMonitor says that a probe is one for whoever has taken a machine's monitor
// over: he has the host's kernel before him, and nothing of a box.
func (p Probe) atMonitor(wall proofbox.Wall) bool {
	return wall == proofbox.MicroVM && (p.Monitor || strings.Contains("ABCDEFGHIJN", p.Group())) && !p.Neighbour && !p.Twin.Gateway && p.Oracle.after == nil
}

// seat adds a sitting to a plan, or its attempt to one that is there.
func seat(plan []*sitting, s *sitting) []*sitting {
	for _, other := range plan {
		if !s.alone && !other.alone && other.as == s.as && other.later == s.later && slices.Equal(other.setting.words(), s.setting.words()) {
			other.probes = append(other.probes, s.probes...)
			return plan
		}
	}
	return append(plan, s)
}

// alone says that an attempt needs a box of its own.
func (p Probe) alone(as string) bool { return p.Alone || p.MayEnd || p.Upsets && as != asUser }

// settingFor says how the box for an attempt is started.
func (p Probe) settingFor(as string, wall proofbox.Wall) Setting {
	s, own := p.Box, wall == proofbox.MicroVM
	switch {
	case as == asRoot && own: // whoever has taken the guest's kernel over is held by nothing in the guest
		s.Weakness.Root, s.Weakness.Calls, s.Weakness.Landlock, s.Weakness.Masks = true, true, true, true
	case as == asRoot:
		s.Weakness.Root = true
	case as == asTwin:
		s = p.Twin
		s.Limits = s.Limits.Or(p.Box.Limits)
		s.HostKernel = own && !p.Itself
	}
	return s
}

// together is a weakness that has those of both.
func together(a, b box.Weakness) box.Weakness {
	return box.Weakness{
		Binds: slices.Concat(a.Binds, b.Binds), Root: a.Root || b.Root, HostUsers: a.HostUsers || b.HostUsers,
		Calls: a.Calls || b.Calls, Network: a.Network || b.Network, IPC: a.IPC || b.IPC, UTS: a.UTS || b.UTS,
		Groups: a.Groups || b.Groups, Environment: a.Environment || b.Environment,
		Rlimits:   a.Rlimits || b.Rlimits,
		Processes: a.Processes || b.Processes, Masks: a.Masks || b.Masks, Setuid: a.Setuid || b.Setuid,
		Landlock: a.Landlock || b.Landlock, WritableRoot: a.WritableRoot || b.WritableRoot,
		Gateway: a.Gateway || b.Gateway, Unwoken: a.Unwoken || b.Unwoken, Unguarded: a.Unguarded || b.Unguarded,
	}
}
