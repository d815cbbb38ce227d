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
		began := time.Now()
		a := s.attempt(ctx, t.Probes[i])
		a.Took = proofbox.Duration(time.Since(began).Round(time.Millisecond))
		t.record(i, a)
	}
	return errors.Join(context.Cause(ctx), s.part())
}

// part ends the boxes that are left and forgets them.
func (s *session) part() error {
	var err error
	for _, b := range []Box{s.box, s.neighbour} {
		if b == nil {
			continue
		}
		remains, endErr := down(b)
		if err = errors.Join(err, endErr); endErr == nil {
			err = errors.Join(err, remains.Forget())
		}
	}
	return err
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
	b, err := s.trial.Boxes.Start(ctx, Start{Workspace: s.workspace, Hide: s.hidden(), Limits: how.Limits, Weakness: how.Weakness})
	if err != nil {
		return nil, err
	}
	s.box = b
	return b, nil
}

// attempt makes one attempt and has the oracle judge it.
func (s *session) attempt(ctx context.Context, p Probe) proofbox.Attempt {
	a := proofbox.Attempt{As: s.sitting.as, Without: s.sitting.setting.words()}
	b, err := s.started(ctx)
	switch {
	case errors.Is(err, box.ErrNotWeaker), errors.Is(err, errOnlyRoot):
		a.Absent = err.Error()
		return a
	case err != nil:
		a.Fault = err.Error()
		return a
	}
	if p.Neighbour {
		if _, err := s.beside(ctx); err != nil {
			a.Fault = err.Error()
			return a
		}
	}
	made := &attempt{session: s, stage: s.stage, box: b, token: newNonce(), workspace: s.workspace}
	a.Evidence, err = made.make(ctx, p)
	if errors.Is(err, errLacking) {
		a.Absent = err.Error()
		return a
	}
	if errors.Is(err, errBroken) || p.alone() {
		err = s.conclude(ctx, p, made, &a, err)
	}
	a.Reached, a.Said = a.Evidence != "", made.report.Said
	if a.As == asTwin {
		a.Absent = made.report.Absent
		if !a.Reached && err == nil && s.refusedAnyway(ctx, made, p) {
			a.Absent = "this host refuses it outside of any box as well: " + made.report.Said
		}
	}
	if err = errors.Join(err, s.stage.restore()); err != nil {
		a.Fault = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return a
}

// conclude ends the box of an attempt and has the oracle look at what is left.
func (s *session) conclude(ctx context.Context, p Probe, made *attempt, a *proofbox.Attempt, err error) error {
	if p.MayEnd && errors.Is(err, errBroken) {
		err = nil // it is how the wall stops it
	}
	s.box = nil
	remains, endErr := down(made.box)
	if endErr != nil {
		return errors.Join(err, endErr)
	}
	if p.Oracle.after != nil && a.Evidence == "" {
		var afterErr error
		made.context = ctx
		if a.Evidence, afterErr = p.Oracle.after(made, remains); afterErr != nil {
			err = errors.Join(err, fmt.Errorf("looking at what is left: %w", afterErr))
		}
	}
	return errors.Join(err, remains.Forget())
}

// down ends a box and checks that nothing of it is left on the host.
func down(b Box) (Remains, error) {
	remains, err := b.End()
	if err != nil {
		return nil, err
	}
	if run := remains.Run(); run.Teardown == nil || !run.Teardown.Clean {
		return nil, fmt.Errorf("something of the trial's box %s is left on the host; `proofbox show %s` names it", run.ID, run.ID)
	}
	return remains, nil
}

// beside gives a second box, whole and of another run, that stays idle: the
// neighbour whom an attack must not reach or harm. Its workspace has a flag.
func (s *session) beside(ctx context.Context) (Box, error) {
	if s.neighbour != nil {
		return s.neighbour, nil
	}
	b, err := s.trial.Boxes.Start(ctx, Start{Workspace: s.workspace, Hide: s.hidden(), Limits: proofbox.DefaultLimits})
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
