package jail_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// TestFamilyIsWholeWhileParentsEnd makes this process take in the children of
// those that end, as a jail's process 1 does, and looks for each while its
// parent ends: a single listing misses some on their way up.
func TestFamilyIsWholeWhileParentsEnd(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		cmd := exec.Command("/bin/sh", "-c", "sleep 100 >&- 2>&- & echo $!")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Fscanln(out, &pid); err != nil {
			t.Fatal(err)
		}
		if family, err := jail.Family(os.Getpid(), pid); err != nil {
			t.Errorf("process %d is not among %v: %v", pid, family, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStrangerIsNotOfTheFamily(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	if family, err := jail.Family(cmd.Process.Pid, os.Getpid()); err == nil {
		t.Errorf("this test's process is among %v", family)
	}
}
