// Package box starts sandboxes on this host, holds them to their limits, and
// takes down everything it made for them.
//
// A [Host] starts a [Box] behind a wall, which is a [Runtime], inside a jail
// (package jail). The box then runs commands through its door until it is
// taken down. What the box makes on the host is in its [Journal] before it
// exists, so that [Reap] can finish the work of a supervisor that died.
package box

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"proofbox"
	"proofbox/internal/audit"
	"proofbox/internal/box/cgroup"
	"proofbox/internal/box/jail"
	"proofbox/internal/door"
)

// Host is what boxes on this machine are started with.
type Host struct {
	State string // proofbox's state folder
	Jail  string // path of cmd/proofbox-jail
	Init  string // path of cmd/proofbox-init, statically linked
	// Key signs the saved guests of boxes with a kernel of their own.
	Key *audit.Key
	// Templates is the folder of saved guests; one in the state folder where it is
	// empty.
	Templates string
	// BootLimit bounds how long the first guest of a kind may take until it
	// waits to be woken; proofbox's own limit where it is 0.
	BootLimit time.Duration
	// Cgroups is where limits are set; see [cgroup.Detect].
	Cgroups *cgroup.Layout
}

// Config declares one box.
type Config struct {
	ID       string
	Dir      string // the run's own directory, for what the box makes
	Journal  *Journal
	Runtime  Runtime
	Hostname string
	// Root holds what the image puts into the box's root: folders, links,
	// files and read-only binds, with paths as the box sees them.
	Root []jail.Step
	// Data shows data sets in the box: read-only binds below [DataPath].
	Data []jail.Step
	// RootKey names what Root holds: it differs where Root does. A [Machine]
	// keeps a disk with it for further boxes; others do not look at it.
	RootKey string
	// Workspace is nil where the box has none.
	Workspace *Workspace
	// Gateway takes the connections that processes of the box make to
	// [GatewayAddress], and owns them. Nil where the box has none.
	Gateway  func(net.Conn)
	Limits   proofbox.Limits
	Enforced map[string]proofbox.Enforcement
	// Ready is the box that this one takes over; nil for a new one.
	Ready *Ready
	// Weakness is set by a trial and nobody else.
	Weakness Weakness
}

// Workspace is the frozen original that the box gets a writable copy of.
type Workspace struct {
	Lower    string   // folder on the host
	UID, GID int      // its owner
	Hidden   []string // paths below it that do not exist in the box
	Bytes    int64    // apparent size of its files
}

// startTime bounds the time from the jail's start to the box's first word.
const startLimit = 30 * time.Second

// machineStartLimit is the same for a box with a kernel of its own, whose
// template may have to be made first.
const machineStartLimit = 4 * time.Minute

// maxLog bounds what is kept of the runtime's own messages.
const maxLog = 64 << 10

// Box is a started box.
type Box struct {
	// Controls are the wall's protections as they were read back.
	Controls []proofbox.Control
	// Door is the way to the box's process 1.
	Door *door.Door

	config   Config
	jail     *jail.Jail
	group    *cgroup.Group
	identity *jail.Identity
	files    []*os.File // to close at the end
	log      *boundedLog
	meter    meter
	guest    *guest // nil where the box is on the host's kernel
	door     int    // process 1 of the box, as the host counts; or the monitor around it
	service  int    // tasks that are the box's and not its command's; see allow
	watching context.CancelFunc
	downOnce sync.Once
	teardown []proofbox.HostObject
	earlier  []proofbox.HostObject // the account of a guest that was saved for this box

	intrusion *intrusion // what a trial starts in the monitor's place, see [Host.Intrude]

	mu      sync.Mutex
	cause   *Cause   // why the box was ended, guarded by mu
	objects []Object // what the box has journaled, guarded by mu
}

// Start starts a box. When it returns, every protection that the wall promises
// was read back from outside and found in force; a missing one is an error. On
// an error nothing of the box is left running, and the account of what was
// taken down is in the error, as a [StartError].
func (h *Host) Start(ctx context.Context, c Config) (*Box, error) {
	c.checkData()
	b := &Box{config: c, log: &boundedLog{left: maxLog}}
	limit := startLimit
	if m, ok := c.Runtime.(Machine); ok {
		b.guest, limit = &guest{machine: m, init: h.Init, console: newConsole(b.log)}, machineStartLimit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("the box did not answer within %v", limit))
	defer cancel()
	if err := b.start(ctx, h); err != nil {
		err = b.explain(context.WithoutCancel(ctx), err)
		account, closeErr := b.Close(context.WithoutCancel(ctx))
		return nil, &StartError{Err: errors.Join(err, closeErr), Teardown: account}
	}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.watching = stop
	go b.watch(watch)
	return b, nil
}

// StartError is why a box could not be started.
type StartError struct {
	Err      error
	Teardown []proofbox.HostObject
}

func (e *StartError) Error() string { return "starting the box: " + e.Err.Error() }

// Unwrap gives the reason.
func (e *StartError) Unwrap() error { return e.Err }

// explain adds what the runtime had to say to why the box did not start.
func (b *Box) explain(ctx context.Context, err error) error {
	if b.jail != nil {
		b.jail.Kill()
		select { // the log is complete when the jail is gone
		case <-b.jail.Gone():
		case <-ctx.Done():
		}
	}
	if said := b.log.String(); said != "" {
		err = fmt.Errorf("%w; the runtime said %q", err, said)
	}
	return err
}

// note journals an object that the box is about to make.
func (b *Box) note(o Object) error {
	if err := b.config.Journal.Note(o); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects = append(b.objects, o)
	return nil
}

func (b *Box) start(ctx context.Context, h *Host) error {
	begin := b.bootContainer
	switch {
	case b.config.Ready != nil:
		begin = b.takeOver
	case b.guest != nil:
		begin = b.bootMachine
	}
	conn, pid, err := begin(ctx, h)
	if err != nil {
		return err
	}
	b.door = pid
	if b.Door, err = door.Open(ctx, conn); err != nil {
		return err
	}
	if err := b.confine(ctx, pid); err != nil {
		return err
	}
	if b.config.Gateway != nil {
		go b.receive()
	}
	return nil
}

// receive hands the visits of the box to its gateway, until the door closes.
func (b *Box) receive() {
	for {
		visit, err := b.Door.Accept()
		if err != nil {
			return
		}
		b.config.Gateway(visit)
	}
}

// bootContainer starts a box on the host's kernel, and gives its process 1 and
// the connection that it has opened.
func (b *Box) bootContainer(ctx context.Context, h *Host) (net.Conn, int, error) {
	if err := b.reserve(h); err != nil {
		return nil, 0, err
	}
	listener, err := listen(b.config.Dir, "door", b.note)
	if err != nil {
		return nil, 0, err
	}
	defer listener.Close()
	if err := b.startJail(ctx, h, listener.path); err != nil {
		return nil, 0, err
	}
	return b.await(ctx, listener)
}

// reserve takes what the box needs of the host before anything runs.
func (b *Box) reserve(h *Host) (err error) {
	if b.config.Weakness.HostUsers {
		b.identity, err = jail.HostIdentity()
	} else {
		b.identity, err = h.identity()
	}
	if err != nil {
		return err
	}
	if b.config.Weakness.Root && b.guest == nil && !b.identity.HasRoot() {
		return fmt.Errorf("%w: without subordinate IDs the box has no user 0", ErrNotWeaker)
	}
	b.group = h.Cgroups.New("proofbox-" + b.config.ID)
	for _, dir := range b.group.Folders() {
		if err := b.note(Object{Kind: Cgroup, Name: dir}); err != nil {
			return err
		}
	}
	if err := b.group.Make(); err != nil {
		return err
	}
	go b.group.Prime()
	return nil
}

// identity reserves whom a jail's processes are to the host.
func (h *Host) identity() (*jail.Identity, error) {
	if os.Geteuid() == 0 {
		return jail.RootIdentity(filepath.Join(h.State, "ids"))
	}
	return jail.UserIdentity()
}

// startJail builds the jail and starts the wall's runtime in it.
func (b *Box) startJail(ctx context.Context, h *Host, doorPath string) (err error) {
	sheet := &blueprint{}
	defer sheet.close()
	b.jail, err = jail.Start(ctx, jail.Config{
		Binary: h.Jail, Identity: b.identity, Log: b.output(),
		Plan: func() (jail.Plan, []*os.File, error) {
			program, err := b.draw(ctx, h, sheet, doorPath)
			return jail.Plan{
				Steps: sheet.steps, Scratch: jailScratch, Program: program, Setuid: b.config.Weakness.Setuid,
				Counts: b.counts(),
			}, sheet.files, err
		},
		Shared:  b.config.Weakness.shared(),
		Started: b.admit, Admit: b.enter,
	})
	return err
}

// output takes what the jail and its program say.
func (b *Box) output() io.Writer {
	switch {
	case b.intrusion != nil:
		return b.intrusion.out
	case b.guest != nil:
		return b.guest.console
	}
	return b.log
}

// draw collects what the jail is made of.
func (b *Box) draw(ctx context.Context, h *Host, sheet *blueprint, doorPath string) (jail.Program, error) {
	if b.guest != nil {
		return b.drawMachine(ctx, h, sheet)
	}
	disk, original, err := b.mounts(h)
	if err != nil {
		return jail.Program{}, err
	}
	sheet.devices()
	sheet.scratch(disk, b.config, b.identity)
	if err := sheet.workspace(original, b.config.Workspace, b.identity); err != nil {
		return jail.Program{}, err
	}
	if err := sheet.root(h, b.config, doorPath); err != nil {
		return jail.Program{}, err
	}
	if err := sheet.weaken(b.config.Weakness); err != nil {
		return jail.Program{}, err
	}
	steps, program, err := b.config.Runtime.Steps(b.layout())
	if err != nil {
		return jail.Program{}, err
	}
	program.CPUs = b.affinity()
	return program, sheet.runtime(steps)
}

// mounts makes, at once, the two mounts that take time: the scratch disk, nil
// where the scratch is in memory, and the original as the box's user sees it,
// nil where it can be bound as it is.
func (b *Box) mounts(h *Host) (disk, original *os.File, err error) {
	var both errgroup.Group
	both.Go(func() (err error) {
		disk, err = b.disk(h)
		return err
	})
	both.Go(func() (err error) {
		if w := b.config.Workspace; w != nil && os.Geteuid() == 0 {
			original, err = jail.MapTree(h.Jail, w.Lower, b.identity, w.UID, w.GID)
		}
		return err
	})
	if err := both.Wait(); err != nil {
		disk.Close() // as a nil file allows, too
		original.Close()
		return nil, nil, err
	}
	return disk, original, nil
}

// disk gives the mount of the scratch disk, nil where the scratch is in memory.
func (b *Box) disk(h *Host) (*os.File, error) {
	if b.config.Enforced["disk"].By != byDisk {
		return nil, nil
	}
	mount, device, err := h.scratchDisk(b.config, b.identity.UIDs[0].Outside, b.note)
	if err != nil {
		return nil, err
	}
	b.files = append(b.files, device)
	return mount, nil
}

// affinity is how many processors a box gets where its share of their time
// cannot be bounded.
func (b *Box) affinity() int {
	if b.config.Enforced["cpus"].By != byAffinity {
		return 0
	}
	n := int(b.config.Limits.CPUs)
	if float64(n) < b.config.Limits.CPUs {
		n++
	}
	return n
}

// admit journals the jail's process and namespace.
func (b *Box) admit(pid int) error { return noteJail(pid, b.note) }

// noteJail journals the process and the namespace of a jail that has just been
// started.
func noteJail(pid int, note func(Object) error) error {
	since, err := startTime(pid)
	if err != nil {
		return fmt.Errorf("looking at the jail's process: %w", err)
	}
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		return fmt.Errorf("looking at the jail's PID namespace: %w", err)
	}
	for _, o := range []Object{
		{Kind: Process, Name: strconv.Itoa(pid), Since: since},
		{Kind: PIDSpace, Name: space, Since: since},
	} {
		if err := note(o); err != nil {
			return err
		}
	}
	return nil
}

// enter puts the jail into the box's cgroup before it has children. The jail's
// own process is counted with the box's; see allow.
func (b *Box) enter(jailPID int) error { return b.group.Enter(jailPID) }

// confine finishes the box before its first command: process 1 restricts
// itself, the limits are set, and all of it is read back.
func (b *Box) confine(ctx context.Context, doorPID int) error {
	started, err := b.processes(doorPID)
	if err != nil {
		return err
	}
	applied, err := b.restrict(ctx)
	if err != nil {
		return err
	}
	if err := b.allow(applied); err != nil {
		return err
	}
	b.Controls = append(b.Controls, b.limitControls(started)...)
	b.Controls = append(b.Controls, b.config.Runtime.Controls(started)...)
	for _, c := range b.Controls {
		if !c.OK && b.config.Weakness.None() {
			return fmt.Errorf("the protection %q is not in force: want %s, found %s", c.Name, c.Want, c.Found)
		}
	}
	return nil
}

// boundedLog keeps the beginning of what is written to it.
type boundedLog struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	left int
}

func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(p), l.left)
	l.buf.Write(p[:n])
	l.left -= n
	return len(p), nil
}

func (l *boundedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// runtime takes the runtime's own steps into the jail.
func (b *blueprint) runtime(steps []jail.Step) error {
	for _, s := range steps {
		if s.Bind == nil {
			b.steps = append(b.steps, s)
			continue
		}
		bind := *s.Bind
		bind.Source = ""
		if err := b.source(s.Bind.Source, bind); err != nil {
			return err
		}
	}
	b.steps = slices.Clip(b.steps)
	return nil
}
