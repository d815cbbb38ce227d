package door

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// Visit is one connection that a process of the box has made to where its
// gateway seems to be. What comes out of it is hostile.
type Visit struct {
	*yamux.Stream
	door   *Door
	once   sync.Once
	closed atomic.Bool
	reads  sync.RWMutex // held for reading by each Read
}

var _ net.Conn = (*Visit)(nil)

// Accept waits for the next visit. It waits with the others while [MaxVisits]
// are open; those that the box opens meanwhile fill a short queue and are then
// reset.
func (d *Door) Accept() (*Visit, error) {
	select {
	case d.visits <- struct{}{}:
	case <-d.Done():
		return nil, fmt.Errorf("waiting for a visit: %w", net.ErrClosed)
	}
	s, err := d.session.AcceptStream()
	if err != nil {
		<-d.visits
		return nil, fmt.Errorf("waiting for a visit: %w", err)
	}
	select {
	case <-d.Done(): // which also frees the places of all visits
		<-d.visits
		return nil, errors.Join(fmt.Errorf("waiting for a visit: %w", net.ErrClosed), s.Close())
	default:
	}
	return &Visit{Stream: s, door: d}, nil
}

// CloseWrite says that nothing more will be written. What the box writes can
// still be read.
func (v *Visit) CloseWrite() error { return v.Stream.Close() }

// Read implements [net.Conn].
func (v *Visit) Read(p []byte) (int, error) {
	v.reads.RLock()
	defer v.reads.RUnlock()
	if v.closed.Load() {
		return 0, net.ErrClosed
	}
	return v.Stream.Read(p)
}

// Close ends the visit, and a Read that waits. It counts as open until the box has ended it too: what
// a stream holds of this process's memory is free only then.
func (v *Visit) Close() error {
	v.once.Do(func() {
		v.closed.Store(true)
		_ = v.Stream.SetReadDeadline(time.Unix(1, 0)) // yamux knows no fault here
		go v.drain()
	})
	return v.Stream.Close()
}

// drain drops what the box still sends, until it ends the visit or the door
// closes.
func (v *Visit) drain() {
	v.reads.Lock()
	_ = v.Stream.SetReadDeadline(time.Time{})
	v.reads.Unlock()
	_, _ = io.Copy(io.Discard, v.Stream)
	<-v.door.visits
}
