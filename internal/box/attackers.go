package box

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"proofbox/internal/box/jail"
)

// Processes lists the processes of the box as the host counts, without what only
// serves it; where a trial has left out the box's user namespace, all but the
// jail's own.
func (b *Box) Processes() ([]int, error) {
	family, err := jail.Family(b.jail.PID, b.door)
	if err != nil {
		return nil, fmt.Errorf("listing the box's processes: %w", err)
	}
	if b.config.Weakness.HostUsers {
		return family, nil
	}
	own, err := userSpaceOf(b.jail.PID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(family, func(pid int) bool {
		space, err := userSpaceOf(pid)
		gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
		return gone || err == nil && space == own
	}), nil
}
