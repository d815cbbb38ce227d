package main

import (
	"errors"
	"os"
	"path/filepath"

	"proofbox/internal/breakout/order"
)

var planted = map[string]attack{
	"plant": plant,
}

// plant writes an executable file with a mark into the workspace: NAME MARK.
func plant(args []string) order.Report {
	err := os.MkdirAll(filepath.Dir(args[0]), 0o755)
	err = errors.Join(err, os.WriteFile(args[0], []byte("#!/bin/sh\n# "+args[1]+"\n"), 0o755))
	return said(err, "planted")
}
