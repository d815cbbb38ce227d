package microvm

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"proofbox/internal/audit"
	"proofbox/internal/box"
	"proofbox/internal/box/seccomp"
)

// measured is what of the command line differs from boot to boot of one host.
var measured = regexp.MustCompile(`tsc_early_khz=\d+`)

// Fingerprint names what the wall is made of: the monitor and its firmware, the
// guest's kernel, and how a machine is configured.
func (r *Runtime) Fingerprint(box.Layout) (map[string]string, error) {
	name, _ := r.Accelerator()
	parts := map[string]string{"accelerator": name}
	kernel, err := r.Kernel()
	if err != nil {
		return nil, err
	}
	parts["guest kernel"] = kernel.Version + " " + kernel.Digest
	if parts["runtime"], err = audit.DigestFile(r.QEMU); err != nil {
		return nil, fmt.Errorf("taking the fingerprint of QEMU: %w", err)
	}
	if parts["firmware"], err = firmwareDigest(); err != nil {
		return nil, err
	}
	parts["configuration"], err = r.configuration(name == box.ByKVM)
	return parts, err
}

func firmwareDigest() (string, error) {
	files, err := firmware()
	if err != nil {
		return "", err
	}
	more, err := emulator()
	if err != nil {
		return "", err
	}
	maps.Copy(files, more)
	var all []byte
	for _, place := range slices.Sorted(maps.Keys(files)) {
		digest, err := audit.DigestFile(files[place])
		if err != nil {
			return "", fmt.Errorf("taking the fingerprint of QEMU's parts: %w", err)
		}
		all = append(all, place+" "+digest+"\n"...)
	}
	return audit.Digest(all), nil
}

// configuration is the digest of a machine's command line and of the two lists
// of system calls: the monitor's and that of the box in the guest.
func (r *Runtime) configuration(byKVM bool) (string, error) {
	args, err := r.arguments(box.Hardware{Bytes: 1 << 30, CPUs: 1, KVM: byKVM, Saved: true})
	if err != nil {
		return "", err
	}
	for i, a := range args {
		args[i] = measured.ReplaceAllString(a, "tsc_early_khz=")
	}
	guest, err := r.Guest()
	if err != nil {
		return "", err
	}
	monitor, err := seccomp.Compile(seccomp.MonitorProfile())
	if err != nil {
		return "", err
	}
	config, err := json.Marshal([]any{args, guest, monitor})
	if err != nil {
		return "", fmt.Errorf("taking the fingerprint of a machine: %w", err)
	}
	return audit.Digest(config), nil
}
