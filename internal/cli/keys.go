package cli

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// keys is a terminal that keys are read from. The key Esc sends one byte, with which
// the sequences of other keys begin; who reads it has to wait whether more comes.
// keys waits as long as that takes over a network, and gives Esc a sequence of its own,
// that of the kitty keyboard protocol, after which nobody waits longer.
type keys struct{ *os.File }

const (
	escape      = '\x1b'
	escapeAsCSI = "[27u" // after the byte itself
	escapeTime  = 20 * time.Millisecond
)

// Read implements [io.Reader].
func (k keys) Read(p []byte) (int, error) {
	if len(p) <= len(escapeAsCSI) {
		return k.File.Read(p)
	}
	n, err := k.File.Read(p[:len(p)-len(escapeAsCSI)])
	if err != nil || n == 0 || p[n-1] != escape {
		return n, err
	}
	more, err := k.comes(escapeTime)
	if err != nil || more {
		return n, err
	}
	return n + copy(p[n:], escapeAsCSI), nil
}

// comes says whether something can be read within a time.
func (k keys) comes(within time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(k.Fd()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(within.Milliseconds()))
		if err == nil {
			return n > 0, nil
		}
		if err != unix.EINTR {
			return false, fmt.Errorf("waiting for a key: %w", err)
		}
	}
}
