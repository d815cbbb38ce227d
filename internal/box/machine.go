package box

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"

	"proofbox"
	"proofbox/internal/box/jail"
	"proofbox/internal/door"
)

// Machine is what a [Runtime] is too where its boxes have a kernel of their
// own: it runs a virtual machine monitor in the jail, as its program. The
// layout then has [Hardware] in place of folders. The box's process 1 comes to
// the door from inside the guest, so that the process at the door is the
// monitor.
type Machine interface {
	// Guest gives the list of system calls that process 1 puts the box's
	// processes under, as the guest's kernel takes it; see [door.WakeUp].
	Guest() (filter []byte, err error)
	// Accelerator says how the guest's processor is run, as
	// [proofbox.Terms.Accelerator] has it, and why so. A box asks once: with
	// [ByKVM] its jail gets the device, and [Hardware.KVM] says so.
	Accelerator() (name, why string)
	// Save stops a machine, whose monitor is at the other end of the
	// connection, and writes the state of its processor and devices to a file.
	// Its memory is in a file already.
	Save(ctx context.Context, monitor net.Conn, device *os.File) error
	// Resume lets a machine that was started with [Hardware.Saved] continue
	// from what Save has written.
	Resume(ctx context.Context, monitor net.Conn, device *os.File) error
}

// Hardware is what a [Machine] makes the guest's machine from. Paths are inside
// the jail.
type Hardware struct {
	// Root, Work and Data are read-only disks with erofs file systems: the box's
	// root, the frozen original and the data sets. Scratch is a disk with an
	// empty ext4 file system as large as the disk limit.
	Root, Work, Data, Scratch string
	// Door is the socket that the guest's port is connected to, and Monitor the
	// one that takes the monitor's orders.
	Door, Monitor string
	// Memory is the file that the guest's memory is in, Bytes its size.
	Memory string
	Bytes  int64
	CPUs   int
	// KVM says that the jail has the device [KVM].
	KVM bool
	// Saved says that the memory is that of a saved guest: the machine gets a
	// private view of it, the file is bound read-only, and nothing runs until
	// [Machine.Resume]. Otherwise the file is empty and the guest's alone.
	Saved bool
}

// Places in a machine's jail.
const (
	jailRootDisk    = "/disks/root"
	jailWorkDisk    = "/disks/work"
	jailDataDisk    = "/disks/data"
	jailScratchDisk = "/disks/scratch"
	jailMemory      = "/memory"
	jailDoor        = "/door"
	jailMonitor     = "/monitor"
)

// What a machine takes beside what its box may have.
const (
	// guestOwn is the memory that the guest's kernel and process 1 take, and
	// that the box's limit is not meant for.
	guestOwn = 128 << 20
	// monitorMemory and monitorTasks are what the monitor itself may take of
	// the host beside the guest's memory: translated code, buffers of disks,
	// threads that wait for disks.
	monitorMemory = 256 << 20
	monitorTasks  = 128
)

// Names of the files that a box's own disks are in.
const (
	scratchDisk = "scratch.ext4"
	workDisk    = "workspace.erofs"
	dataDisk    = "data.erofs"
)

// packedDiskSize is the apparent size of every disk with a workspace or data:
// it belongs to the machine, whose parts must not change with what is in them.
const packedDiskSize = 1 << 40

// guest is the state of a box that has a kernel of its own.
type guest struct {
	machine  Machine
	init     string // of the host, see [Layout]
	console  *console
	hardware Hardware
	root     Packed
	template *template // nil while there is none
	saving   string    // the folder that the guest is to be saved in; empty in a box
	woken    door.Woken
	harvest  harvesting
}

// makeDisks makes the disks that are the box's own. Those of a guest that is to
// be saved are as large, and empty: nobody looks at them before the wake. It has
// its scratch mounted by then, so that is a part of the template.
func (b *Box) makeDisks(ctx context.Context, h *Host) (work, scratch string, err error) {
	work = filepath.Join(b.config.Dir, workDisk)
	if b.config.Workspace != nil {
		_, err = h.PackWorkspace(ctx, b.config.Dir, b.config.Workspace, b.note)
	} else {
		err = b.makeFile(work)
	}
	if err == nil {
		err = b.finishDisk(work)
	}
	if err != nil {
		return "", "", err
	}
	if b.guest.saving != "" {
		scratch = filepath.Join(b.guest.saving, scratchFile)
		err = b.newScratch(h, scratch)
	} else {
		scratch = filepath.Join(b.config.Dir, scratchDisk)
		err = b.copyScratch(scratch)
	}
	return work, scratch, errors.Join(err, b.handOver(scratch, 0o600))
}

// makeFile makes an empty file for the box.
func (b *Box) makeFile(path string) error {
	if err := b.note(Object{Kind: FilePath, Name: path}); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("making a disk: %w", err)
	}
	return f.Close()
}

// newScratch makes the empty disk of a guest that is to be saved, in the
// template's folder, which is removed as a whole where that fails.
func (b *Box) newScratch(h *Host, path string) error {
	empty, err := h.diskTemplate(b.config.Limits.Disk)
	if err != nil {
		return err
	}
	return fillScratch(empty, path)
}

// copyScratch makes the disk for what the box writes from its template's.
func (b *Box) copyScratch(path string) error {
	if err := b.note(Object{Kind: FilePath, Name: path}); err != nil {
		return err
	}
	return fillScratch(filepath.Join(b.guest.template.dir, scratchFile), path)
}

func fillScratch(from, path string) error {
	disk, err := copySparse(from, path)
	if err != nil {
		return err
	}
	return disk.Close()
}

// handOver gives a file to the monitor's user.
func (b *Box) handOver(path string, mode fs.FileMode) error {
	if owner := b.identity.HostBox(); os.Geteuid() == 0 {
		if err := os.Lchown(path, owner, owner); err != nil {
			return fmt.Errorf("giving a disk to the jail: %w", err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("giving a disk to the jail: %w", err)
	}
	return nil
}

// drawMachine collects what the jail of a monitor is made of: nothing but the
// disks, the guest's memory, two sockets and what the runtime itself needs.
func (b *Box) drawMachine(ctx context.Context, h *Host, sheet *blueprint) (jail.Program, error) {
	work, scratch, err := b.makeDisks(ctx, h)
	if err != nil {
		return jail.Program{}, err
	}
	data, err := b.makeDataDisk(ctx, h)
	if err != nil {
		return jail.Program{}, err
	}
	sheet.dir(jailScratch, 0o555, 0) // nothing is written there
	for _, bind := range []struct {
		source string
		jail.Bind
	}{
		{"/dev/null", jail.Bind{Target: "/dev/null", Devices: true, Writable: true}},
		{b.guest.root.Path, jail.Bind{Target: jailRootDisk}},
		{work, jail.Bind{Target: jailWorkDisk}},
		{data, jail.Bind{Target: jailDataDisk}},
		{scratch, jail.Bind{Target: jailScratchDisk, Writable: true}},
		{b.guest.memory(), jail.Bind{Target: jailMemory, Writable: b.guest.saving != ""}},
		{filepath.Join(b.config.Dir, "door"), jail.Bind{Target: jailDoor}},
		{filepath.Join(b.config.Dir, "monitor"), jail.Bind{Target: jailMonitor}},
	} {
		if err := sheet.source(bind.source, bind.Bind); err != nil {
			return jail.Program{}, err
		}
	}
	if b.guest.hardware.KVM {
		if err := b.bindKVM(sheet); err != nil {
			return jail.Program{}, err
		}
	}
	steps, program, err := b.config.Runtime.Steps(b.layout())
	if err != nil {
		return jail.Program{}, err
	}
	program.CPUs = b.affinity()
	if program, err = b.intrude(sheet, program); err != nil {
		return jail.Program{}, err
	}
	return program, sheet.runtime(steps)
}

// memory is the file on the host that the guest's memory is in.
func (g *guest) memory() string {
	if g.saving != "" {
		return filepath.Join(g.saving, memoryFile)
	}
	return filepath.Join(g.template.dir, memoryFile)
}

// hardware is the machine that a box's limits ask for.
func (c Config) hardware() Hardware {
	const page = 2 << 20 // a size that every machine takes
	return Hardware{
		Root: jailRootDisk, Work: jailWorkDisk, Data: jailDataDisk, Scratch: jailScratchDisk,
		Door: jailDoor, Monitor: jailMonitor, Memory: jailMemory,
		Bytes: (int64(c.Limits.Memory) + guestOwn + page - 1) / page * page,
		CPUs:  max(1, int(math.Ceil(c.Limits.CPUs))),
	}
}

// scratchControl reads back how much the disk of a guest can hold.
func (b *Box) scratchControl() proofbox.Control {
	c := proofbox.Control{Name: "scratch size", Want: "at most " + b.config.Limits.Disk.String()}
	info, err := os.Stat(filepath.Join(b.config.Dir, scratchDisk))
	if err != nil {
		c.Found = err.Error()
		return c
	}
	c.Found, c.OK = fmt.Sprintf("a disk of %d bytes", info.Size()), info.Size() <= int64(b.config.Limits.Disk)
	return c
}

// memoryControl is what the guest's process 1 said about the box's memory
// before anything else ran in it. The machine itself has no more than its size.
func (b *Box) memoryControl() proofbox.Control {
	limit := int64(b.config.Limits.Memory)
	return proofbox.Control{
		Name: "memory limit in the guest", Want: fmt.Sprintf("at most %d", limit),
		Found: fmt.Sprintf("%d of a machine with %d", b.guest.woken.Memory, b.guest.hardware.Bytes),
		OK:    b.guest.woken.Memory > 0 && b.guest.woken.Memory <= limit,
	}
}
