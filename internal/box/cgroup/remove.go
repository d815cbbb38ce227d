package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// removeEvery is how long Remove waits between two tries: a group stays busy
// for a moment after its last process has ended.
const removeEvery = 2 * time.Millisecond

// Remove kills what is left in a group's folder and removes it. A folder that
// is not there is no error. It gives up when the context ends.
func Remove(ctx context.Context, dir string) error {
	for {
		err := os.Remove(dir) // rmdir: a cgroup's files do not count
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err := errors.Join(killAll(dir), removeBelow(ctx, dir)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("removing the cgroup %q: %w", dir, err)
		case <-time.After(removeEvery):
		}
	}
}

// removeBelow removes the groups in a group. Nobody makes any, unless the box
// could.
func removeBelow(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the cgroup %q: %w", dir, err)
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, Remove(ctx, filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// killAll kills every process in a group. The group holds nothing but one
// box's processes, so whatever is in it is ours to end.
func killAll(dir string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	if err == nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the cgroup %q: %w", dir, err)
	}
	for line := range strings.Lines(string(text)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || pid <= 1 {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("killing process %d of the cgroup %q: %w", pid, dir, err)
		}
	}
	return nil
}
