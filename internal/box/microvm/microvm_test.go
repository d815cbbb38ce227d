package microvm_test

import (
	"os"
	"path/filepath"
	"testing"

	"proofbox/internal/box/boxtest"
	"proofbox/internal/box/jail"
	"proofbox/internal/box/microvm"
	"proofbox/internal/debian"
)

// shared is where the tests of this package keep what boxes share: a guest that
// is saved once serves most of them.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "microvm-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(shared); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// bin is the folder of the programs that `make build` makes.
func bin(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PROOFBOX_BIN"); dir != "" {
		return dir
	}
	dir, err := filepath.Abs("../../../bin")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// base opens what `proofbox setup` has made.
func base(t *testing.T) *debian.Base {
	t.Helper()
	dir, err := debian.Dir()
	if err != nil {
		boxtest.Missing(t, "microvm", err.Error())
	}
	b, err := debian.Open(dir)
	if err != nil {
		boxtest.Missing(t, "microvm", err.Error())
	}
	return b
}

// suite has boxes on the base's system folders.
func suite(t *testing.T) boxtest.Suite {
	t.Helper()
	dir, b := bin(t), base(t)
	for _, program := range []string{"proofbox-jail", "proofbox-init"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			boxtest.Missing(t, "microvm", err.Error()+"; `make build` makes it")
		}
	}
	root := []jail.Step{{Bind: &jail.Bind{Source: filepath.Join(b.Root, "usr"), Target: "/usr", Folder: true}}}
	for _, name := range []string{"bin", "lib", "lib64", "sbin"} {
		root = append(root, jail.Step{Link: &jail.Link{Path: "/" + name, Target: "usr/" + name}})
	}
	return boxtest.Suite{
		Runtime: &microvm.Runtime{
			QEMU: "/usr/bin/qemu-system-x86_64", Cache: filepath.Join(shared, "microvm"),
			Kernel: func() (microvm.Kernel, error) {
				return microvm.Kernel{Image: b.Kernel, Modules: b.Modules, Version: b.Manifest.Version, Digest: b.Manifest.Kernel}, nil
			},
		},
		Bin: dir, Root: root, RootKey: "conformance", State: shared,
	}
}

func TestMicroVM(t *testing.T) { suite(t).Run(t) }

// long leaves a test out that boots guest after guest and is about what is the
// same for every user.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		boxtest.Missing(t, "long", "with -short there is no time for it: guests are booted in the same way by every user")
	}
}
