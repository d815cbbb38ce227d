package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"proofbox/internal/breakout/order"
)

// spawn starts this program anew as a child that waits, with attributes by which
// it comes to be what an attack is about. It ends with this process.
func spawn(attr syscall.SysProcAttr) error { return spawnProgram("/proc/self/exe", attr, "wait") }

func spawnProgram(path string, attr syscall.SysProcAttr, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &attr
	if _, err := cmd.StdinPipe(); err != nil { // its end is the child's end
		return err
	}
	return cmd.Start()
}

// childTime is how long a child may take for its report. One whose thread the
// kernel has ended has none. A child that starts hundreds of threads has longer.
const (
	childTime = time.Second
	bombTime  = 20 * time.Second
)

// spawnAndHear starts this program anew to make an attack, and waits for its
// report.
func spawnAndHear(attr syscall.SysProcAttr, within time.Duration, args ...string) error {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.SysProcAttr = &attr
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	silent := time.AfterFunc(within, func() {
		_ = cmd.Process.Kill()
		_ = out.Close() // where nothing may be killed
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	silent.Stop()
	if err != nil {
		return fmt.Errorf("the child says nothing: %w", err)
	}
	r, found := order.Find(bytes.Clone(line))
	if !found {
		return errors.New("the child says nonsense")
	}
	return childSaid{r}
}

// childSaid is what a child has reported, in the form of an error.
type childSaid struct{ order.Report }

func (c childSaid) Error() string { return fmt.Sprintf("the child says %q", c.Said) }

// heardOf has a child make an attack that may end the thread which makes it, and
// gives the child's report.
func heardOf(args ...string) order.Report { return heardWithin(childTime, args...) }

func heardWithin(within time.Duration, args ...string) order.Report {
	err := spawnAndHear(syscall.SysProcAttr{}, within, args...)
	if child, ok := errors.AsType[childSaid](err); ok {
		return child.Report
	}
	return said(err, "")
}
