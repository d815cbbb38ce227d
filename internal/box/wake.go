package box

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"

	"proofbox/internal/door"
)

// entropyBytes is how much fresh randomness a guest is woken with.
const entropyBytes = 256

// wake tells the guest whom it is for. Until then it
// knows nothing that other guests of the same kind do not know.
func (b *Box) wake(ctx context.Context, conn net.Conn) error {
	weak, filter, err := b.weakGuest()
	if err != nil {
		return err
	}
	b.guest.woken, err = door.Wake(ctx, conn, door.WakeUp{
		Entropy: freshEntropy(), Time: time.Now(), Hostname: b.config.Hostname,
		Pids: b.config.Limits.Pids, Memory: int64(b.config.Limits.Memory),
		Workspace: b.config.Workspace != nil, Data: len(b.config.Data) > 0, Filter: filter, Weak: weak,
	})
	if err == nil && b.guest.woken.Memory > int64(b.config.Limits.Memory) {
		err = fmt.Errorf("waking the guest: it says that its box may have %d bytes of memory, and was told %d", b.guest.woken.Memory, b.config.Limits.Memory)
	}
	return err
}

func freshEntropy() []byte {
	entropy := make([]byte, entropyBytes)
	rand.Read(entropy) // never fails, see its documentation
	return entropy
}

// rehearse has the guest try what it will be woken for. It hears nothing of whom it
// will be for, because others may continue from it.
func (b *Box) rehearse(ctx context.Context, conn net.Conn) error {
	filter, err := b.guest.machine.Guest()
	if err != nil {
		return err
	}
	_, err = door.Wake(ctx, conn, door.WakeUp{
		Entropy: freshEntropy(), Time: time.Now(), Hostname: "rehearsal", Pids: 64, Memory: 64 << 20, Filter: filter,
		Rehearsal: &door.Setup{Landlock: landlockRules(nil)},
	})
	if err != nil {
		return fmt.Errorf("as a rehearsal: %w", err)
	}
	return nil
}

// weakGuest gives what the guest leaves out of the box for a trial, nil in every
// other box, and the filter of its system calls.
func (b *Box) weakGuest() (*door.Weak, []byte, error) {
	w := b.config.Weakness
	planted, err := plantedFor(w.Binds)
	if err != nil {
		return nil, nil, err
	}
	weak := &door.Weak{Root: w.Root, Unfiltered: w.Calls, Unmasked: w.Masks, Unwoken: w.Unwoken, Planted: planted}
	if w.Calls {
		return weak, nil, nil
	}
	if !w.Root && !w.Masks && !w.Unwoken && len(planted) == 0 {
		weak = nil
	}
	filter, err := b.guest.machine.Guest()
	return weak, filter, err
}

// awaitReady waits until the guest has booted.
func (b *Box) awaitReady(ctx context.Context) error {
	select {
	case <-b.guest.console.ready:
		return nil
	case status := <-b.jail.Status():
		return fmt.Errorf("the guest did not boot: its machine ended with status %d", status)
	case <-b.jail.Gone():
		return errors.Join(errors.New("the guest did not boot: the jail ended"), b.jail.Fault())
	case <-ctx.Done():
		return fmt.Errorf("the guest did not boot: %w", context.Cause(ctx))
	}
}
