package box

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
)

// bootLimit is the [Host.BootLimit] where none is set: for an emulated processor
// of a busy host.
const bootLimit = 2 * time.Minute

// newSuffix ends the name of a template that is being made.
const newSuffix = ".new"

// findTemplate gives the template that the box continues from, and makes it
// where there is none. Of several boxes that need it at once, one makes it.
func (b *Box) findTemplate(ctx context.Context, h *Host) (*template, error) {
	from, err := b.blankFor()
	if err != nil {
		return nil, err
	}
	t, err := h.openTemplate(ctx, from.key, b.config.Weakness)
	if err != nil || t != nil {
		return t, err
	}
	lock, err := h.lockTemplate(ctx, from.key, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	t = &template{dir: filepath.Join(h.templates(), from.key), lock: lock}
	if h.verify(t, from.key) == nil {
		return t, nil // somebody else has just made it
	}
	if err := b.makeTemplate(ctx, h, t, from); err != nil {
		t.release()
		return nil, err
	}
	return t, h.thin()
}

// makeTemplate boots a guest, saves it and keeps it. Nothing of the box whose
// start it is takes part but its limits.
func (b *Box) makeTemplate(ctx context.Context, h *Host, t *template, from blank) error {
	temp := t.dir + newSuffix
	if err := errors.Join(os.RemoveAll(temp), os.RemoveAll(t.dir), os.Mkdir(temp, 0o700)); err != nil {
		return fmt.Errorf("making a folder for a template: %w", err)
	}
	err := b.saveGuest(ctx, h, temp)
	if err == nil {
		err = h.seal(temp, from)
	}
	if err == nil {
		err = os.Rename(temp, t.dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}

// saveGuest boots a guest in a jail of its own and saves it in dir.
func (b *Box) saveGuest(ctx context.Context, h *Host, dir string) error {
	run := filepath.Join(b.config.Dir, "template")
	if err := b.note(Object{Kind: Folder, Name: run}); err != nil {
		return err
	}
	if err := os.Mkdir(run, 0o700); err != nil {
		return fmt.Errorf("making a folder for a guest to be saved: %w", err)
	}
	limit := cmp.Or(h.BootLimit, bootLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
	defer cancel()
	config := b.config
	config.ID, config.Dir, config.Workspace, config.Data = config.ID+"-template", run, nil, nil
	maker := &Box{config: config, log: &boundedLog{left: maxLog}}
	maker.guest = &guest{
		machine: b.guest.machine, init: b.guest.init, console: newConsole(maker.log),
		root: b.guest.root, saving: dir, hardware: b.guest.hardware,
	}
	err := maker.bootAndSave(ctx, h)
	if err != nil {
		err = maker.explain(context.WithoutCancel(ctx), err)
	}
	account, closeErr := maker.Close(context.WithoutCancel(ctx))
	b.earlier = account
	if !Clean(account) {
		err = errors.Join(err, errors.New("something of the guest that was saved is left"))
	}
	if err := errors.Join(err, closeErr); err != nil {
		return err
	}
	return finishSaved(dir)
}

// finishSaved takes the saved files from the monitor's user.
func finishSaved(dir string) error {
	for _, name := range templateFiles {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.Lchown(path, os.Geteuid(), os.Getegid()), os.Chmod(path, 0o444)); err != nil {
			return fmt.Errorf("taking over what was saved: %w", err)
		}
	}
	return nil
}

// bootAndSave boots the guest until it waits to be woken, has it rehearse that, so
// that what it needs for it is in its memory, and saves it.
func (b *Box) bootAndSave(ctx context.Context, h *Host) error {
	if err := b.reserve(h); err != nil {
		return err
	}
	if err := b.makeMemory(); err != nil {
		return err
	}
	conn, monitor, _, err := b.startMachine(ctx, h)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer monitor.Close()
	if err := b.awaitReady(ctx); err != nil {
		return err
	}
	if err := b.rehearse(ctx, conn); err != nil {
		return err
	}
	device, err := os.OpenFile(filepath.Join(b.guest.saving, deviceFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("making a file for a guest's state: %w", err)
	}
	defer device.Close()
	return b.guest.machine.Save(ctx, monitor, device)
}

// makeMemory makes the file that the guest's memory is in.
func (b *Box) makeMemory() error {
	path := filepath.Join(b.guest.saving, memoryFile)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("making a file for a guest's memory: %w", err)
	}
	if err := errors.Join(f.Truncate(b.guest.hardware.Bytes), f.Close()); err != nil {
		return fmt.Errorf("making a file for a guest's memory: %w", err)
	}
	return b.handOver(path, 0o600)
}

// startMachine starts the monitor, and gives the guest's port and the monitor's
// own socket, which it both opens as it starts.
func (b *Box) startMachine(ctx context.Context, h *Host) (conn, monitor net.Conn, pid int, err error) {
	doors, err := listen(b.config.Dir, "door", b.note)
	if err != nil {
		return nil, nil, 0, err
	}
	defer doors.Close()
	monitors, err := listen(b.config.Dir, "monitor", b.note)
	if err != nil {
		return nil, nil, 0, err
	}
	defer monitors.Close()
	if err := b.startJail(ctx, h, doors.path); err != nil {
		return nil, nil, 0, err
	}
	if conn, pid, err = b.await(ctx, doors); err != nil {
		return nil, nil, 0, err
	}
	if monitor, _, err = b.await(ctx, monitors); err != nil {
		return nil, nil, 0, errors.Join(err, conn.Close())
	}
	return conn, monitor, pid, nil
}

// chooseTemplate finds what the box's machine is made of and continues from.
func (b *Box) chooseTemplate(ctx context.Context, h *Host) (*template, error) {
	root, err := h.PackRoot(ctx, b.config.RootKey, b.config.Root)
	if err != nil {
		return nil, err
	}
	b.guest.root, b.guest.hardware = root, b.config.hardware()
	name, _ := b.guest.machine.Accelerator()
	b.guest.hardware.KVM = name == ByKVM
	t, err := b.findTemplate(ctx, h)
	if err != nil {
		return nil, err
	}
	b.guest.template, b.guest.hardware.Saved = t, true
	return t, nil
}

// bootMachine starts a box from its template and wakes it.
func (b *Box) bootMachine(ctx context.Context, h *Host) (net.Conn, int, error) {
	if err := b.reserve(h); err != nil {
		return nil, 0, err
	}
	conn, pid, err := b.continueMachine(ctx, h)
	if err != nil {
		return nil, 0, err
	}
	if err := b.wake(ctx, conn); err != nil {
		return nil, 0, errors.Join(err, conn.Close())
	}
	return conn, pid, nil
}

// continueMachine starts a box from its template and lets its guest go on, which
// waits to be woken. It gives the guest's port and the monitor's process.
func (b *Box) continueMachine(ctx context.Context, h *Host) (net.Conn, int, error) {
	t, err := b.chooseTemplate(ctx, h)
	if err != nil {
		return nil, 0, err
	}
	defer t.release()
	conn, monitor, pid, err := b.startMachine(ctx, h)
	if err != nil {
		return nil, 0, err
	}
	defer monitor.Close()
	if err := b.resume(ctx, monitor); err != nil {
		return nil, 0, errors.Join(err, conn.Close())
	}
	return conn, pid, nil
}

// resume lets the machine continue from the template.
func (b *Box) resume(ctx context.Context, monitor net.Conn) error {
	device, err := os.Open(filepath.Join(b.guest.template.dir, deviceFile))
	if err != nil {
		return fmt.Errorf("opening a template: %w", err)
	}
	defer device.Close()
	return b.guest.machine.Resume(ctx, monitor, device)
}

// templateControl says what the box's guest was continued from, and whether that
// was done ahead.
func (b *Box) templateControl() proofbox.Control {
	c := proofbox.Control{
		Name: "template", Want: "signed, unaltered, of this machine",
		Found: filepath.Base(b.guest.template.dir), OK: true,
	}
	if b.config.Ready != nil {
		c.Found += ", made ready ahead of the run"
	}
	return c
}
