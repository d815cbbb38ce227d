package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"proofbox"
	"proofbox/internal/box"
)

// pool keeps microVMs that have been continued and wait for their run, so that
// it need not. There are at most size of them, of the kinds that runs have asked
// for last. A run takes a box out of the pool for good; it is the run's own then.
type pool struct {
	daemon *Daemon
	size   int
	say    func(string) // what becomes of the boxes, in words

	wake chan struct{} // has one, or none, when there may be something to do
	done chan struct{} // closed when nobody makes boxes any more

	mu      sync.Mutex
	recent  []box.Config // what to make, a kind each, the last asked for first; guarded by mu
	waiting []*waiting   // guarded by mu
	closed  bool         // guarded by mu
}

// waiting is a run that has everything but a command: an ID, a folder, a journal
// and a box.
type waiting struct {
	id      string
	lock    *os.File
	journal *box.Journal
	kind    kind
	box     *box.Ready
	account []proofbox.HostObject // of a box that could not be made
}

// kind is what runs have in common that could take over the same box. That it is
// still what is on the disk, [box.Ready.Fits] says.
type kind struct {
	root         string
	memory, disk proofbox.Size
	cpus         float64
}

func kindOf(c box.Config) kind {
	return kind{c.RootKey, c.Limits.Memory, c.Limits.Disk, c.Limits.CPUs}
}

// KeepReady has the daemon keep up to n microVMs ready, of the kinds that runs
// ask for, until it is closed. It is called once, before any run.
func (d *Daemon) KeepReady(n int, say func(string)) {
	if n <= 0 {
		return
	}
	d.pool = &pool{daemon: d, size: n, say: say, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go d.pool.fill(d.closing)
}

// take gives a run of these terms its box, nil where none waits that fits. What is
// wrong with one that waits is no reason not to start the run.
func (p *pool) take(ctx context.Context, c box.Config) *waiting {
	if p == nil {
		return nil
	}
	for w := p.pick(kindOf(c)); w != nil; w = p.pick(kindOf(c)) {
		fits, err := w.box.Fits(ctx, p.daemon.host, c)
		if fits && err == nil {
			return w
		}
		p.tell(errors.Join(err, p.discard(ctx, w)))
	}
	return nil
}

// tell says what went wrong, if anything did.
func (p *pool) tell(err error) {
	if err != nil {
		p.say(err.Error())
	}
}

// pick takes the oldest box of a kind out of the pool.
func (p *pool) pick(k kind) *waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.waiting, func(w *waiting) bool { return w.kind == k })
	if i < 0 || p.closed {
		return nil
	}
	w := p.waiting[i]
	p.waiting = slices.Delete(p.waiting, i, i+1)
	return w
}

// asked notes what a run has asked for, so that the next one finds it ready.
func (p *pool) asked(c box.Config) {
	if _, ok := c.Runtime.(box.Machine); p == nil || !ok {
		return
	}
	c.Workspace, c.Data, c.Gateway, c.Ready, c.Journal = nil, nil, nil, nil, nil
	p.mu.Lock()
	p.recent = slices.DeleteFunc(p.recent, func(r box.Config) bool { return kindOf(r) == kindOf(c) })
	p.recent = slices.Insert(p.recent, 0, c)
	p.recent = p.recent[:min(len(p.recent), p.size)]
	p.mu.Unlock()
	p.nudge()
}

func (p *pool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// fill makes boxes, one at a time, until the context ends.
func (p *pool) fill(ctx context.Context) {
	defer close(p.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		for _, w := range p.surplus() {
			p.tell(p.discard(ctx, w))
		}
		for c, ok := p.missing(); ok && ctx.Err() == nil; c, ok = p.missing() {
			if err := p.add(ctx, c); err != nil {
				p.forget(kindOf(c))
				p.say(fmt.Sprintf("no further box is made ready before a run has asked for one: %v", err))
			}
		}
	}
}

// share is how many boxes each recent kind may have. p.mu is held.
func (p *pool) share() int { return p.size / max(1, len(p.recent)) }

// surplus takes out of the pool what is more than a kind's share.
func (p *pool) surplus() []*waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := map[kind]int{}
	for _, c := range p.recent {
		left[kindOf(c)] = p.share()
	}
	var over []*waiting
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiting) bool {
		left[w.kind]--
		if left[w.kind] >= 0 {
			return false
		}
		over = append(over, w)
		return true
	})
	return over
}

// missing gives a kind that has less than its share.
func (p *pool) missing() (box.Config, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := map[kind]int{}
	for _, w := range p.waiting {
		have[w.kind]++
	}
	for _, c := range p.recent {
		if have[kindOf(c)] < p.share() {
			return c, true
		}
	}
	return box.Config{}, false
}

// forget makes no further boxes of a kind, until a run asks for one.
func (p *pool) forget(k kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recent = slices.DeleteFunc(p.recent, func(c box.Config) bool { return kindOf(c) == k })
}

// add makes a box and puts it into the pool.
func (p *pool) add(ctx context.Context, c box.Config) error {
	w, err := p.make(ctx, c)
	if err != nil {
		return err
	}
	p.mu.Lock()
	if !p.closed {
		p.waiting = append(p.waiting, w)
		w = nil
	}
	n := len(p.waiting)
	p.mu.Unlock()
	if w != nil {
		return p.discard(ctx, w)
	}
	p.say(fmt.Sprintf("a box is ready: %d of %d", n, p.size))
	return nil
}

func (p *pool) make(ctx context.Context, c box.Config) (w *waiting, err error) {
	w = &waiting{kind: kindOf(c)}
	if w.id, w.lock, err = p.daemon.store.create(); err != nil {
		return nil, err
	}
	c.ID, c.Dir = w.id, p.daemon.store.dir(w.id)
	if w.journal, err = box.NewJournal(c.Dir); err == nil {
		c.Journal = w.journal
		w.box, err = p.daemon.host.Ready(ctx, c)
	}
	if failed, ok := errors.AsType[*box.StartError](err); ok {
		w.account = failed.Teardown
	}
	if err != nil {
		return nil, errors.Join(err, p.discard(ctx, w))
	}
	return w, nil
}

// discard ends a box that no run gets. Nothing of it is left, or its mark stays
// and the next proofbox command tries again.
func (p *pool) discard(ctx context.Context, w *waiting) error {
	ctx = context.WithoutCancel(ctx)
	account, err := w.account, error(nil)
	if w.box != nil {
		account, err = w.box.Close(ctx)
	}
	if w.journal != nil {
		err = errors.Join(err, w.journal.Close())
	}
	if !box.Clean(account) {
		err = errors.Join(err, fmt.Errorf("something of the ready box %q is left on the host", w.id))
	}
	if err == nil {
		err = errors.Join(p.daemon.store.settle(w.id), p.daemon.store.forget(w.id))
	}
	return errors.Join(err, w.lock.Close())
}

// drain ends the pool and every box in it. The context of fill has ended.
func (p *pool) drain() error {
	if p == nil {
		return nil
	}
	<-p.done
	p.mu.Lock()
	left := p.waiting
	p.waiting, p.closed = nil, true
	p.mu.Unlock()
	var err error
	for _, w := range left {
		err = errors.Join(err, p.discard(context.Background(), w))
	}
	return err
}
