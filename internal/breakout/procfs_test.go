package breakout

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// boxOf is a box of which only its processes are looked at.
type boxOf struct {
	Box
	pids []int
}

func (b boxOf) Processes() ([]int, error) { return b.pids, nil }

// TestThreads changes what belongs to a thread, in one that need not be the
// thread its process's own files in /proc are of.
func TestThreads(t *testing.T) {
	t.Parallel()
	a := &attempt{box: boxOf{pids: []int{os.Getpid()}}}
	oracle := differs("personality", "personality")
	if evidence, err := oracle.look(a); evidence != "" || err != nil {
		t.Fatalf("before anything was changed: %q, %v", evidence, err)
	}
	changed, looked, restored := make(chan unix.Errno), make(chan struct{}), make(chan unix.Errno, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		const noRandomness = 0x0040000
		before, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, noRandomness, 0, 0)
		changed <- errno
		<-looked
		_, _, errno = unix.RawSyscall(unix.SYS_PERSONALITY, before, 0, 0)
		restored <- errno
	}()
	defer func() {
		close(looked)
		if errno := <-restored; errno != 0 {
			t.Errorf("the thread keeps what was changed: %v", errno)
		}
	}()
	if errno := <-changed; errno != 0 {
		t.Fatal(errno)
	}
	if evidence, err := oracle.look(a); evidence == "" || err != nil {
		t.Errorf("a thread with another personality: %q, %v", evidence, err)
	}
}
