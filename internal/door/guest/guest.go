// Package guest is what proofbox-init does as the first process of a kernel of
// its own: it brings up the machine, waits to be told who it is, and serves the
// door.
//
// There are two processes. The kernel's process 1 stays in the initramfs, with
// all rights over the guest: it wakes the machine, sets limits, counts, and
// gives the changes out. The box's process 1 lives in namespaces of its own, as
// the box's user and without a capability, and is the same server as behind
// every other wall (package inside). The first hands to the second whatever
// the host asks for that is not its own.
//
// Nothing on the host relies on either of them once a command has run: whoever
// has broken out of the box's process has the guest, not the host.
package guest

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"proofbox/internal/door"
)

// PortName is the name of the virtio-serial port that the host is at.
const PortName = "proofbox.door"

// Serial numbers of the disks, by which they are found whatever their order.
const (
	rootDisk    = "proofbox-root"    // the box's root, erofs
	scratchDisk = "proofbox-scratch" // all that the box writes, ext4
	workDisk    = "proofbox-work"    // the frozen original, erofs
	dataDisk    = "proofbox-data"    // data sets, erofs
)

// Program is where the kernel finds this program in the initramfs; a process
// that was started by this name as process 1 is the kernel's.
const Program = "/init"

// ReadyLine is what the console says when the guest waits to be woken. Until it
// is, it has seen nothing that tells it from another guest with the same
// kernel, root and size, so here it can be saved, with its scratch. Whatever
// can be done before, is, and what cannot is rehearsed: an emulated processor
// translates all code anew when it continues, and that is what waking takes its
// time for.
const ReadyLine = "proofbox: ready"

// Boot runs the machine to its end and does not return. A machine that cannot
// be brought up, or whose host has gone, says why on the console and resets.
func Boot() {
	err := boot()
	fmt.Println("proofbox: boot:", err)
	unix.Sync()
	err = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	panic(fmt.Sprintf("guest: a kernel's first process could not reset the machine: %v", err))
}

// boot gives the reason why the machine cannot go on.
func boot() error {
	if err := mountKernel(); err != nil {
		return err
	}
	if err := limits(); err != nil {
		return err
	}
	if err := hugePages(); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := awaitDisks(); err != nil {
		return err
	}
	port, err := openPort(PortName)
	if err != nil {
		return err
	}
	if err := loopback(); err != nil {
		return err
	}
	group, err := makeGroup("box")
	if err != nil {
		return err
	}
	box, err := startBox(group, door.Weak{})
	if err != nil {
		return err
	}
	mounts, err := mountScratch()
	if err != nil {
		return err
	}
	if err := box.show(mounts); err != nil {
		return err
	}
	available, err := availableMemory()
	if err != nil {
		return err
	}
	// Not before: the box's processes would inherit it.
	if err := write("/proc/self/oom_score_adj", "-1000"); err != nil {
		return err
	}
	fmt.Println(ReadyLine)
	m := &machine{port: port, group: group, box: box, available: available}
	if err := m.wake(); err != nil {
		return err
	}
	return m.serve()
}

// machine is the guest as the kernel's process 1 has it.
type machine struct {
	port  io.ReadWriteCloser
	group *group
	box   *box
	pids  int // the limit of tasks
	// available is how much memory there is, in bytes, before the box has any.
	available int64
}

// wake waits for the host's first frames, becomes who the last of them says and
// answers. The answer to a wake-up that went wrong is the last thing that the
// machine says.
func (m *machine) wake() error {
	for {
		w, err := door.Await(m.port)
		woken := door.Woken{}
		switch {
		case err == nil && w.Rehearsal != nil:
			err = m.rehearse(w)
		case err == nil:
			woken.Memory, err = m.become(w)
		}
		if err != nil {
			woken.Error = err.Error()
		}
		if writeErr := door.WriteFrame(m.port, woken); err == nil {
			err = writeErr
		}
		if err != nil {
			_, _ = m.port.Read(make([]byte, 1)) // until the host has read it and gone
		}
		if err != nil || w.Rehearsal == nil {
			return err
		}
	}
}

// become makes this machine the one that the host has woken. It gives the limit
// of memory that is in force.
func (m *machine) become(w door.WakeUp) (int64, error) {
	if err := renew(w); err != nil {
		return 0, err
	}
	if w.Weak != nil {
		if err := m.weaken(*w.Weak); err != nil {
			return 0, err
		}
	}
	memory := min(w.Memory, m.available)
	if err := m.group.limitMemory(memory); err != nil {
		return 0, err
	}
	m.pids = w.Pids
	mounts, err := mountWorkspace(w.Workspace)
	if err == nil && w.Data {
		mounts, err = mountData(mounts)
	}
	if err != nil {
		return 0, err
	}
	if err := m.box.show(mounts); err != nil {
		return 0, err
	}
	return memory, m.box.confine(w.Filter)
}
