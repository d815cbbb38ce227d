package door

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// MinEntropy is how many bytes of randomness a guest's generator needs at
// least: twice its 256 bits.
const MinEntropy = 64

// WakeUp is the first frame to a box that has a kernel of its own. Such a box
// may be one of many copies of a saved guest: until this frame it knows nothing
// that tells it from the others, and nothing secret.
type WakeUp struct {
	// Entropy is fresh and random, at least [MinEntropy] bytes.
	Entropy []byte `json:"entropy"`
	// Time is what the guest's clock is set to.
	Time     time.Time `json:"time"`
	Hostname string    `json:"hostname"`
	// Pids is how many tasks there may be beside the threads of the box's
	// process 1, and Memory how many bytes they may have, with their files in
	// memory.
	Pids   int   `json:"pids"`
	Memory int64 `json:"memory"`
	// Workspace says that the disk for it holds the frozen original, Data that
	// the disk for data sets holds any.
	Workspace bool `json:"workspace,omitempty"`
	Data      bool `json:"data,omitempty"`
	// Filter is the list of system calls as a program for the guest's kernel:
	// struct sock_filter, 8 bytes each, of the guest's byte order. See
	// seccomp(2). It is empty where a trial leaves it out.
	Filter []byte `json:"filter"`
	// Rehearsal is nil but where it is only tried: the guest does with a box that it
	// takes down again what it will do when it is woken, with this setup, and awaits
	// its wake-up. The answer has no limit.
	Rehearsal *Setup `json:"rehearsal,omitempty"`
	// Weak is nil but in a box of a trial.
	Weak *Weak `json:"weak,omitempty"`
}

// Weak is what a trial leaves out of a box inside its guest, so that an attack
// begins where somebody has taken the guest's kernel over.
type Weak struct {
	Root       bool `json:"root,omitempty"`       // the box's processes are user 0 and have every capability
	Unfiltered bool `json:"unfiltered,omitempty"` // their system calls are not filtered
	Unmasked   bool `json:"unmasked,omitempty"`   // nothing of /proc is covered
	Unwoken    bool `json:"unwoken,omitempty"`    // the guest keeps its clock and its generator
	// Planted are files that the box sees in its root.
	Planted []Planted `json:"planted,omitempty"`
}

// Planted is a file that everybody in a box of a trial can read, or a folder.
type Planted struct {
	Path   string `json:"path"` // absolute, in the box
	Folder bool   `json:"folder,omitempty"`
	Data   []byte `json:"data,omitempty"`
}

// unfiltered says that no filter is wanted.
func (w WakeUp) unfiltered() bool { return w.Weak != nil && w.Weak.Unfiltered && len(w.Filter) == 0 }

// Woken answers a [WakeUp].
type Woken struct {
	// Memory is the limit that is in force: a guest's kernel and its process 1
	// need some of the machine's memory themselves.
	Memory int64  `json:"memory"`
	Error  string `json:"error,omitempty"`
}

// Wake tells a guest who it is and awaits its answer; only then is there a door
// that can be opened with [Open]. After an error the guest is of no use. The
// connection stays the caller's.
func Wake(ctx context.Context, conn net.Conn, w WakeUp) (Woken, error) {
	if err := w.check(); err != nil {
		return Woken{}, err
	}
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return Woken{}, fmt.Errorf("waking the guest: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	woken, err := wake(conn, w)
	if !stop() {
		err = errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		return Woken{}, fmt.Errorf("waking the guest: %w", err)
	}
	return woken, conn.SetDeadline(time.Time{})
}

func wake(conn net.Conn, w WakeUp) (woken Woken, err error) {
	if err := WriteFrame(conn, w); err != nil {
		return woken, err
	}
	if err := ReadFrame(conn, MaxAnswer, &woken); err != nil {
		return woken, err
	}
	if woken.Error != "" {
		return woken, fmt.Errorf("it answers %q", woken.Error)
	}
	return woken, nil
}

// check refuses what no guest may be woken with.
func (w WakeUp) check() error {
	switch {
	case len(w.Entropy) < MinEntropy:
		return fmt.Errorf("waking a guest with %d bytes of entropy: it needs %d", len(w.Entropy), MinEntropy)
	case (len(w.Filter) == 0 || len(w.Filter)%8 != 0) && !w.unfiltered():
		return fmt.Errorf("waking a guest with a system call filter of %d bytes", len(w.Filter))
	case w.Pids <= 0 || w.Memory <= 0:
		return fmt.Errorf("waking a guest with limits of %d tasks and %d bytes of memory", w.Pids, w.Memory)
	case w.Hostname == "" || w.Time.IsZero():
		return errors.New("waking a guest without a hostname or the time")
	}
	return nil
}

// Await reads the host's [WakeUp] in the guest. It is as strict as the host's
// side, so that a guest is not woken by less.
func Await(conn io.Reader) (WakeUp, error) {
	var w WakeUp
	if err := ReadFrame(conn, MaxFrame, &w); err != nil {
		return w, err
	}
	return w, w.check()
}
