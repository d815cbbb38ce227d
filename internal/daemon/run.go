package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
	"proofbox/internal/box/microvm"
	"proofbox/internal/box/provenance"
	"proofbox/internal/breakout"
	"proofbox/internal/contents"
	"proofbox/internal/door"
	"proofbox/internal/gateway"
	"proofbox/internal/workspace"
)

// session is a run that this process supervises.
type session struct {
	daemon *Daemon
	run    *proofbox.Run
	lock   *os.File
	done   chan struct{} // closed when the run has been torn down

	prepared *prepared
	tried
	owes     bool // what it holds could not be settled
	journal  *box.Journal
	ready    *box.Ready            // a box that waits for this run; nil where it gets a new one
	kind     box.Config            // what its box was made as
	objects  []box.Object          // what the run itself has journaled
	released []proofbox.HostObject // the account so far
	base     *workspace.Base       // nil without a workspace
	data     []jail.Step           // what puts the verified copies of the contents into the box, and whom it trusts
	output   *output
	control  *control
	gateway  *gateway.Gateway // nil where the wall has no way to one, or a trial has given the box another way out
	way      func(net.Conn)   // takes connections out of the box; nil where it has no way out

	endModels context.CancelFunc // nil without a gateway
	trace     trace
	mounts    []*contents.Mount // one for each of the contents

	writers   *provenance.Record // nil where it is not known who writes
	unwatched string             // and why

	mu      sync.Mutex
	looking *contents.Watch         // at records that reach the box; guarded by mu, nil where nobody does
	refused *proofbox.Refusal       // an alarm about the data, guarded by mu
	box     *box.Box                // set once it has started, guarded by mu
	cancel  context.CancelCauseFunc // guarded by mu
}

func (s *session) startedBox() *box.Box {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.box
}

// errStopped is why the context of a run ends when it was stopped before its
// box had started.
var errStopped = errors.New("stopped")

// Run runs a command in a new box and returns when the run has been torn down.
// The context's end stops the run. An error means that there was no run or that
// proofbox could not do its work; how the command ended is in the record.
func (d *Daemon) Run(ctx context.Context, req proofbox.RunRequest, io api.Session) (proofbox.Run, error) {
	if req.Certify {
		if err := d.ensureCertificate(ctx, req.Spec, io.Event); err != nil {
			return proofbox.Run{}, err
		}
	}
	if req.Detach {
		return d.detach(ctx, req)
	}
	s, err := d.begin(ctx, req, &tried{})
	if err != nil {
		return proofbox.Run{}, err
	}
	io.Event(proofbox.Event{Started: s.run.ID})
	err = s.supervise(ctx, req, io)
	return *s.run, err
}

// tried is what a trial, a proof or the doctor, and nobody else, has of its own
// in a box: what is taken from the wall, and the world beyond the gateway; that
// nobody will ask for it when it is over; which run's changes are proven, and what of them is put into the base; the runtime
// that is tried, nil for the wall's own.
type tried struct {
	runtime  *microvm.Runtime
	weakness box.Weakness
	world    *breakout.World
	passing  bool
	proves   string
	proposal *workspace.Proposal
}

// ordinary says that a run is one that somebody has asked for.
func (t *tried) ordinary() bool { return t.runtime == nil && !t.passing && t.proves == "" }

// begin decides about a run and gives it an ID, a directory and a record.
func (d *Daemon) begin(ctx context.Context, req proofbox.RunRequest, own *tried) (*session, error) {
	if len(req.Command) == 0 {
		return nil, errors.New("there is no command to run; put it after --")
	}
	p, err := d.prepare(ctx, req.Spec, req.Command)
	if refusal, ok := errors.AsType[*proofbox.Refusal](err); ok {
		return nil, errors.Join(err, d.note(ctx, "refused", "", refusal))
	}
	if err != nil {
		return nil, err
	}
	if own.runtime != nil {
		p.runtime = own.runtime
		p.plan.Terms.Accelerator, _ = own.runtime.Accelerator()
	}
	s := &session{daemon: d, prepared: p, done: make(chan struct{}), tried: *own}
	id, err := s.identify(ctx)
	if err != nil {
		return nil, err
	}
	s.run = newRun(id, p)
	s.run.Weakened, s.run.Proves, s.run.Passing = own.weakness.Names(), own.proves, own.passing
	d.enlist(s)
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.finish(ctx))
	}
	return s, nil
}

// identify gives the run its ID, its directory and its mark: those of a box that
// waits for it, or new ones.
func (s *session) identify(ctx context.Context) (id string, err error) {
	config, err := s.config(ctx)
	if err != nil {
		return "", err
	}
	if s.ordinary() {
		if w := s.daemon.pool.take(ctx, config); w != nil {
			s.lock, s.journal, s.ready = w.lock, w.journal, w.box
			return w.id, nil
		}
	}
	id, s.lock, err = s.daemon.store.create()
	return id, err
}

func newRun(id string, p *prepared) *proofbox.Run {
	return &proofbox.Run{
		ID: id, Name: p.plan.Spec.Name, State: proofbox.Created, Command: p.plan.Command,
		Created: time.Now().UTC(), Wall: p.plan.Terms.Wall, Accelerator: p.plan.Terms.Accelerator,
		Plan: p.plan, ExitCode: proofbox.ExitFailed,
		Controls: []proofbox.Control{}, Contents: []proofbox.Seen{}, Egress: []proofbox.Call{},
		Intents: []proofbox.Intent{}, Spend: proofbox.Spend{USD: "0"},
	}
}

// open writes the run's first record and opens its journal, output and control
// socket.
func (s *session) open(ctx context.Context) (err error) {
	dir := s.daemon.store.dir(s.run.ID)
	if err := s.daemon.store.save(s.run); err != nil {
		return err
	}
	if s.journal == nil {
		if s.journal, err = box.NewJournal(dir); err != nil {
			return err
		}
	}
	if s.output, err = newOutput(filepath.Join(dir, outputFile)); err != nil {
		return err
	}
	if s.control, err = s.daemon.serveControl(dir, s.note); err != nil {
		return err
	}
	if err := s.openGateway(); err != nil {
		return err
	}
	return s.daemon.note(ctx, "decision", s.run.ID, s.run.Plan.Terms)
}

// openGateway makes the run's way out.
func (s *session) openGateway() error {
	if s.weakness.Gateway {
		s.way = s.world.Serve
		return s.reveal()
	}
	if s.weakness.Network {
		return nil
	}
	terms := s.run.Plan.Terms
	over, end := context.WithCancel(context.Background())
	s.openTrace()
	desk, err := s.daemon.desk(over, s.run.ID, s.prepared, s.trace)
	if err != nil {
		end()
		return err
	}
	config := gateway.Config{
		Allow: terms.Egress, Upload: terms.Upload, Models: desk, Incoming: s.incoming, Ended: s.trace.connection, Network: s.daemon.network, Roots: s.daemon.roots,
	}
	if s.world != nil {
		config.Network, config.Roots = s.world, s.world.Roots()
	}
	if err := s.inspect(&config); err != nil {
		end()
		return err
	}
	s.endModels = end
	s.gateway = gateway.New(config)
	s.way = s.gateway.Serve
	return nil
}

// supervise takes the run from its decided plan to its teardown.
func (s *session) supervise(ctx context.Context, req proofbox.RunRequest, io api.Session) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	err := s.start(ctx, io)
	if err == nil {
		s.execute(ctx, req, io)
	}
	after := context.WithoutCancel(ctx)
	if err != nil {
		s.run.Ended = "proofbox could not start the box"
		if refusal, ok := errors.AsType[*proofbox.Refusal](err); ok {
			s.run.Ended, s.run.ExitCode = "refused by the rule "+refusal.Rule, proofbox.ExitRefused
			err = errors.Join(err, s.daemon.note(after, "refused", s.run.ID, refusal))
		}
		if ctx.Err() != nil {
			s.run.Ended, s.run.ExitCode, err = "stopped", proofbox.ExitKilled, nil
		}
	}
	return errors.Join(err, s.finish(after))
}

// start freezes the workspace and starts the box.
func (s *session) start(ctx context.Context, io api.Session) error {
	io.Event(proofbox.Event{Progress: "freezing the workspace"})
	if err := s.freeze(ctx); err != nil {
		return err
	}
	if err := s.bring(ctx, io); err != nil {
		return err
	}
	io.Event(proofbox.Event{Progress: fmt.Sprintf("starting the %s box", s.run.Wall)})
	config, err := s.config(ctx)
	if err != nil {
		return err
	}
	config.ID, config.Dir, config.Journal = s.run.ID, s.daemon.store.dir(s.run.ID), s.journal
	config.Data, config.Gateway, config.Ready = s.data, s.way, s.ready
	if s.base != nil {
		config.Workspace = &box.Workspace{
			Lower: s.base.Lower, UID: s.base.UID, GID: s.base.GID, Hidden: s.base.Hidden,
			Bytes: s.base.Freezing.Bytes,
		}
	}
	s.ready = nil // it is the box's own
	started, err := s.daemon.host.Start(ctx, config)
	s.mu.Lock()
	s.box = started
	s.mu.Unlock()
	if failed, ok := errors.AsType[*box.StartError](err); ok {
		s.account(failed.Teardown)
	}
	if err == nil {
		s.kind = config
		s.followWriters()
		err = s.watch(ctx)
	}
	return err
}

// config declares the run's box, as far as that is decided before the run begins.
func (s *session) config(ctx context.Context) (box.Config, error) {
	terms := s.prepared.plan.Terms
	config := box.Config{
		Runtime: s.prepared.runtime, Hostname: "box", Root: s.prepared.rootSteps(),
		Limits: terms.Limits, Enforced: terms.Enforced, Weakness: s.weakness,
	}
	return config, s.prepared.nameRoot(ctx, &config)
}

func (s *session) freeze(ctx context.Context) (err error) {
	if s.run.Plan.Workspace == nil {
		return nil
	}
	dir := filepath.Join(s.daemon.store.dir(s.run.ID), baseDir)
	if err := s.note(box.Object{Kind: box.Folder, Name: dir}); err != nil {
		return err
	}
	options := s.daemon.freezeOptions(s.run.Plan.Spec, dir)
	options.Keep = s.proposal
	s.base, err = workspace.Freeze(ctx, options)
	if err != nil {
		return err
	}
	s.run.Plan.Workspace = &s.base.Freezing
	s.run.Warnings = append(s.run.Warnings, s.base.Warnings()...)
	return nil
}

// execute runs the command and fills in how it ended.
func (s *session) execute(ctx context.Context, req proofbox.RunRequest, io api.Session) {
	s.run.State, s.run.Started, s.run.Controls = proofbox.Running, time.Now().UTC(), s.box.Controls
	// The record and the log are for others to see while the run goes on; that
	// they cannot be written must not stop it silently, so it is a warning.
	if err := errors.Join(s.daemon.store.save(s.run), s.daemon.note(ctx, "start", s.run.ID, s.run.Command)); err != nil {
		s.warn(err)
	}
	command := door.Command{
		Args: req.Command, Env: s.environment(), Dir: box.Workdir,
		TTY: req.TTY, Stdin: io.Stdin != nil,
	}
	if req.TTY != nil && req.Term != "" {
		command.Env = append(command.Env, "TERM="+req.Term)
	}
	s.writers.Expect()
	outcome := s.box.Run(ctx, command, box.Stdio{
		Stdin:  s.incoming("standard input", io.Stdin),
		Stdout: s.output.tee("stdout", io.Stdout),
		Stderr: s.output.tee("stderr", io.Stderr),
	}, func(p *door.Process) {
		io.Event(proofbox.Event{Running: true})
		io.Drive(p)
		if s.ordinary() {
			s.daemon.pool.asked(s.kind) // not before, when it would be in this one's way
		}
	})
	s.run.Ended, s.run.ExitCode, s.run.Usage = outcome.Ended, outcome.ExitCode, outcome.Usage
	s.run.Warnings = append(s.run.Warnings, outcome.Warnings...)
}

func (s *session) warn(err error) {
	s.run.Warnings = append(s.run.Warnings, err.Error())
}

// stop ends the run from outside.
func (s *session) stop(c box.Cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box != nil {
		s.box.End(c)
	}
	if s.cancel != nil {
		s.cancel(errStopped)
	}
}
