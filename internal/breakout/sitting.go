package breakout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"proofbox"
	"proofbox/internal/box"
)

// Who makes an attempt, as [proofbox.Attempt.As] has it.
const (
	asUser = "user"
	asRoot = "root"
	asTwin = "twin"
)

var everyone = []string{asUser, asRoot, asTwin}

// sitting is one box and the attempts that are made in it, one after the other.
type sitting struct {
	as      string
	setting Setting
	probes  []int // of Trial.Probes
}

func (s *sitting) text() string {
	switch words := s.setting.words(); {
	case s.as != asTwin:
		return "as " + s.as
	default:
		return "on a twin with " + strings.Join(words, ", ")
	}
}

// plan puts attempts that need the same box into one sitting: the whole wall
// first, then the twins.
func (t *Trial) plan() []*sitting {
	var plan []*sitting
	seat := func(as string, s Setting, probe int) {
		s.Weakness = together(s.Weakness, t.Base)
		key := strings.Join(s.words(), "\n")
		for _, other := range plan {
			if other.as == as && strings.Join(other.setting.words(), "\n") == key {
				other.probes = append(other.probes, probe)
				return
			}
		}
		plan = append(plan, &sitting{as, s, []int{probe}})
	}
	for _, as := range everyone {
		for i, p := range t.Probes {
			if p.Not[t.Wall] != "" || as == asRoot && p.UserOnly {
				continue
			}
			seat(as, p.settingFor(as), i)
		}
	}
	return plan
}

// settingFor says how the box for an attempt is started.
func (p Probe) settingFor(as string) Setting {
	s := p.Box
	switch as {
	case asRoot:
		s.Weakness.Root = true
	case asTwin:
		s = p.Twin
		s.Limits = s.Limits.Or(p.Box.Limits)
	}
	return s
}

// together is a weakness that has those of both.
func together(a, b box.Weakness) box.Weakness {
	return box.Weakness{
		Binds: slices.Concat(a.Binds, b.Binds), Root: a.Root || b.Root, HostUsers: a.HostUsers || b.HostUsers,
		Calls: a.Calls || b.Calls, Network: a.Network || b.Network, IPC: a.IPC || b.IPC, UTS: a.UTS || b.UTS,
		Processes: a.Processes || b.Processes, Masks: a.Masks || b.Masks, Setuid: a.Setuid || b.Setuid,
		Landlock: a.Landlock || b.Landlock, WritableRoot: a.WritableRoot || b.WritableRoot,
	}
}

// sit starts a box, makes its attempts and ends it. A box that an attempt has
// broken is replaced for the next.
func (t *Trial) sit(ctx context.Context, s *sitting) error {
	dir, err := os.MkdirTemp(t.Dir, "stage-*")
	if err != nil {
		return fmt.Errorf("making a stage for attempts: %w", err)
	}
	st, err := setStage(dir, t.Boxes.Note)
	defer st.close()
	if err != nil {
		return err
	}
	run := &run{trial: t, sitting: s, stage: st}
	for _, probe := range s.probes {
		if err := ctx.Err(); err != nil {
			break
		}
		t.record(probe, run.attempt(ctx, t.Probes[probe]))
	}
	return errors.Join(context.Cause(ctx), run.end())
}

// run is the box of a sitting.
type run struct {
	trial   *Trial
	sitting *sitting
	stage   *stage
	box     Box // nil before the first attempt and after a broken one
}

// open gives the running box.
func (r *run) open(ctx context.Context) (Box, error) {
	if r.box != nil {
		return r.box, nil
	}
	s := r.stage.setting(r.sitting.setting)
	if s.HostUsers && os.Geteuid() != 0 {
		return nil, errOnlyRoot
	}
	b, err := r.trial.Boxes.Start(ctx, Start{Workspace: r.trial.workspace, Limits: s.Limits, Weakness: s.Weakness})
	if err != nil {
		return nil, err
	}
	r.box = b
	return b, nil
}

// errOnlyRoot is why a twin cannot be started.
var errOnlyRoot = errors.New("the twin shares the host's users, which only root can start; an ordinary user has no such privilege for a box to gain")

// attempt makes one attempt and has the oracle judge it.
func (r *run) attempt(ctx context.Context, p Probe) proofbox.Attempt {
	a := proofbox.Attempt{As: r.sitting.as, Without: r.sitting.setting.Weakness.Names()}
	b, err := r.open(ctx)
	switch {
	case errors.Is(err, box.ErrNotWeaker), errors.Is(err, errOnlyRoot):
		a.Absent = err.Error()
		return a
	case err != nil:
		a.Fault = err.Error()
		return a
	}
	made := &attempt{stage: r.stage, box: b, token: newNonce()}
	a.Evidence, err = made.make(ctx, p)
	a.Reached, a.Said = a.Evidence != "", made.report.Said
	if r.sitting.as == asTwin {
		a.Absent = made.report.Absent
	}
	if err != nil {
		a.Fault = err.Error()
	}
	if errors.Is(err, errBroken) {
		err = r.end()
	} else {
		err = r.stage.restore()
	}
	if err != nil {
		a.Fault = strings.TrimPrefix(a.Fault+"; "+err.Error(), "; ")
	}
	return a
}

// end ends the box and checks that nothing of it is left on the host.
func (r *run) end() error {
	if r.box == nil {
		return nil
	}
	b := r.box
	r.box = nil
	record, err := b.End()
	if err != nil {
		return err
	}
	if record.Teardown == nil || !record.Teardown.Clean {
		return fmt.Errorf("something of the trial's box %s is left on the host; `proofbox show %s` names it", record.ID, record.ID)
	}
	return nil
}

// restore plants changed flags again.
func (s *stage) restore() error {
	var err error
	for _, f := range s.flags {
		err = errors.Join(err, f.restore())
	}
	return err
}
