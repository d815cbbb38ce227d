package box

import (
	"context"
	"errors"

	"proofbox"
)

// TakeDown ends the box and releases every object that it made, each verified
// gone. It may be called at any point of the box's life and more than once;
// the account is the same. What the box wrote stays readable through
// [Box.Upper] until [Box.Close].
func (b *Box) TakeDown(ctx context.Context) []proofbox.HostObject {
	b.downOnce.Do(func() {
		if b.watching != nil {
			b.watching()
		}
		if b.jail != nil {
			b.halt()
			<-b.jail.Gone()
		}
		if b.Door != nil {
			b.Door.Close()
		}
		for _, f := range b.files {
			f.Close() // devices, which the journal's account verifies
		}
		b.teardown = append(b.earlier, Release(ctx, b.noted(false))...)
	})
	return b.teardown
}

// noted gives the objects that the box has made: those that hold what it wrote,
// which Close releases, or all others.
func (b *Box) noted(written bool) []Object {
	b.mu.Lock()
	defer b.mu.Unlock()
	var objects []Object
	for _, o := range b.objects {
		if written == (o.Kind == LoopDevice || o.Name == b.writtenDir()) {
			objects = append(objects, o)
		}
	}
	return objects
}

// Close lets go of what the box wrote, and gives the whole account.
func (b *Box) Close(ctx context.Context) ([]proofbox.HostObject, error) {
	account := b.TakeDown(ctx)
	var err error
	if b.jail != nil && b.jail.Scratch != nil {
		err = b.jail.Scratch.Close()
	}
	account = append(account, Release(ctx, b.noted(true))...)
	if b.identity != nil {
		err = errors.Join(err, b.identity.Release())
	}
	return account, err
}

// Reap releases whatever the run in dir has left on the host. It must only be
// called when the run's supervisor is known to be dead.
func Reap(ctx context.Context, dir string) ([]proofbox.HostObject, error) {
	objects, err := readJournal(dir)
	if err != nil {
		return nil, err
	}
	return Release(ctx, objects), nil
}

// Clean says whether every object of an account is gone.
func Clean(account []proofbox.HostObject) bool {
	for _, o := range account {
		if !o.Gone {
			return false
		}
	}
	return true
}
