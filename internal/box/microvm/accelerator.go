package microvm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/box"
)

// boots is the record of the last time that somebody booted a guest with KVM.
type boots struct {
	// Of names what was tried: another kernel, QEMU or boot of the host has to be
	// tried again.
	Of    string `json:"of"`
	Boots bool   `json:"boots"`
	Why   string `json:"why,omitempty"` // where it does not
}

// Accelerator implements [box.Machine]. That there is a /dev/kvm says little: on
// many hosts that are guests themselves it opens, and no kernel boots with it.
// So KVM is used where a guest has booted with it, see [Runtime.TryKVM].
func (r *Runtime) Accelerator() (name, why string) {
	switch {
	case r.forced:
		return box.ByKVM, "it is tried"
	case unix.Access(box.KVM, unix.R_OK|unix.W_OK) != nil:
		return box.ByEmulation, "this host has no " + box.KVM + " that this user may use"
	}
	last, err := r.lastBoot()
	if err != nil {
		return box.ByEmulation, err.Error()
	}
	of, err := r.tried()
	switch {
	case err != nil:
		return box.ByEmulation, "what was tried with " + box.KVM + " is not known: " + err.Error()
	case last.Of != of:
		return box.ByEmulation, "no guest of this kernel has been booted with " + box.KVM + " since this host is up: `proofbox doctor` tries"
	case !last.Boots:
		return box.ByEmulation, "no guest boots with " + box.KVM + ": " + last.Why
	}
	return box.ByKVM, "a guest has booted with " + box.KVM
}

// TryKVM has a guest boot with KVM, and remembers what came of it, unless the
// context has ended meanwhile. boot starts a box with the runtime that it is given
// and says whether it did its work. The error is about remembering.
func (r *Runtime) TryKVM(ctx context.Context, boot func(forced *Runtime) error) error {
	of, err := r.tried()
	if err != nil {
		return err
	}
	forced := *r
	forced.forced = true
	last := boots{Of: of, Boots: true}
	if err := boot(&forced); err != nil {
		last.Boots, last.Why = false, err.Error()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // that was no answer
	}
	return r.remember(last)
}

func (r *Runtime) record() string { return filepath.Join(r.Cache, "kvm.json") }

// lastBoot gives what came of the last try; nothing where there was none.
func (r *Runtime) lastBoot() (last boots, err error) {
	text, err := os.ReadFile(r.record())
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	if err != nil {
		err = fmt.Errorf("reading what was tried with KVM: %w; `proofbox doctor` tries anew", err)
	}
	return last, err
}

func (r *Runtime) remember(last boots) error {
	if err := os.MkdirAll(r.Cache, 0o700); err != nil {
		return fmt.Errorf("making the folder of guests: %w", err)
	}
	text, err := json.Marshal(last)
	if err != nil {
		return fmt.Errorf("noting what was tried with KVM: %w", err)
	}
	temp := fmt.Sprintf("%s.%d", r.record(), os.Getpid())
	if err = os.WriteFile(temp, text, 0o600); err == nil {
		err = os.Rename(temp, r.record())
	}
	if err != nil {
		return fmt.Errorf("noting what was tried with KVM: %w", err)
	}
	return nil
}

// tried names what a boot depends on.
func (r *Runtime) tried() (string, error) {
	kernel, err := r.Kernel()
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile(bootID)
	if err != nil {
		return "", fmt.Errorf("asking since when the host is up: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(r.QEMU, &st); err != nil {
		return "", fmt.Errorf("looking at QEMU: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %d %d", kernel.Digest, strings.TrimSpace(string(boot)), r.QEMU, st.Ino, st.Ctim.Nano()))
	return hex.EncodeToString(sum[:]), nil
}
