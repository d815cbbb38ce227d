// Package daemon runs boxes for its callers and keeps the record of what they
// did: it wires policy, image, workspace, wall and audit into the run that
// ARCHITECTURE.md walks through. It is the only package that knows them all.
package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"proofbox"
	"proofbox/internal/api"
	"proofbox/internal/audit"
	"proofbox/internal/box"
	"proofbox/internal/box/cgroup"
	"proofbox/internal/box/microvm"
	"proofbox/internal/box/oci"
	"proofbox/internal/contents"
	"proofbox/internal/debian"
	"proofbox/internal/gateway"
	"proofbox/internal/workspace"
)

// Daemon runs boxes. It may be used from many goroutines, and several daemons,
// in several processes, may share one state folder.
type Daemon struct {
	store    store
	programs programs
	runtimes map[proofbox.Wall]box.Runtime
	host     *box.Host
	network  gateway.Network // how gateways reach the world; nil as the host does
	roots    *x509.CertPool  // whom they trust there; nil as the host does
	money    *money
	contents *contents.Keeper
	program  contents.Program // what looks at data
	key      *audit.Key
	log      *audit.Log
	shelf    workspace.Shelf

	closing context.Context    // ends when the daemon is closed
	close   context.CancelFunc // ends it
	trials  sync.WaitGroup     // of walls, that go on
	pool    *pool              // of ready boxes; nil where none are kept

	mu     sync.Mutex
	active map[string]*session // runs that this process supervises, guarded by mu
}

// Open opens a state folder; the empty string means the user's own, see
// [Home]. What runs of dead supervisors have left on the host is taken down
// first.
func Open(home string) (*Daemon, error) {
	if home == "" {
		var err error
		if home, err = Home(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("making the state folder: %w; set PROOFBOX_HOME to a folder of yours", err)
	}
	home, err := filepath.EvalSymlinks(home)
	if err != nil {
		return nil, fmt.Errorf("finding the state folder: %w", err)
	}
	key, err := audit.OpenKey(filepath.Join(home, "keys"))
	if err != nil {
		return nil, err
	}
	log, err := audit.OpenLog(filepath.Join(home, "log"), key)
	if err != nil {
		return nil, err
	}
	programs := findPrograms()
	program := contents.Program{Path: programs.contents, Secret: contents.Tags(key), Plug: os.Getenv("PROOFBOX_NAMES")}
	d := &Daemon{
		store:    store{home},
		programs: programs,
		runtimes: map[proofbox.Wall]box.Runtime{
			proofbox.Container: &oci.Runtime{Flavour: programs.flavour, Path: programs.container},
			proofbox.Gvisor:    &oci.Runtime{Flavour: oci.Runsc, Path: programs.runsc},
			proofbox.MicroVM: &microvm.Runtime{
				QEMU: programs.qemu, Cache: filepath.Join(home, "cache", "microvm"), Kernel: guestKernel,
			},
		},
		host:     &box.Host{State: home, Jail: programs.jail, Init: programs.init, Cgroups: cgroup.Detect(), Key: key},
		contents: &contents.Keeper{Key: key, Scanner: program, Memory: filepath.Join(home, "verified"), Drafts: filepath.Join(home, "drafts")}, program: program,
		key: key, log: log, money: &money{home: home, database: os.Getenv("PROOFBOX_DATABASE")},
		active: map[string]*session{},
	}
	d.closing, d.close = context.WithCancel(context.Background())
	if err := d.reap(context.Background()); err != nil {
		return d, err
	}
	return d, d.recoverKeeps(context.Background())
}

// Home is the state folder where nobody names another: $PROOFBOX_HOME, else
// proofbox in the XDG state folder.
func Home() (string, error) {
	if home := os.Getenv("PROOFBOX_HOME"); home != "" {
		return filepath.Abs(home)
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "proofbox"), nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for proofbox's state: %w; set PROOFBOX_HOME", err)
	}
	return filepath.Join(user, ".local", "state", "proofbox"), nil
}

// Handler serves the daemon's API.
func (d *Daemon) Handler() http.Handler { return api.Handler(d) }

// Control gives the socket of the process that supervises a run, where that is
// another process than this one.
func (d *Daemon) Control(id string) (socket string, ok bool) {
	id, err := d.store.resolve(id)
	if err != nil || d.session(id) != nil {
		return "", false
	}
	path := filepath.Join(d.store.dir(id), controlFile)
	if _, err := os.Stat(path); err != nil {
		return "", false
	}
	return path, true
}

// Close stops every run that this process supervises, every trial of a wall and
// every box that is kept ready, and waits for their teardown.
func (d *Daemon) Close() error {
	d.close()
	d.mu.Lock()
	var running []*session
	for _, s := range d.active {
		running = append(running, s)
	}
	d.mu.Unlock()
	for _, s := range running {
		s.stop(box.Stopped)
		<-s.done
	}
	d.trials.Wait()
	return errors.Join(d.pool.drain(), d.money.close())
}

func (d *Daemon) session(id string) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.active[id]
}

func (d *Daemon) enlist(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active[s.run.ID] = s
}

func (d *Daemon) dismiss(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.active, s.run.ID)
}

// note appends an event to the audit log.
func (d *Daemon) note(ctx context.Context, kind, run string, detail any) error {
	if err := d.log.Append(ctx, audit.Event{Kind: kind, Run: run, Detail: detail}); err != nil {
		return fmt.Errorf("recording %q in the audit log: %w", kind, err)
	}
	return nil
}

// guestKernel finds the kernel that `proofbox setup` has brought.
func guestKernel() (microvm.Kernel, error) {
	dir, err := debian.Dir()
	if err != nil {
		return microvm.Kernel{}, err
	}
	base, err := debian.Open(dir)
	if err != nil {
		return microvm.Kernel{}, err
	}
	return microvm.Kernel{
		Image: base.Kernel, Modules: base.Modules, Version: base.Manifest.Version, Digest: base.Manifest.Kernel,
	}, nil
}

// programs are the paths of what a run is made with.
type programs struct {
	jail, init       string
	attack           string // what a trial attacks with
	contents         string // what looks at data
	container, runsc string
	qemu             string
	flavour          oci.Flavour // of container
}

// findPrograms looks for proofbox's own programs beside the running one, where
// a build and an installation put them, and in the folder that PROOFBOX_BIN
// names. The container runtime may be the host's own.
func findPrograms() programs {
	p := programs{
		jail:      Program("proofbox-jail"),
		init:      Program("proofbox-init"),
		attack:    Program("proofbox-attack"),
		contents:  Program("proofbox-contents"),
		runsc:     Program("runsc"),
		container: Program("runc"),
		qemu:      "/usr/bin/qemu-system-x86_64",
		flavour:   oci.Runc,
	}
	if _, err := os.Stat(p.container); err == nil {
		return p
	}
	for _, f := range []oci.Flavour{oci.Runc, oci.Crun} {
		for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin"} {
			path := filepath.Join(dir, string(f))
			if _, err := os.Stat(path); err == nil {
				p.container, p.flavour = path, f
				return p
			}
		}
	}
	return p
}

// Program looks for one of proofbox's own programs, see [findPrograms].
func Program(name string) string {
	if dir := os.Getenv("PROOFBOX_BIN"); dir != "" {
		return filepath.Join(dir, name)
	}
	self, err := os.Executable()
	if err != nil {
		return name
	}
	beside := filepath.Dir(self)
	for _, dir := range []string{beside, filepath.Join(beside, "../libexec/proofbox")} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return filepath.Join(beside, name)
}
