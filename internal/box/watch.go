package box

import (
	"context"
	"fmt"
	"time"

	"proofbox"
)

// watchEvery is how often a box is looked at for what the kernel does not
// enforce.
const watchEvery = 100 * time.Millisecond

// lookTime bounds one look.
const lookTime = 10 * time.Second

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
			b.look(0)
		}
	}
}

// look takes one look. ended is how many tasks were there until a moment ago.
func (b *Box) look(ended int) {
	if b.guest != nil {
		return // its kernel keeps count, see Box.used
	}
	if full(b.jail.Scratch) {
		b.meter.diskFull.Store(true)
	}
	memory := b.config.Enforced["memory"].By == bySupervisor
	pids := b.config.Enforced["pids"].By
	if !memory && pids != bySupervisor && pids != byRlimit {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	used, err := b.jail.Look(ctx)
	if err != nil {
		b.End(Cause{fmt.Sprintf("the box could not be watched: %v", err), proofbox.ExitFailed})
		return
	}
	switch {
	case memory && used.Bytes > int64(b.config.Limits.Memory):
		b.End(Cause{"memory limit " + b.config.Limits.Memory.String(), proofbox.ExitKilled})
	case pids == bySupervisor && used.Tasks > b.taskLimit():
		b.End(Cause{fmt.Sprintf("pids limit %d", b.config.Limits.Pids), proofbox.ExitKilled})
	case pids == byRlimit && used.Tasks+ended >= b.taskLimit():
		b.meter.pidsFull.Store(true)
	}
}
