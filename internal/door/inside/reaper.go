package inside

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// reaper is the one place that waits for processes: those that were started
// here, whose ends are handed on, and the orphans that process 1 inherits.
type reaper struct {
	mu   sync.Mutex // held while a process is started, so that its end is not missed
	ends map[int]chan syscall.WaitStatus
}

func startReaper() *reaper {
	r := &reaper{ends: map[int]chan syscall.WaitStatus{}}
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go func() {
		for range children {
			r.reap()
		}
	}()
	return r
}

// start runs fork, which gives the ID of a new child, and returns the channel
// that its end will be sent on.
func (r *reaper) start(fork func() (int, error)) (int, <-chan syscall.WaitStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := fork()
	if err != nil {
		return 0, nil, err
	}
	end := make(chan syscall.WaitStatus, 1)
	r.ends[pid] = end
	return pid, end, nil
}

// reap takes every process that has ended. One SIGCHLD may stand for many.
func (r *reaper) reap() {
	for {
		r.mu.Lock()
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if end, ok := r.ends[pid]; ok && err == nil {
			delete(r.ends, pid)
			end <- status
		}
		r.mu.Unlock()
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
