package jail_test

import (
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// scratchNames lists the upper layer through the descriptor that outlives the
// jail.
func scratchNames(t *testing.T, j *jail.Jail) []string {
	t.Helper()
	fd, err := unix.Openat(int(j.Scratch.Fd()), "upper", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "upper")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// waitForChildren waits until a jail has at least n processes below it.
func waitForChildren(t *testing.T, pid, n int) []string {
	t.Helper()
	for t.Context().Err() == nil {
		family, err := jail.Descendants(pid)
		if err != nil {
			t.Fatal(err)
		}
		if len(family) < n {
			continue
		}
		var pids []string
		for _, p := range family {
			pids = append(pids, strconv.Itoa(p))
		}
		return pids
	}
	t.Fatalf("the jail never had %d processes", n)
	return nil
}
