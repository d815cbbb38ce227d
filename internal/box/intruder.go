package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"proofbox"
	"proofbox/internal/box/jail"
)

// Intruder is a program in the place of a machine's monitor, in the same jail and
// with the same confinement: what somebody has who has taken the monitor over.
// Only a trial has one.
type Intruder struct {
	box             *Box
	doors, monitors *doorListener
	template        *template
}

// intruderPath is where the jail has the intruder's program.
const intruderPath = "/intruder"

// intrusion is the program that is started in the monitor's place.
type intrusion struct {
	program string // on the host
	args    []string
	out     io.Writer
}

// Intrude starts a program of the host, with its arguments, where the box that
// the config declares would have its monitor. The box is not started. What the
// program writes goes to out.
func (h *Host) Intrude(ctx context.Context, c Config, program string, args []string, out io.Writer) (*Intruder, error) {
	m, ok := c.Runtime.(Machine)
	if !ok {
		return nil, fmt.Errorf("the wall %q has no monitor that could be taken over", c.Runtime.Wall())
	}
	b := &Box{config: c, log: &boundedLog{left: maxLog}, intrusion: &intrusion{program, args, out}}
	b.guest = &guest{machine: m, init: h.Init, console: newConsole(b.log)}
	i := &Intruder{box: b}
	ctx, cancel := context.WithTimeoutCause(ctx, machineStartLimit, fmt.Errorf("the jail was not built within %v", machineStartLimit))
	defer cancel()
	if err := i.start(ctx, h); err != nil {
		_, closeErr := i.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("starting a program in the monitor's place: %w", errors.Join(err, closeErr))
	}
	return i, nil
}

func (i *Intruder) start(ctx context.Context, h *Host) (err error) {
	b := i.box
	if err := b.reserve(h); err != nil {
		return err
	}
	if i.template, err = b.chooseTemplate(ctx, h); err != nil {
		return err
	}
	if i.doors, err = listen(b.config.Dir, "door", b.note); err != nil {
		return err
	}
	if i.monitors, err = listen(b.config.Dir, "monitor", b.note); err != nil {
		return err
	}
	if err := b.startJail(ctx, h, i.doors.path); err != nil {
		return err
	}
	b.door, err = jail.First(b.jail.PID)
	return err
}

// Ended gives the status of the program when it has ended.
func (i *Intruder) Ended() <-chan int { return i.box.jail.Status() }

// Processes lists the program's processes, as the host counts.
func (i *Intruder) Processes() ([]int, error) { return i.box.Processes() }

// Close ends the program and takes everything down, with an account of it.
func (i *Intruder) Close(ctx context.Context) ([]proofbox.HostObject, error) {
	account, err := i.box.Close(ctx)
	for _, l := range []*doorListener{i.doors, i.monitors} {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	i.template.release()
	return account, err
}

// intrude puts the program into the jail that was drawn for a monitor, with what
// a trial shows of the host.
func (b *Box) intrude(sheet *blueprint, monitor jail.Program) (jail.Program, error) {
	if b.intrusion == nil {
		return monitor, nil
	}
	if err := sheet.source(b.intrusion.program, jail.Bind{Target: intruderPath}); err != nil {
		return monitor, err
	}
	for _, o := range b.config.Weakness.Binds {
		info, err := os.Stat(o.Source)
		if err != nil {
			return monitor, fmt.Errorf("opening the host to a trial: %w", err)
		}
		if err := sheet.source(o.Source, jail.Bind{Target: o.Target, Folder: info.IsDir()}); err != nil {
			return monitor, err
		}
	}
	monitor.Path, monitor.Args = intruderPath, append([]string{"intruder"}, b.intrusion.args...)
	return monitor, nil
}
