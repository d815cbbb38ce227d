package box_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"proofbox/internal/box"
)

// TestReleaseOfANumberThatIsUsedAgain: the kernel gives the number of a PID
// namespace that has ended to the next one. Who runs there is not what was left.
func TestReleaseOfANumberThatIsUsedAgain(t *testing.T) {
	t.Parallel()
	later := exec.Command("sleep", "1000")
	later.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID}
	if err := later.Start(); err != nil {
		t.Fatal(err)
	}
	defer later.Wait() // killed: its status says nothing
	defer later.Process.Kill()
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", later.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	since := startTime(t, later.Process.Pid)
	gone := box.Release(t.Context(), []box.Object{{Kind: box.PIDSpace, Name: space, Since: since - 1}})
	if len(gone) != 1 || !gone[0].Gone {
		t.Errorf("an earlier namespace of the same number: %+v", gone)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for name, since := range map[string]uint64{"the namespace itself": since, "one of an old journal": 0} {
		if left := box.Release(ended, []box.Object{{Kind: box.PIDSpace, Name: space, Since: since}}); len(left) != 1 || left[0].Gone {
			t.Errorf("%s: %+v", name, left)
		}
	}
}

// startTime is the 22nd field of proc_pid_stat(5).
func startTime(t *testing.T, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	since, err := strconv.ParseUint(fields[21], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return since
}
