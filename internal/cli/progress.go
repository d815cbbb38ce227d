package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"proofbox"
	"proofbox/internal/terminal"
)

// progressAfter is how long a step takes before it is named.
const progressAfter = 500 * time.Millisecond

// progress names a long step on a terminal, on one line that is erased
// afterwards. Elsewhere it says nothing.
type progress struct {
	to io.Writer // nil where there is no terminal

	mu    sync.Mutex
	timer *time.Timer // guarded by mu
	shown bool        // guarded by mu
}

func (a *app) newProgress() *progress {
	if !isTerminal(a.stderr) {
		return &progress{}
	}
	return &progress{to: a.stderr}
}

// hear takes an event.
func (p *progress) hear(e proofbox.Event) {
	p.stop()
	if p.to == nil || e.Progress == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(progressAfter, func() { p.show(e.Progress) })
}

func (p *progress) show(step string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		return // it ended just now
	}
	p.shown = true
	fmt.Fprintf(p.to, "\r\x1b[K… %s", terminal.Name(step))
}

// stop ends the step and erases its line.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if p.shown {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.shown = false
	}
}
