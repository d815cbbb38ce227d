package box

import (
	"context"
	"fmt"
	"time"

	"proofbox"
	"proofbox/internal/box/jail"
)

// watchEvery is how often a box is looked at for what the kernel does not
// enforce.
const watchEvery = 100 * time.Millisecond

// watch looks at the box until the context ends.
func (b *Box) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.jail.Gone():
			return
		case <-tick.C:
			b.look()
		}
	}
}

func (b *Box) look() {
	if full(b.Scratch()) {
		b.meter.diskFull.Store(true)
	}
	memory := b.config.Enforced["memory"].By == bySupervisor
	tasks := b.config.Enforced["pids"].By == bySupervisor
	if !memory && !tasks {
		return
	}
	family, err := jail.Descendants(b.jail.PID)
	if err != nil {
		b.End(Cause{fmt.Sprintf("the box could not be watched: %v", err), proofbox.ExitFailed})
		return
	}
	var bytes int64
	count := 0
	for _, pid := range family {
		bytes += memoryOf(pid)
		count += tasksOf(pid)
	}
	if memory && bytes > int64(b.config.Limits.Memory) {
		b.End(Cause{"memory limit " + b.config.Limits.Memory.String(), proofbox.ExitKilled})
	}
	if tasks && count > b.taskLimit() {
		b.End(Cause{fmt.Sprintf("pids limit %d", b.config.Limits.Pids), proofbox.ExitKilled})
	}
}
