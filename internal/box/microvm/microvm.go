// Package microvm builds the microvm wall: a box in a virtual machine with a
// kernel of its own, which QEMU runs as its "microvm" machine, with no device
// but its disks, a console that it can only write to, and the door.
//
// QEMU emulates devices, and where the host has no KVM the processor too, in
// code that its makers do not call a security boundary. So it runs in the jail
// like every other runtime, and has less there than any: a root that holds the
// program, its libraries and its disks, no capability, no network, a list of the
// system calls that it needs (see seccomp.MonitorProfile) and QEMU's own.
package microvm

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"

	"proofbox"
	"proofbox/internal/box"
	"proofbox/internal/box/jail"
	"proofbox/internal/box/seccomp"
)

// Kernel is what guests boot.
type Kernel struct {
	Image   string // path of a bzImage
	Modules string // path of its lib/modules/VERSION
	Version string
	Digest  string // of the image, "sha256:…"
}

// Runtime starts boxes with QEMU.
type Runtime struct {
	QEMU  string // path of qemu-system-x86_64
	Cache string // a folder for what guests of one kernel share
	// Kernel finds the kernel, or says what to do to have one.
	Kernel func() (Kernel, error)

	forced bool // KVM is tried, see TryKVM
}

var _ box.Machine = (*Runtime)(nil)

// Wall implements [box.Runtime].
func (r *Runtime) Wall() proofbox.Wall { return proofbox.MicroVM }

// Check implements [box.Runtime].
func (r *Runtime) Check(context.Context) error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("QEMU has the microvm machine for x86-64 only, and this is %s", runtime.GOARCH)
	}
	if _, err := os.Stat(r.QEMU); err != nil {
		return fmt.Errorf("looking for QEMU: %w; `proofbox setup --install` installs it", err)
	}
	if _, err := firmware(); err != nil {
		return err
	}
	_, err := r.Kernel()
	return err
}

// Guest implements [box.Machine].
func (r *Runtime) Guest() ([]byte, error) { return seccomp.Compile(seccomp.Profile()) }

// lent are the files that QEMU opens for writing and does not get so: it keeps
// what a guest changes of its saved memory to itself.
func lent(h box.Hardware) []string {
	if h.Saved {
		return []string{h.Memory}
	}
	return nil
}

// Places in the jail.
const (
	kernelPath    = "/kernel"
	initramfsPath = "/initramfs"
	firmwareDir   = "/firmware"
	modulesDir    = "/modules"
)

// Steps implements [box.Runtime].
func (r *Runtime) Steps(l box.Layout) ([]jail.Step, jail.Program, error) {
	if !l.Weak.OfMachine() {
		return nil, jail.Program{}, box.ErrNotWeaker
	}
	kernel, err := r.Kernel()
	if err != nil {
		return nil, jail.Program{}, err
	}
	steps, err := jail.Closure(r.QEMU)
	if err != nil {
		return nil, jail.Program{}, err
	}
	files, err := r.files(kernel, l.Init)
	if err != nil {
		return nil, jail.Program{}, err
	}
	args, err := r.arguments(*l.Hardware)
	if err != nil {
		return nil, jail.Program{}, err
	}
	filter, err := seccomp.Compile(seccomp.MonitorProfile())
	if err != nil {
		return nil, jail.Program{}, err
	}
	for target, source := range files {
		steps = append(steps, jail.Step{Bind: &jail.Bind{Source: source, Target: target}})
	}
	return steps, jail.Program{
		Path: r.QEMU, Args: append([]string{"qemu"}, args...), Env: []string{jail.LibraryEnv, "QEMU_MODULE_DIR=" + modulesDir},
		Confine: &jail.Confinement{Nested: l.Nested, User: jail.BoxID, Filter: filter, Lent: lent(*l.Hardware)},
	}, nil
}

// files are what QEMU reads beside itself and the disks, by their places in the
// jail.
func (r *Runtime) files(kernel Kernel, init string) (map[string]string, error) {
	files, err := firmware()
	if err != nil {
		return nil, err
	}
	parts, err := emulator()
	if err != nil {
		return nil, err
	}
	maps.Copy(files, parts)
	files[kernelPath] = kernel.Image
	files[initramfsPath], err = r.initramfs(kernel, init)
	return files, err
}
