package inside

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// spareThreads is how many threads process 1 has beside those that run Go code:
// one for each thing at once that the kernel may let it wait for.
const spareThreads = 6

// makeThreads makes the threads that process 1 will need, while it may: Go ends
// a program that cannot have another thread, and the box would end with it. A
// thread that was made stays.
func makeThreads() {
	var made, done sync.WaitGroup
	made.Add(spareThreads)
	for range spareThreads {
		done.Go(func() {
			runtime.LockOSThread() // each has a thread of its own until all have one
			defer runtime.UnlockOSThread()
			made.Done()
			made.Wait()
		})
	}
	done.Wait()
}

// countThreads counts the threads of this process.
func countThreads() (int, error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, fmt.Errorf("counting threads: %w", err)
	}
	return len(threads), nil
}

// limitTasks allows a number of tasks beside this process's own threads, for
// good.
func limitTasks(n, own int) error {
	limit := unix.Rlimit{Cur: uint64(n + own), Max: uint64(n + own)}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		return fmt.Errorf("limiting tasks to %d: %w", n, err)
	}
	return nil
}
