package jail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Config is what a jail is started from.
type Config struct {
	// Binary is the path of cmd/proofbox-jail.
	Binary   string
	Identity *Identity
	// Plan gives the plan, and the detached mounts for its binds, which stay
	// the caller's to close. It is called once, while the jail's process is
	// being started, and has returned when Start returns.
	Plan func() (Plan, []*os.File, error)
	// Shared are those of the clone(2) flags for new namespaces that the jail
	// goes without. Only a trial of the wall sets it.
	Shared uintptr
	// Log gets what the program and the jail say; nil drops it.
	Log io.Writer
	// Started is called with the process ID of the jail as soon as there is
	// one and before anything is built in it, so that it can be journaled.
	// An error ends the jail.
	Started func(pid int) error
	// Admit, where it is set, is called while the plan is being drawn, and has
	// returned before the program starts. An error ends the jail.
	Admit func(pid int) error
}

// Jail is a running jail.
type Jail struct {
	// PID is the jail's process 1, as the host counts.
	PID int
	// Scratch is the plan's scratch folder. It outlives the jail until it is
	// closed.
	Scratch *os.File

	cmd     *exec.Cmd
	control *os.File
	status  chan int
	empty   chan struct{}
	looking sync.Mutex // held for one look
	looks   chan Used
	gone    chan struct{}
	mu      sync.Mutex
	fault   error // why the jail ended, guarded by mu
}

// namespaces are those that every jail has of its own.
const namespaces = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID |
	syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// maxReport bounds one message of the jail.
const maxReport = 64 << 10

// Start starts a jail and returns once its root is built and its program was
// started. On an error nothing of the jail is left. When the context ends
// before that, the jail is killed; later it has no effect.
func Start(ctx context.Context, c Config) (*Jail, error) {
	ours, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	exe, err := os.Open(c.Binary)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the jail's program: %w; `make build` builds it", err), ours.Close(), theirs.Close())
	}
	defer exe.Close()
	plan := drawPlan(c)
	cmd := command(c, theirs, exe)
	err = cmd.Start()
	theirs.Close() // now, so that a jail that ends before it has reported is heard to end
	if err != nil {
		<-plan // whatever it has made is the caller's
		return nil, errors.Join(fmt.Errorf("starting the jail %q: %w", c.Binary, err), ours.Close())
	}
	j := &Jail{
		PID: cmd.Process.Pid, cmd: cmd, control: ours,
		status: make(chan int, 1), empty: make(chan struct{}), looks: make(chan Used, 1), gone: make(chan struct{}),
	}
	built := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { j.Kill() })
	go j.reap()
	go j.listen(built)
	err = j.admit(c)
	drawn := <-plan
	if err = errors.Join(err, drawn.err); err == nil {
		err = j.build(drawn)
	}
	if err == nil {
		err = <-built
	}
	stop()
	if err != nil {
		j.Kill()
		<-j.gone
		return nil, errors.Join(context.Cause(ctx), err)
	}
	return j, nil
}

// drawn is what came of [Config.Plan].
type drawn struct {
	plan  Plan
	files []*os.File
	err   error
}

// drawPlan has the plan drawn in the background.
func drawPlan(c Config) <-chan drawn {
	to := make(chan drawn, 1)
	go func() {
		var d drawn
		d.plan, d.files, d.err = c.Plan()
		to <- d
	}()
	return to
}

// admit lets the started jail go on: it is journaled and its IDs are mapped.
func (j *Jail) admit(c Config) error {
	if c.Started != nil {
		if err := c.Started(j.PID); err != nil {
			return err
		}
	}
	if c.Identity.Tools {
		if err := mapIDs("newuidmap", j.PID, c.Identity.UIDs); err != nil {
			return err
		}
		if err := mapIDs("newgidmap", j.PID, c.Identity.GIDs); err != nil {
			return err
		}
		if err := j.order(Mapped); err != nil {
			return err
		}
	}
	if c.Admit != nil {
		return c.Admit(j.PID)
	}
	return nil
}

// build hands the plan over. The jail starts its program when it has carried it
// out.
func (j *Jail) build(d drawn) error {
	for files := range slices.Chunk(d.files, MaxAttached) {
		if err := j.order(Attached, files...); err != nil {
			return err
		}
	}
	plan, err := planFile(d.plan)
	if err != nil {
		return err
	}
	defer plan.Close()
	return j.order(Planned, plan)
}

// order sends one message, with files where there are any.
func (j *Jail) order(o string, files ...*os.File) error {
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	raw, err := j.control.SyscallConn()
	if err != nil {
		return fmt.Errorf("telling the jail that it is %s: %w", o, err)
	}
	var sendErr error
	err = raw.Write(func(fd uintptr) bool {
		sendErr = unix.Sendmsg(int(fd), []byte(o), rights, nil, unix.MSG_NOSIGNAL)
		return !errors.Is(sendErr, unix.EAGAIN)
	})
	runtime.KeepAlive(files)
	if err := errors.Join(err, sendErr); err != nil {
		return fmt.Errorf("telling the jail that it is %s: %w", o, err)
	}
	return nil
}

func command(c Config, control, exe *os.File) *exec.Cmd {
	cmd := byDescriptor(control, exe)
	cmd.Stdout, cmd.Stderr = c.Log, c.Log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: namespaces &^ c.Shared,
		Setsid:     true,
	}
	if c.Shared&syscall.CLONE_NEWUSER != 0 {
		return cmd // it stays root of the host
	}
	if c.Identity.Tools {
		cmd.Args = append(cmd.Args, AwaitMapping)
		return cmd
	}
	cmd.SysProcAttr.UidMappings = mappings(c.Identity.UIDs)
	cmd.SysProcAttr.GidMappings = mappings(c.Identity.GIDs)
	if os.Getuid() == 0 {
		cmd.SysProcAttr.GidMappingsEnableSetgroups = true
		cmd.SysProcAttr.Credential = &syscall.Credential{}
	}
	return cmd
}

// byDescriptor is a command that runs an open program, wherever it lies: a jail
// that root starts runs as somebody who may not be able to reach the program
// by its path. The program finds its control socket as [ControlFD].
func byDescriptor(control, exe *os.File) *exec.Cmd {
	return &exec.Cmd{
		Path:       fmt.Sprintf("/proc/self/fd/%d", ControlFD+1),
		Args:       []string{exe.Name()},
		Env:        []string{},
		Dir:        "/",
		ExtraFiles: []*os.File{control, exe},
	}
}

func mappings(ranges []IDRange) []syscall.SysProcIDMap {
	m := make([]syscall.SysProcIDMap, len(ranges))
	for i, r := range ranges {
		m[i] = syscall.SysProcIDMap{ContainerID: r.Inside, HostID: r.Outside, Size: r.Size}
	}
	return m
}

// mapIDs runs newuidmap(1) or newgidmap(1) on a process that has a new user
// namespace without mappings.
func mapIDs(tool string, pid int, ranges []IDRange) error {
	args := []string{strconv.Itoa(pid)}
	for _, r := range ranges {
		args = append(args, strconv.Itoa(r.Inside), strconv.Itoa(r.Outside), strconv.Itoa(r.Size))
	}
	if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mapping subordinate IDs with %s: %w: %q; see subuid(5)", tool, err, out)
	}
	return nil
}

func controlPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making the jail's control socket: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // so that the poller serves it
		return nil, nil, fmt.Errorf("making the jail's control socket: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "jail control"), os.NewFile(uintptr(fds[1]), "jail control"), nil
}

func planFile(p Plan) (*os.File, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encoding the jail's plan: %w", err)
	}
	fd, err := unix.MemfdCreate("jail plan", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making the jail's plan: %w", err)
	}
	f := os.NewFile(uintptr(fd), "jail plan")
	if _, err := f.Write(data); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the jail's plan: %w", err), f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("rewinding the jail's plan: %w", err), f.Close())
	}
	return f, nil
}

// Kill ends the jail and with it every process in it. It does not wait.
func (j *Jail) Kill() {
	select {
	case <-j.gone:
	default:
		// The process is ours and not yet reaped, so its ID cannot have been
		// given to another; the only other answer is that it has just ended.
		_ = j.cmd.Process.Kill()
	}
}

// Gone is closed when the jail's process 1 has ended, and with it every
// process and mount of the jail.
func (j *Jail) Gone() <-chan struct{} { return j.gone }

// Status gives the exit status of the program, as a shell has it, once.
func (j *Jail) Status() <-chan int { return j.status }

// Wait waits until the program has ended and gives its exit status. That the jail
// has ended, too, by then is no error: it does so when nothing is left in it.
func (j *Jail) Wait(ctx context.Context) (int, error) {
	select {
	case status := <-j.status:
		return status, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-j.gone:
	}
	<-j.empty // everything that it has reported was read
	select {
	case status := <-j.status:
		return status, nil
	default:
		return 0, errors.Join(errors.New("the jail ended before its program did"), j.Fault())
	}
}

// Empty is closed when no process but the jail's own is left in it, or when the
// jail is gone.
func (j *Jail) Empty() <-chan struct{} { return j.empty }

// Fault says why the jail ended by itself, nil where it did not.
func (j *Jail) Fault() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fault
}

func (j *Jail) reap() {
	// A jail is ended by a kill, so its own status says nothing; what it had
	// to say came as a report.
	_ = j.cmd.Wait()
	close(j.gone)
}

func (j *Jail) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault == nil {
		j.fault = err
	}
}
