package box

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// loopTries bounds how often a loop device that looked free may turn out to be
// taken by somebody else.
const loopTries = 64

// attachLoop makes a block device of a file. note is called with the device's
// node before it is attached. The device goes away by itself with its last
// user, once the returned file is closed too. See loop(4).
func attachLoop(backing *os.File, note func(Object) error) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the loop devices: %w", err)
	}
	defer control.Close()
	for range loopTries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("finding a free loop device: %w", err)
		}
		node := fmt.Sprintf("/dev/loop%d", n)
		device, err := configureLoop(node, backing, note)
		if errors.Is(err, unix.EBUSY) {
			continue
		}
		return device, err
	}
	return nil, errors.New("every loop device that was free got taken; try again")
}

func configureLoop(node string, backing *os.File, note func(Object) error) (*os.File, error) {
	device, err := os.OpenFile(node, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a loop device: %w", err)
	}
	config := unix.LoopConfig{Fd: uint32(backing.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	copy(config.Info.File_name[:len(config.Info.File_name)-1], backing.Name())
	if err := note(Object{Kind: LoopDevice, Name: node + " " + backing.Name()}); err != nil {
		return nil, errors.Join(err, device.Close())
	}
	if err := unix.IoctlLoopConfigure(int(device.Fd()), &config); err != nil {
		return nil, errors.Join(fmt.Errorf("attaching %q to %s: %w", backing.Name(), node, err), device.Close())
	}
	return device, nil
}

// detachLoop waits until a loop device no longer serves the run's file, and
// detaches it where it would not by itself.
func detachLoop(ctx context.Context, o Object) (string, error) {
	node, backing, _ := strings.Cut(o.Name, " ")
	for tries := 0; ; tries++ {
		serves, err := loopServes(node, backing)
		if err != nil {
			return "", err
		}
		if !serves {
			return "it serves no file of this run", nil
		}
		if tries > 20 {
			clearLoop(node)
		}
		if err := pause(ctx); err != nil {
			return "", fmt.Errorf("%s still serves %q: %w", node, backing, err)
		}
	}
}

func loopServes(node, backing string) (bool, error) {
	text, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(node), "loop/backing_file"))
	// A device that is let go of while it is asked says that it is none.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking what %s serves: %w", node, err)
	}
	served := strings.TrimSuffix(strings.TrimSpace(string(text)), " (deleted)")
	return served == backing, nil
}

// clearLoop asks the kernel to detach a device as soon as nothing uses it. That
// it worked is seen by [loopServes].
func clearLoop(node string) {
	if device, err := os.OpenFile(node, os.O_RDWR, 0); err == nil {
		_ = unix.IoctlSetInt(int(device.Fd()), unix.LOOP_CLR_FD, 0)
		_ = device.Close()
	}
}
