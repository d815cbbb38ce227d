package provenance

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// cycle is how far the kernel has come in giving out the numbers of processes, which it
// does in turn. A number is given again once it has come round.
type cycle struct {
	most int           // numbers there are
	safe time.Duration // no machine comes round in this
	next int           // where it was
	when time.Time
	far  int64 // numbers given since, or more
}

const (
	pollEvery = 10 * time.Millisecond
	// cheapest is less than what it takes one processor to use up a number: a thread, or
	// a process that is refused late.
	cheapest = 4 * time.Microsecond
)

func newCycle() (cycle, error) {
	text, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return cycle{}, fmt.Errorf("reading how many processes there may be: %w", err)
	}
	c := cycle{when: time.Now()}
	if c.most, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil || c.most <= 0 {
		return cycle{}, errors.Join(err, fmt.Errorf("%q is no number of processes", text))
	}
	c.safe = cheapest * time.Duration(c.most/2/runtime.NumCPU())
	c.next, err = lastNumber()
	return c, err
}

// lastNumber is the last number that was given out; see proc_loadavg(5).
func lastNumber() (int, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) != 5 {
		return 0, fmt.Errorf("%q is no load", text)
	}
	return strconv.Atoi(fields[4])
}

// look is called often. Where it was not, the numbers may have come round.
func (c *cycle) look() {
	next, err := lastNumber()
	now := time.Now()
	c.move(next, now, err != nil)
}

func (c *cycle) move(next int, now time.Time, lost bool) {
	c.far += int64((next - c.next + c.most) % c.most)
	if lost || now.Sub(c.when) > c.safe {
		c.far += int64(c.most)
	}
	c.next, c.when = next, now
}

// again says whether a number may have been given again since. Some are taken, and are
// left out in turn: so it is sooner than after all of them.
func (c *cycle) again(since int64) bool { return c.far-since >= int64(c.most/2) }
