package microvm_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"proofbox/internal/box"
	"proofbox/internal/box/microvm"
)

// TestAccelerator: KVM is used where a guest of this kernel and QEMU has booted
// with it since the host is up, and nowhere else; why not is said.
func TestAccelerator(t *testing.T) {
	digest := "a"
	r := &microvm.Runtime{QEMU: "/bin/sh", Cache: t.TempDir(), Kernel: func() (microvm.Kernel, error) { return microvm.Kernel{Digest: digest}, nil }}
	expect := func(want, words string) {
		t.Helper()
		if name, why := r.Accelerator(); name != want || !strings.Contains(why, words) {
			t.Errorf("%s, %q; want %s, %q", name, why, want, words)
		}
	}
	f, err := os.OpenFile(box.KVM, os.O_RDWR, 0)
	if err != nil { // for this user it counts for none
		expect("tcg", box.KVM)
		return
	}
	f.Close()
	expect("tcg", "proofbox doctor")
	try := func(came error) {
		t.Helper()
		err := r.TryKVM(t.Context(), func(forced *microvm.Runtime) error {
			if name, _ := forced.Accelerator(); name != "kvm" {
				t.Errorf("what is tried is %s", name)
			}
			return came
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	try(errors.New("no such luck"))
	expect("tcg", "no such luck")
	try(nil)
	expect("kvm", "has booted")
	ended, end := context.WithCancel(t.Context())
	err = r.TryKVM(ended, func(*microvm.Runtime) error {
		end()
		return ended.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a try that was broken off: %v", err)
	}
	expect("kvm", "has booted") // it was no answer
	digest = "b"
	expect("tcg", "this kernel")
	digest = "a"
	if err := os.WriteFile(filepath.Join(r.Cache, "kvm.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("tcg", "tries anew")
}
