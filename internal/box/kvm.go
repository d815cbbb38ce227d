package box

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// KVM is the device by which the host's kernel runs machines; see the kernel's
// Documentation/virt/kvm/api.rst.
const KVM = "/dev/kvm"

// How a guest's processor is run, as [Machine.Accelerator] and
// [proofbox.Terms.Accelerator] name it.
const (
	ByKVM       = "kvm"
	ByEmulation = "tcg"
)

// kvmDevice is the name of a box's own node of it.
const kvmDevice = "kvm"

// bindKVM gives the jail the device. Where root starts the box, it is a node of
// the box's own, which its monitor's user may open and nobody else; anybody else
// has no more of the device than they have themselves.
func (b *Box) bindKVM(sheet *blueprint) error {
	source := KVM
	if os.Geteuid() == 0 {
		source = filepath.Join(b.config.Dir, kvmDevice)
		if err := b.makeKVM(source); err != nil {
			return err
		}
	}
	return sheet.source(source, jail.Bind{Target: KVM, Devices: true, Writable: true})
}

func (b *Box) makeKVM(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(KVM, &st); err != nil {
		return fmt.Errorf("looking at %s: %w", KVM, err)
	}
	if err := b.note(Object{Kind: FilePath, Name: path}); err != nil {
		return err
	}
	if err := unix.Mknod(path, unix.S_IFCHR|0o600, int(st.Rdev)); err != nil {
		return fmt.Errorf("making a node of %s: %w", KVM, err)
	}
	return b.handOver(path, 0o600)
}
