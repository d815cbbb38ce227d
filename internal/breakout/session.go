package breakout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"proofbox"
	"proofbox/internal/box"
)

// session is a sitting while it goes on.
type session struct {
	trial     *Trial
	sitting   *sitting
	stage     *stage
	workspace string // on the host; every box of the session gets a copy
	box       Box    // nil before the first attempt and after a broken one
	neighbour Box    // nil until an attempt needs one
	waiting   []*entry
	kept      *error // of the one bulk keep of the box's changes; nil before it
}

// sit starts a box, makes its attempts and ends it. A box that an attempt has
// broken is replaced for the next.
func (t *Trial) sit(ctx context.Context, sitting *sitting) error {
	s, err := t.open(sitting)
	if s != nil {
		defer s.stage.close()
	}
	if err != nil {
		return err
	}
	for _, i := range sitting.probes {
		if ctx.Err() != nil {
			break
		}
		s.attempt(ctx, i)
	}
	return errors.Join(context.Cause(ctx), s.part(ctx))
}

// part ends the boxes that are left, judges what waits for that, and forgets them.
func (s *session) part(ctx context.Context) error {
	var err error
	if s.box != nil {
		remains, endErr := s.trial.down(s.box)
		s.settle(ctx, remains, endErr)
		err = forget(remains, endErr)
	}
	if s.neighbour != nil {
		remains, endErr := s.trial.down(s.neighbour)
		err = errors.Join(err, forget(remains, endErr))
	}
	return err
}

// forget removes the record of a box that has ended well.
func forget(remains Remains, endErr error) error {
	if endErr != nil {
		return endErr
	}
	return remains.Forget()
}

// open sets the stage of a sitting and fills its workspace.
func (t *Trial) open(sitting *sitting) (*session, error) {
	dir, err := os.MkdirTemp(t.Dir, "stage-*")
	if err != nil {
		return nil, fmt.Errorf("making a stage for attempts: %w", err)
	}
	st, err := setStage(dir, t.Program, t.Boxes.Note)
	s := &session{trial: t, sitting: sitting, stage: st}
	if err != nil {
		return s, err
	}
	return s, s.fill()
}

// fill makes the workspace. It must not lie in proofbox's own state, as nobody's
// workspace may.
func (s *session) fill() error {
	s.workspace = filepath.Join(os.TempDir(), "proofbox-breakout-"+newNonce()[:8])
	if err := s.trial.Boxes.Note(box.Object{Kind: box.Folder, Name: s.workspace}); err != nil {
		return err
	}
	if err := os.Mkdir(s.workspace, 0o700); err != nil {
		return fmt.Errorf("making the workspace of a trial: %w", err)
	}
	if err := os.Chmod(s.workspace, 0o777); err != nil { // a twin works on it itself
		return fmt.Errorf("making the workspace of a trial: %w", err)
	}
	if err := s.stage.plantOriginals(s.workspace); err != nil {
		return err
	}
	return copyProgram(s.trial.Program, filepath.Join(s.workspace, filepath.Base(AttackProgram)))
}

// hidden lists what of the workspace the box must not see.
func (s *session) hidden() []string {
	if s.sitting.setting.Shown {
		return nil
	}
	return []string{"/" + hiddenFolder}
}

func copyProgram(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("opening the attack program: %w; `make build` builds it", err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("copying the attack program: %w", err)
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("copying the attack program: %w", err)
	}
	return dst.Close()
}

// errOnlyRoot is why a twin cannot be started.
var errOnlyRoot = errors.New("the twin shares the host's users, which only root can start; an ordinary user has no such privilege for a box to gain")

// started gives the running box.
func (s *session) started(ctx context.Context) (Box, error) {
	if s.box != nil {
		return s.box, nil
	}
	how := s.stage.setting(s.sitting.setting)
	if how.HostUsers && os.Geteuid() != 0 {
		return nil, errOnlyRoot
	}
	began := time.Now()
	b, err := s.trial.Boxes.Start(ctx, s.start(how))
	s.trial.spent(1, began)
	if err != nil {
		return nil, err
	}
	s.box = b
	return b, nil
}

// start is how a box with the workspace of the session is started.
func (s *session) start(how Setting) Start {
	wall := s.trial.Wall
	if how.HostKernel {
		wall = proofbox.Container
	}
	start := Start{Wall: wall, Workspace: s.workspace, Hide: s.hidden(), Limits: how.Limits, Weakness: how.Weakness, World: s.stage.world, Monitor: s.sitting.as == asMonitor}
	if !how.Nothing {
		start.Egress, start.Secrets = start.World.Terms(), start.World.Secrets()
	}
	return start
}

// attempt makes one attempt and has the oracle judge it, or leaves that to the
// end of the box.
func (s *session) attempt(ctx context.Context, i int) {
	began, p := time.Now(), s.trial.Probes[i]
	e := &entry{probe: i, record: proofbox.Attempt{As: s.sitting.as, Without: s.sitting.setting.words()}}
	s.try(ctx, p, e)
	e.record.Took = proofbox.Duration(time.Since(began).Round(time.Millisecond))
	if !e.waits {
		s.trial.record(i, e.record)
	}
}

// entry is an attempt on its way into the results.
type entry struct {
	probe  int // of Trial.Probes
	record proofbox.Attempt
	made   *attempt
	err    error // of the attempt and of looking at it
	waits  bool  // for the end of the box
}

func (s *session) try(ctx context.Context, p Probe, e *entry) {
	if p.Deed != nil {
		s.perform(ctx, p, e)
		return
	}
	b, err := s.started(ctx)
	if err == nil && p.Neighbour {
		_, err = s.beside(ctx)
	}
	switch {
	case errors.Is(err, box.ErrNotWeaker), errors.Is(err, errOnlyRoot):
		e.record.Absent = err.Error()
		return
	case err != nil:
		e.record.Fault = err.Error()
		return
	}
	e.made = &attempt{session: s, stage: s.stage, box: b, token: newNonce(), workspace: s.workspace}
	e.record.Evidence, e.err = e.made.make(ctx, p)
	switch {
	case errors.Is(e.err, errLacking):
		e.record.Absent = e.err.Error()
	case errors.Is(e.err, errBroken), p.alone(s.sitting.as):
		s.conclude(ctx, p, e)
	case p.Oracle.after != nil:
		e.waits = true
		s.waiting = append(s.waiting, e)
	default:
		s.write(ctx, e)
	}
}

// perform does what needs no box.
func (s *session) perform(ctx context.Context, p Probe, e *entry) {
	ctx, cancel := context.WithTimeoutCause(ctx, deedTime, fmt.Errorf("it took longer than %v", deedTime))
	defer cancel()
	e.made = &attempt{context: ctx, session: s, stage: s.stage, token: newNonce(), workspace: s.workspace}
	e.record.Evidence, e.err = p.Deed(e.made)
	if errors.Is(e.err, errLacking) {
		e.record.Absent = e.err.Error()
		return
	}
	s.write(ctx, e)
}

// deedTime bounds what needs no box; a guest may have to be saved for it.
const deedTime = 5 * time.Minute

// write completes the record of an attempt that everything was seen of.
func (s *session) write(ctx context.Context, e *entry) {
	a, p := &e.record, s.trial.Probes[e.probe]
	a.Reached, a.Said = a.Evidence != "", e.made.report.Said
	if a.As == asTwin {
		a.Absent = e.made.report.Absent
		if !a.Reached && e.err == nil && s.refusedAnyway(ctx, e.made, p) {
			a.Absent = "this host refuses it outside of any box as well: " + e.made.report.Said
		}
	}
	if err := errors.Join(e.err, s.stage.restore()); err != nil {
		a.Fault = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
}

// conclude ends the box of an attempt and has the oracle look at what is left,
// and those of earlier attempts that wait for it.
func (s *session) conclude(ctx context.Context, p Probe, e *entry) {
	if p.MayEnd && errors.Is(e.err, errBroken) {
		e.err = nil // it is how the wall stops it
	}
	s.box = nil
	remains, endErr := s.trial.down(e.made.box)
	s.lookBack(ctx, e, remains, endErr)
	s.settle(ctx, remains, endErr)
	e.err = errors.Join(e.err, forget(remains, endErr))
	s.write(ctx, e)
}

// settle judges the attempts that wait for the end of their box.
func (s *session) settle(ctx context.Context, remains Remains, endErr error) {
	for _, e := range s.waiting {
		s.lookBack(ctx, e, remains, endErr)
		s.write(ctx, e)
		s.trial.record(e.probe, e.record)
	}
	s.waiting, s.kept = nil, nil
}

// lookBack has the oracle of an attempt look at what is left of its box.
func (s *session) lookBack(ctx context.Context, e *entry, remains Remains, endErr error) {
	after := s.trial.Probes[e.probe].Oracle.after
	switch {
	case endErr != nil:
		e.err = errors.Join(e.err, endErr)
	case after != nil && e.record.Evidence == "":
		e.made.context = ctx
		evidence, err := after(e.made, remains)
		if err != nil {
			e.err = errors.Join(e.err, fmt.Errorf("looking at what is left: %w", err))
		}
		e.record.Evidence = evidence
	}
}

// keep keeps all that a bulk keep covers of what a box has changed, once for all
// attempts that were made in it, as a person would who does not look closely.
func (s *session) keep(ctx context.Context, r Remains) error {
	if s.kept == nil {
		_, err := r.Keep(ctx, proofbox.KeepRequest{All: true})
		s.kept = &err
	}
	if *s.kept != nil {
		return fmt.Errorf("keeping: %w", *s.kept)
	}
	return nil
}

// down ends a box and checks that nothing of it is left on the host.
func (t *Trial) down(b Box) (Remains, error) {
	began := time.Now()
	remains, err := b.End()
	t.spent(0, began)
	if err != nil {
		return nil, err
	}
	if run := remains.Run(); run.Teardown == nil || !run.Teardown.Clean {
		return nil, fmt.Errorf("something of the trial's box %s is left on the host%s; `proofbox show %s` names it", run.ID, leftOf(run), run.ID)
	}
	return remains, nil
}

// leftOf names what a teardown has not found gone.
func leftOf(run proofbox.Run) (text string) {
	if run.Teardown == nil {
		return ": nothing was torn down"
	}
	for _, o := range run.Teardown.Objects {
		if !o.Gone {
			text += fmt.Sprintf(": the %s %q: %s", o.Kind, o.Name, o.Found)
		}
	}
	return text
}

// beside gives a second box, whole and of another run, that stays idle: the
// neighbour whom an attack must not reach or harm. Its workspace has a flag.
func (s *session) beside(ctx context.Context) (Box, error) {
	if s.neighbour != nil {
		return s.neighbour, nil
	}
	b, err := s.trial.Boxes.Start(ctx, s.start(Setting{Limits: proofbox.DefaultLimits, HostKernel: s.sitting.setting.HostKernel}))
	if err != nil {
		return nil, fmt.Errorf("starting a neighbour: %w", err)
	}
	s.neighbour = b
	left := &attempt{session: s, stage: s.stage, box: b, token: newNonce(), workspace: s.workspace}
	_, err = left.make(ctx, Probe{Attack: []string{"leave", s.stage.flag("neighbour").nonce, "/tmp/left", "/dev/shm/left", "/home/box/left"}})
	if err == nil && left.report.Said != "left it" {
		err = errors.New(left.report.Said)
	}
	if err != nil {
		return nil, fmt.Errorf("having a neighbour leave secrets: %w", err)
	}
	return b, nil
}

// restore plants changed flags again.
func (s *stage) restore() error {
	var err error
	for _, f := range s.flags {
		err = errors.Join(err, f.restore())
	}
	return err
}
