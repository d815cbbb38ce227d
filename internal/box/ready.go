package box

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"proofbox"
)

// Ready is a box with a kernel of its own that is nobody's yet. Its guest goes on
// from a saved one, has rehearsed what it will do when it is woken, and waits for
// that, so that it knows nothing of any run.
// [Host.Start] makes it the box of one run, whose ID, folder and journal it was
// made with, and no other.
type Ready struct {
	box     *Box
	conn    net.Conn
	monitor int
	key     string // of what it goes on from
}

// Ready makes a box ready for the run that the config names. What the config says
// of a workspace, of data and of a gateway is for [Host.Start], and not looked at.
// On an error nothing of the box is left running, and the account of what was
// taken down is in the error, as a [StartError].
func (h *Host) Ready(ctx context.Context, c Config) (*Ready, error) {
	m, ok := c.Runtime.(Machine)
	if !ok {
		panic(fmt.Sprintf("box: the wall %q has no boxes that wait to be woken", c.Runtime.Wall()))
	}
	c.Workspace, c.Data, c.Gateway, c.Ready = nil, nil, nil, nil
	b := &Box{config: c, log: &boundedLog{left: maxLog}}
	b.guest = &guest{machine: m, init: h.Init, console: newConsole(b.log)}
	ctx, cancel := context.WithTimeoutCause(ctx, machineStartLimit, fmt.Errorf("the box was not ready within %v", machineStartLimit))
	defer cancel()
	r := &Ready{box: b}
	if err := r.prepare(ctx, h); err != nil {
		err = b.explain(context.WithoutCancel(ctx), err)
		account, closeErr := r.Close(context.WithoutCancel(ctx))
		return nil, &StartError{Err: errors.Join(err, closeErr), Teardown: account}
	}
	return r, nil
}

func (r *Ready) prepare(ctx context.Context, h *Host) (err error) {
	if err := r.box.reserve(h); err != nil {
		return err
	}
	if r.conn, r.monitor, err = r.box.continueMachine(ctx, h); err != nil {
		return err
	}
	r.key = filepath.Base(r.box.guest.template.dir)
	return r.box.rehearse(ctx, r.conn)
}

// Fits says whether the box is what [Host.Start] would make for the config now:
// of the same machine, from the same parts as they are on the disk, and alive.
func (r *Ready) Fits(ctx context.Context, h *Host, c Config) (bool, error) {
	if r.ended() || !c.Weakness.None() {
		return false, nil
	}
	root, err := h.PackRoot(ctx, c.RootKey, c.Root)
	if err != nil {
		return false, err
	}
	// Whose box it is makes no difference to what its machine is made of.
	same := &Box{config: c, identity: r.box.identity}
	same.guest = &guest{machine: r.box.guest.machine, init: h.Init, root: root, hardware: c.hardware()}
	name, _ := same.guest.machine.Accelerator()
	same.guest.hardware.KVM = name == ByKVM
	from, err := same.blankFor()
	return from.key == r.key && same.affinity() == r.box.affinity(), err
}

func (r *Ready) ended() bool {
	select {
	case <-r.box.jail.Gone():
		return true
	default:
		return false
	}
}

// Gone is closed when the box has ended without anybody having wanted it.
func (r *Ready) Gone() <-chan struct{} { return r.box.jail.Gone() }

// Close ends a box that no run has taken over, and gives the account of it.
func (r *Ready) Close(ctx context.Context) ([]proofbox.HostObject, error) {
	account, err := r.box.Close(ctx)
	if r.conn != nil {
		_ = r.conn.Close() // the guest at its other end is gone
	}
	return account, err
}

// takeOver makes the ready box this one: what it will work on is put on the disks
// that its guest has not looked at yet, and it is woken.
func (b *Box) takeOver(ctx context.Context, h *Host) (net.Conn, int, error) {
	r := b.config.Ready
	if r.box.config.Dir != b.config.Dir || r.box.config.Journal != b.config.Journal {
		panic("box: a ready box is taken over by a run that it was not made for")
	}
	b.jail, b.group, b.identity, b.guest = r.box.jail, r.box.group, r.box.identity, r.box.guest
	b.log, b.files, b.objects, b.earlier = r.box.log, r.box.files, r.box.objects, r.box.earlier
	err := b.fillDisks(ctx, h)
	if err == nil {
		err = b.wake(ctx, r.conn)
	}
	if err != nil {
		return nil, 0, errors.Join(err, r.conn.Close())
	}
	return r.conn, r.monitor, nil
}

// fillDisks packs the workspace and the data onto the disks of a guest that
// sleeps: they have the size already that it knows.
func (b *Box) fillDisks(ctx context.Context, h *Host) error {
	if w := b.config.Workspace; w != nil {
		if err := w.packable(); err != nil {
			return err
		}
		path := filepath.Join(b.config.Dir, workDisk)
		if err := b.refill(path, func(disk *os.File) error { return h.packWorkspace(ctx, disk, w, b.note) }); err != nil {
			return fmt.Errorf("packing the workspace: %w", err)
		}
	}
	if len(b.config.Data) > 0 {
		path := filepath.Join(b.config.Dir, dataDisk)
		if err := b.refill(path, func(disk *os.File) error { return b.packData(ctx, h, disk) }); err != nil {
			return fmt.Errorf("packing the data: %w", err)
		}
	}
	return nil
}

// refill has a disk written anew, in its place.
func (b *Box) refill(path string, pack func(*os.File) error) error {
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	disk, err := os.OpenFile(path, os.O_RDWR|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	defer disk.Close()
	if err := pack(disk); err != nil {
		return err
	}
	if _, err := verifyPacked(disk); err != nil {
		return err
	}
	return b.finishDisk(path)
}
