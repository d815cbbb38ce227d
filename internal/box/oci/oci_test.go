package oci_test

import (
	"os"
	"path/filepath"
	"testing"

	"proofbox/internal/box/boxtest"
	"proofbox/internal/box/oci"
)

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

func TestRunc(t *testing.T)  { conform(t, oci.Runc) }
func TestRunsc(t *testing.T) { conform(t, oci.Runsc) }

func conform(t *testing.T, flavour oci.Flavour) {
	dir := bin(t)
	for _, program := range []string{"proofbox-jail", "proofbox-init", string(flavour)} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			boxtest.Missing(t, string(flavour), err.Error()+"; `make build` makes it")
		}
	}
	boxtest.Suite{Runtime: &oci.Runtime{Flavour: flavour, Path: filepath.Join(dir, string(flavour))}, Bin: dir}.Run(t)
}
