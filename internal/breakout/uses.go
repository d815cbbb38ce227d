package breakout

import (
	"context"
	"errors"
	"strings"
	"time"

	"proofbox"
	"proofbox/internal/breakout/order"
)

// use is ordinary work that must go well behind a wall: one that stops
// everything would look perfect otherwise.
type use struct {
	name string
	work []string // an order to the attack program, which is honest about it
}

// everyday is the work that is tried, in a box of its own.
var everyday = []use{
	{"read and write the workspace", []string{"use-workspace", "{original}"}},
	{"compile a program", []string{"use-compiler"}},
	{"run tests", []string{"use-tests"}},
	{"write and read a file of 1 GiB", []string{"use-big-file", "1073741824"}},
	{"have 500 processes at once", []string{"use-processes", "500"}},
}

// roomy are limits that such work keeps. A process of gVisor's guest takes some 3 MiB
// of the host's memory, however little it does.
func (t *Trial) roomy() proofbox.Limits {
	limits := proofbox.Limits{Disk: 2 << 30, Pids: 600, Memory: 1 << 30}
	if t.Wall == proofbox.Gvisor {
		limits.Memory = 2 << 30
	}
	return limits
}

// useTime bounds one piece of ordinary work. What keeps a processor busy takes
// several times as long where the processor is emulated.
func (t *Trial) useTime() time.Duration {
	const emulation = 4
	if t.Accelerator == "tcg" {
		return emulation * attemptTime
	}
	return attemptTime
}

// use tries ordinary work behind the wall.
func (t *Trial) use(ctx context.Context) ([]proofbox.UseResult, error) {
	s, err := t.open(&sitting{as: asUser, setting: Setting{Limits: t.roomy(), Weakness: t.Base}})
	if s != nil {
		defer s.stage.close()
	}
	if err != nil {
		return nil, err
	}
	var results []proofbox.UseResult
	for _, u := range everyday {
		results = append(results, s.use(ctx, u))
	}
	return results, errors.Join(context.Cause(ctx), s.part(ctx))
}

func (s *session) use(ctx context.Context, u use) proofbox.UseResult {
	within := s.trial.useTime()
	r := proofbox.UseResult{Name: u.name, Within: proofbox.Duration(within)}
	b, err := s.started(ctx)
	if err != nil {
		r.Found = err.Error()
		return r
	}
	made := &attempt{session: s, stage: s.stage, box: b, token: newNonce(), workspace: s.workspace}
	began := time.Now()
	_, err = made.makeWithin(ctx, Probe{Attack: u.work}, within)
	r.Took = proofbox.Duration(time.Since(began).Round(time.Millisecond))
	switch said := made.report; {
	case errors.Is(err, errBroken):
		r.Found = err.Error()
		s.box = nil
		if _, err := s.trial.down(b); err != nil {
			r.Found += "; " + err.Error()
		}
	case err != nil:
		r.Found = err.Error()
	case said.Absent != "":
		r.LeftOut = said.Absent
	default:
		r.Works, r.Found = said.Said == order.Works, strings.TrimSpace(said.Said)
	}
	return r
}
