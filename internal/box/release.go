package box

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"proofbox"
	"proofbox/internal/box/cgroup"
)

// kindOrder is the order of release: what holds others comes first.
var kindOrder = []Kind{Process, PIDSpace, Cgroup, LoopDevice, Socket, FilePath, Folder}

// releaseTime bounds how long the release of one object may take.
const releaseTime = 30 * time.Second

// releaseEvery is how long a release waits between two looks.
const releaseEvery = time.Millisecond

// Release lets go of every object, verifies that it is gone, and gives the
// account. It goes on after an object that cannot be released.
func Release(ctx context.Context, objects []Object) []proofbox.HostObject {
	objects = slices.Clone(objects)
	slices.SortStableFunc(objects, func(a, b Object) int {
		return slices.Index(kindOrder, a.Kind) - slices.Index(kindOrder, b.Kind)
	})
	account := make([]proofbox.HostObject, len(objects))
	for i, o := range objects {
		account[i] = releaseOne(ctx, o)
	}
	return account
}

func releaseOne(ctx context.Context, o Object) proofbox.HostObject {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	found, err := o.letGo(ctx)
	if err != nil {
		found = err.Error()
	}
	return proofbox.HostObject{Kind: string(o.Kind), Name: o.Name, Gone: err == nil, Found: found}
}

// letGo releases the object and says how its absence was verified.
func (o Object) letGo(ctx context.Context) (string, error) {
	switch o.Kind {
	case Process:
		return endProcess(ctx, o)
	case PIDSpace:
		return verifyEmpty(ctx, o)
	case Cgroup:
		if err := cgroup.Remove(ctx, o.Name); err != nil {
			return "", err
		}
		return absent(o.Name)
	case LoopDevice:
		return detachLoop(ctx, o)
	case Socket, FilePath:
		if err := os.Remove(o.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		return absent(o.Name)
	case Folder:
		if err := removeAll(o.Name); err != nil {
			return "", err
		}
		return absent(o.Name)
	}
	return "", fmt.Errorf("the journal names an unknown kind of object %q", o.Kind)
}

// absent verifies that a path does not exist.
func absent(path string) (string, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "lstat finds nothing", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for what was removed: %w", err)
	}
	return "", fmt.Errorf("%q is still there", path)
}

// removeAll removes a folder whose parts may have lost the modes that removing
// needs.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("opening up %q for removal: %w", dir, err)
	}
	return os.RemoveAll(dir)
}

// endProcess kills the process that the object names, unless it has ended and
// its ID belongs to another one now, and waits until it is gone.
func endProcess(ctx context.Context, o Object) (string, error) {
	pid, err := strconv.Atoi(o.Name)
	if err != nil {
		return "", fmt.Errorf("the journal names the process %q", o.Name)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return "no process has its ID", nil
	}
	if err != nil {
		return "", fmt.Errorf("opening process %d: %w", pid, err)
	}
	defer unix.Close(pidfd)
	if since, err := startTime(pid); err != nil || since != o.Since {
		return "its ID belongs to a later process", nil
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return "", fmt.Errorf("killing process %d: %w", pid, err)
	}
	for {
		if since, err := startTime(pid); err != nil || since != o.Since {
			return "its ID is free", nil
		}
		if err := pause(ctx); err != nil {
			return "", fmt.Errorf("process %d has not ended: %w", pid, err)
		}
	}
}

// startTime reads a process's start time; it is an error where there is none,
// or where it is a zombie that only waits for its parent to look.
func startTime(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything.
	_, after, ok := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	fields := strings.Fields(after)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("process %d has the status %q", pid, text)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fs.ErrNotExist
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// verifyEmpty waits until no process is in a PID namespace.
func verifyEmpty(ctx context.Context, o Object) (string, error) {
	for {
		inside, err := processesIn(o.Name, o.Since)
		if err != nil {
			return "", err
		}
		if inside == 0 {
			return "no process is in it", nil
		}
		if err := pause(ctx); err != nil {
			return "", fmt.Errorf("%d processes are still in the PID namespace %s: %w", inside, o.Name, err)
		}
	}
}

// processesIn counts the processes that are in a PID namespace whose first
// process began at since. The kernel gives the number of a namespace that has
// ended to the next one at once: where the first process is another one, so is
// the namespace. Processes of other users, which an ordinary user cannot look
// at, cannot be in it.
func processesIn(namespace string, since uint64) (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, fmt.Errorf("listing processes: %w", err)
	}
	inside := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if link, err := os.Readlink("/proc/" + e.Name() + "/ns/pid"); err != nil || link != namespace {
			continue
		}
		if began, err := startTime(pid); err == nil && since != 0 && began != since && firstInside(pid) {
			return 0, nil
		}
		inside++
	}
	return inside, nil
}

// firstInside says whether a process is the first of its PID namespace.
func firstInside(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(ids)
			return len(fields) > 0 && fields[len(fields)-1] == "1"
		}
	}
	return false
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(releaseEvery):
		return nil
	}
}
