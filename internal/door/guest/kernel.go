package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mountKernel mounts what the kernel shows of itself.
func mountKernel() error {
	for _, m := range []struct{ kind, target string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"cgroup2", groups},
	} {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return fmt.Errorf("making %q: %w", m.target, err)
		}
		if err := unix.Mount(m.kind, m.target, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.kind, err)
		}
	}
	return nil
}

// hugePages gives large pages to programs that ask for them only. Near the
// limit of memory the kernel would clear one at every fault, find it too much,
// and take a small one; that makes an emulated guest stand still for long
// before it is out of memory.
func hugePages() error {
	err := write("/sys/kernel/mm/transparent_hugepage/enabled", "madvise")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the kernel has none
	}
	return err
}

// ModuleList is the file of the initramfs that names its kernel modules, each
// in a line, in the order in which they can be loaded.
const ModuleList = "/modules"

// loadModules loads the kernel modules of the initramfs and drops them from it,
// and so from memory.
func loadModules() error {
	list, err := os.Open(ModuleList)
	if err != nil {
		return fmt.Errorf("opening the list of modules: %w", err)
	}
	defer list.Close()
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("reading the kernel's command line: %w", err)
	}
	for names := bufio.NewScanner(list); names.Scan(); {
		if err := loadModule(names.Text(), string(line)); err != nil {
			return err
		}
	}
	return nil
}

func loadModule(path, commandLine string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening a module: %w", err)
	}
	defer f.Close()
	name := strings.TrimSuffix(filepath.Base(path), ".ko")
	if err := unix.FinitModule(int(f.Fd()), parameters(name, commandLine), 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("loading the module %s: %w", name, err)
	}
	return os.Remove(path)
}

// parameters are those of a module on the kernel's command line, which only
// takes them to what is built into it. QEMU names its devices there where it
// has no ACPI.
func parameters(module, commandLine string) string {
	prefix := strings.ReplaceAll(module, "-", "_") + "."
	var found []string
	for word := range strings.FieldsSeq(commandLine) {
		if p, ok := strings.CutPrefix(word, prefix); ok {
			found = append(found, p)
		}
	}
	return strings.Join(found, " ")
}

// Devices come up while the machine boots.
const (
	deviceTime  = 10 * time.Second
	deviceEvery = 2 * time.Millisecond
)

// within calls try until it has found something, in bounded time; after that
// it gives the error for what is missing.
func within(missing error, try func() (string, error)) (string, error) {
	for deadline := time.Now().Add(deviceTime); ; time.Sleep(deviceEvery) {
		found, err := try()
		if err != nil || found != "" {
			return found, err
		}
		if time.Now().After(deadline) {
			return "", missing
		}
	}
}

// named finds the device of a class whose attribute has a value.
func named(class, attribute, value string) (string, error) {
	entries, err := os.ReadDir(class)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, e := range entries {
		// A device without the attribute, or that is not ready, is another one.
		text, err := os.ReadFile(filepath.Join(class, e.Name(), attribute))
		if err == nil && strings.TrimSpace(string(text)) == value {
			return "/dev/" + e.Name(), nil
		}
	}
	return "", nil
}

// disk finds a disk by its serial number.
func disk(serial string) (string, error) {
	path, err := named("/sys/block", "serial", serial)
	if err == nil && path == "" {
		err = noDisk(serial)
	}
	return path, err
}

func noDisk(serial string) error {
	return fmt.Errorf("the machine has no disk with the serial number %s", serial)
}

// awaitDisks waits for the disks without which there is no box.
func awaitDisks() error {
	for _, serial := range []string{rootDisk, scratchDisk} {
		_, err := within(noDisk(serial), func() (string, error) { return named("/sys/block", "serial", serial) })
		if err != nil {
			return err
		}
	}
	return nil
}

// openPort opens a virtio-serial port by its name, once the host is there.
func openPort(name string) (*os.File, error) {
	path, err := within(fmt.Errorf("the machine has no port %s", name), func() (string, error) {
		return named("/sys/class/virtio-ports", "name", name)
	})
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the port %s: %w", name, err)
	}
	if err := awaitHost(fd); err != nil {
		return nil, fmt.Errorf("waiting for the host at the port %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// awaitHost waits until somebody is at the other end of a port; a read would
// find the end of the file until then.
func awaitHost(fd int) error {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(deviceTime); time.Now().Before(deadline); time.Sleep(deviceEvery) {
		if _, err := unix.Poll(poll, 0); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if poll[0].Revents&unix.POLLHUP == 0 {
			return nil
		}
	}
	return errors.New("nobody came")
}
