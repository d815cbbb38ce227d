package microvm

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// firmwareFolders are where QEMU looks for what it loads into a machine, in
// this order. Debian builds it so; others put everything in the first.
var firmwareFolders = []string{"/usr/share/qemu", "/usr/share/seabios", "/usr/share/qemu-firmware"}

// firmwareFiles are what a microvm that boots Linux loads: the machine's
// firmware, and the two that put a kernel of either kind where it finds it.
var firmwareFiles = []string{"bios-microvm.bin", "linuxboot_dma.bin", "pvh.bin"}

// firmware finds the files, by their places in the jail.
func firmware() (map[string]string, error) {
	found := map[string]string{}
	for _, name := range firmwareFiles {
		file, err := firmwareFile(name)
		if err != nil {
			return nil, err
		}
		found[path.Join(firmwareDir, name)] = file
	}
	return found, nil
}

// firmwareFile finds one of them, through links, which a jail does not follow.
func firmwareFile(name string) (string, error) {
	for _, dir := range firmwareFolders {
		file, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err == nil {
			return file, nil
		}
		if !os.IsNotExist(err) {
			return "", fmt.Errorf("looking for QEMU's firmware: %w", err)
		}
	}
	return "", fmt.Errorf("QEMU's firmware %q is in none of %s; `proofbox setup --install` installs it", name, strings.Join(firmwareFolders, ", "))
}

// moduleFolders are where distributions put the parts of QEMU that it loads on
// demand.
var moduleFolders = []string{"/usr/lib/x86_64-linux-gnu/qemu", "/usr/lib64/qemu", "/usr/lib/qemu"}

// emulator finds the part of QEMU that emulates processors, by its place in the
// jail. Where QEMU is built in one piece there is none.
func emulator() (map[string]string, error) {
	const name = "accel-tcg-x86_64.so"
	for _, dir := range moduleFolders {
		file, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err == nil {
			return map[string]string{path.Join(modulesDir, name): file}, nil
		}
		if !os.IsNotExist(err) {
			return nil, fmt.Errorf("looking for QEMU's parts: %w", err)
		}
	}
	return nil, nil
}
