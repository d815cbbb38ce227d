package box

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/harvest"
)

// Bounds of the time in which a guest must have handed over what its box has
// written: a part for the asking, and one for the bytes, at a rate that an
// emulated machine reaches.
const (
	harvestTime = 30 * time.Second
	harvestRate = 8 << 20 // bytes per second
)

// harvesting is how a guest hands over what its box has written.
type harvesting struct {
	once sync.Once
	err  error // why it is lost; to be read when the jail is gone
}

// writtenDir is where what came out of a guest is put, as an overlay's upper
// layer. It stays until [Box.Close].
func (b *Box) writtenDir() string { return filepath.Join(b.config.Dir, "written") }

// halt ends the box. A guest is asked for what its box has written before; it
// ends all of the box's processes for that. halt does not wait.
func (b *Box) halt() {
	if b.guest == nil || b.Door == nil {
		b.jail.Kill()
		return
	}
	b.guest.harvest.once.Do(func() {
		go func() {
			defer b.jail.Kill()
			b.guest.harvest.err = b.gather()
		}()
	})
}

// gather takes over what the box has written to its copy of the workspace.
func (b *Box) gather() (err error) {
	if b.config.Workspace == nil {
		return nil
	}
	bytes := int64(b.config.Limits.Disk)
	ctx, cancel := context.WithTimeoutCause(context.Background(), harvestTime+time.Duration(bytes/harvestRate)*time.Second,
		errors.New("the guest took too long to hand over what was written"))
	defer cancel()
	if err := b.note(Object{Kind: Folder, Name: b.writtenDir()}); err != nil {
		return err
	}
	if err := os.Mkdir(b.writtenDir(), 0o700); err != nil {
		return fmt.Errorf("making a folder for what the box wrote: %w", err)
	}
	dir, err := os.Open(b.writtenDir())
	if err != nil {
		return fmt.Errorf("opening the folder for what the box wrote: %w", err)
	}
	defer dir.Close()
	changes, err := b.Door.Changes(ctx)
	if err != nil {
		return err
	}
	defer changes.Close()
	bounds := harvest.Bounds{Bytes: bytes, Entries: int(bytes / bytesPerInode), Owner: -1}
	if os.Geteuid() == 0 {
		bounds.Owner = b.identity.HostBox()
	}
	return harvest.Unpack(ctx, dir, changes, bounds)
}

// Scratch is the folder of all that a box on the host's kernel writes, also while
// it runs. That of a box with a kernel of its own is empty: what it writes is on
// a disk that the host does not look into.
func (b *Box) Scratch() *os.File { return b.jail.Scratch }

// Init is the box's process 1, as the host counts, behind a wall that has it on
// the host's kernel.
func (b *Box) Init() int { return b.door }

// Written gives what the box calls a path below [Box.Scratch].
func Written(scratch string) string {
	if name, ok := strings.CutPrefix(scratch, upperName+"/"); ok {
		return Workdir + "/" + name
	}
	return "/" + scratch
}

// Upper opens what the box has written to its copy of the workspace, as an
// overlay's upper layer. It can be read once the box is down, until [Box.Close].
func (b *Box) Upper() (*os.File, error) {
	if b.guest != nil {
		if b.guest.harvest.err != nil {
			return nil, b.guest.harvest.err
		}
		return os.Open(b.writtenDir())
	}
	fd, err := unix.Openat(int(b.jail.Scratch.Fd()), upperName, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening what the box wrote: %w", err)
	}
	return os.NewFile(uintptr(fd), "upper"), nil
}
