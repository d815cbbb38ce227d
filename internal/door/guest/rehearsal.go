package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"proofbox/internal/door"
)

// Where a rehearsal has its writable copy.
const (
	rehearsed     = scratch + "/rehearsal"
	rehearsalTime = 10 * time.Second // for the command; the host waits not much longer
)

// rehearse does once what waking this machine and the first command will do, with
// a box that it takes down again: a processor that is emulated has translated all of
// that then, and memory that was saved is there. Nothing of it is left but the
// kernel's own numbers, and nobody has a secret yet.
func (m *machine) rehearse(w door.WakeUp) error {
	if err := renew(w); err != nil {
		return fmt.Errorf("rehearsing: %w", err)
	}
	group, err := makeGroup("rehearsal")
	if err != nil {
		return fmt.Errorf("rehearsing: %w", err)
	}
	b, err := startLater(group, door.Weak{})
	if err == nil {
		err = m.play(group, b, w)
		err = errors.Join(err, b.leave())
	}
	if err = errors.Join(err, group.remove(), os.RemoveAll(rehearsed)); err == nil {
		m.available, err = availableMemory()
	}
	if err != nil {
		return fmt.Errorf("rehearsing: %w", err)
	}
	return nil
}

// play wakes the box of a rehearsal and has it run a command, by a door of its own.
func (m *machine) play(g *group, b *box, w door.WakeUp) error {
	copied, err := rehearsalCopy()
	if err != nil {
		return err
	}
	if err := errors.Join(g.limitMemory(min(w.Memory, m.available)), b.show([]mount{{copied, "/workspace"}})); err != nil {
		return err
	}
	if err := b.confine(w.Filter); err != nil {
		return err
	}
	host, port := net.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- (&machine{port: port, group: g, box: b, pids: w.Pids, available: m.available}).serve()
	}()
	err = runThrough(host, *w.Rehearsal)
	if err == nil {
		<-served // that the door has closed, which is its only end
	}
	return err
}

// rehearsalCopy makes a writable copy of nothing.
func rehearsalCopy() (int, error) {
	folders := []string{rehearsed + "/lower", rehearsed + "/upper", rehearsed + "/work"}
	for _, f := range folders {
		if err := os.MkdirAll(f, 0o700); err != nil {
			return -1, err
		}
	}
	return overlay(folders[0], folders[1], folders[2])
}

// runThrough opens the door, runs a command as a box's first one and closes it.
func runThrough(conn net.Conn, setup door.Setup) error {
	ctx, cancel := context.WithTimeout(context.Background(), rehearsalTime)
	defer cancel()
	d, err := door.Open(ctx, conn)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = d.Close() }) // what waits hears it
	defer stop()
	if _, err = d.Setup(ctx, setup); err == nil {
		err = runOnce(ctx, d)
	}
	return errors.Join(err, d.Close())
}

// runOnce runs a shell. That the image has none, or that it does not go well, is the
// image's matter.
func runOnce(ctx context.Context, d *door.Door) error {
	p, err := d.Start(ctx, door.Command{
		Args: []string{"sh", "-c", "echo"}, Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, Dir: "/", Stdin: true,
	}, door.Stdio{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard})
	if err != nil {
		return err
	}
	_, _ = p.Wait()
	return nil
}
