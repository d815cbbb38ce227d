package oci_test

import (
	"os"
	"os/exec"
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

// TestCrun tries the host's crun, where it has one.
func TestCrun(t *testing.T) {
	path, err := exec.LookPath("crun")
	if err != nil {
		boxtest.Missing(t, "crun", err.Error()+"; Debian's package crun has it")
	}
	suite(t, oci.Crun, path)
}

func conform(t *testing.T, flavour oci.Flavour) {
	path := filepath.Join(bin(t), string(flavour))
	if _, err := os.Stat(path); err != nil {
		boxtest.Missing(t, string(flavour), err.Error()+"; `make build` makes it")
	}
	suite(t, flavour, path)
}

func suite(t *testing.T, flavour oci.Flavour, path string) {
	dir := bin(t)
	for _, program := range []string{"proofbox-jail", "proofbox-init"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			boxtest.Missing(t, program, err.Error()+"; `make build` makes it")
		}
	}
	boxtest.Suite{Runtime: &oci.Runtime{Flavour: flavour, Path: path}, Bin: dir}.Run(t)
}
