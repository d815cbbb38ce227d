package box

import (
	"bytes"
	"io"
	"sync"
)

// readyLine is what a guest says on its console when it waits to be woken; it is
// guest.ReadyLine of internal/door/guest, which is not for the host to import.
const readyLine = "proofbox: ready"

// maxLine bounds how much of one line a console looks at.
const maxLine = 4 << 10

// console is what comes out of a guest's console, which is hostile from the wake
// on: it hands everything to a bounded log, looks for the one line that it
// waits for, and keeps the last line for whoever asks why the guest broke off.
type console struct {
	log   io.Writer
	ready chan struct{} // closed at the line

	mu   sync.Mutex
	seen bool   // guarded by mu, as the others
	line []byte // the line that is being written
	last []byte // the last whole one that says something
}

func newConsole(log io.Writer) *console {
	return &console{log: log, ready: make(chan struct{})}
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for part := range bytes.Lines(p) {
		c.line = append(c.line, part[:min(len(part), maxLine-len(c.line))]...)
		if part[len(part)-1] == '\n' {
			c.finish()
		}
	}
	return c.log.Write(p)
}

// finish looks at a whole line. The caller holds mu.
func (c *console) finish() {
	line := bytes.TrimSpace(c.line)
	if !c.seen && string(line) == readyLine {
		c.seen = true
		close(c.ready)
	}
	if len(line) > 0 {
		c.last = append(c.last[:0], line...)
	}
	c.line = c.line[:0]
}

// lastLine is the last line that said something.
func (c *console) lastLine() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.last)
}
