package box

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
	"proofbox/internal/door"
)

// Weakness is what a trial takes from a wall on purpose: an attempt that the
// whole wall stops must succeed without the protection that is meant to stop
// it, or the attempt proves nothing. The zero value takes nothing.
//
// It is part of [Config] alone, which is made by the daemon for a trial of its
// own; no declaration of a box, no request and no file can name it. What a box
// was started without is in the record of its run.
type Weakness struct {
	// Binds shows pieces of the host that no plan lists.
	Binds []Opening
	// Root makes everything in the box user 0 with every capability of the
	// box's own user namespace.
	Root bool
	// HostUsers leaves out the user namespaces: whoever is root in the box is
	// root on the host. Only root can start such a box.
	HostUsers bool
	// Calls lifts the list of system calls.
	Calls bool
	// Network, IPC, UTS and Groups share the host's namespaces.
	Network, IPC, UTS, Groups bool
	// Rlimits leaves out the limits of single processes, and of what the kernel
	// counts for the box's users.
	Rlimits bool
	// Environment gives the box the environment of proofbox itself.
	Environment bool
	// Processes shares the process IDs of the jail around the box.
	Processes bool
	// Masks shows and opens what is masked or read-only of /proc.
	Masks bool
	// Setuid lets set-user-ID bits work, and with them the gain of privileges;
	// it lifts Landlock, which does not go with it.
	Setuid bool
	// Landlock leaves out the second layer below the wall.
	Landlock bool
	// WritableRoot lets the box write the folders of its root; what the image
	// shows stays read-only.
	WritableRoot bool
	// Gateway puts a proxy in the gateway's place that decides nothing.
	Gateway bool
	// Unwoken leaves a guest the clock and the generator of random numbers that it
	// was saved with.
	Unwoken bool
	// Unguarded takes saved guests as they are found, and leaves them where
	// everybody can read them.
	Unguarded bool
}

// Opening shows Source of the host at Target in the box.
type Opening struct {
	Source, Target string
	Writable       bool
	Devices        bool // device nodes work
}

// None says that nothing is taken from the wall.
func (w Weakness) None() bool { return len(w.Names()) == 0 }

// OfMachine says that nothing is taken but what a [Machine] can go without:
// namespaces of its jail, the gateway, what a saved guest needs before it is
// used, and what holds the box inside its guest.
func (w Weakness) OfMachine() bool {
	w.Unwoken, w.Unguarded = false, false
	w.Network, w.IPC, w.UTS, w.Groups, w.Gateway = false, false, false, false, false
	w.Root, w.Calls, w.Masks, w.Landlock, w.Environment = false, false, false, false, false
	w.Binds = slices.DeleteFunc(slices.Clone(w.Binds), func(o Opening) bool { return !o.Writable && !o.Devices })
	return w.None()
}

// maxPlanted bounds what of the host's files is copied into a guest, in bytes.
const maxPlanted = 1 << 20

// plantedFor reads the files that openings show, for a guest, which cannot be
// shown any and gets copies. What is no file and no folder is left out.
func plantedFor(openings []Opening) (list []door.Planted, err error) {
	left := maxPlanted
	for _, o := range openings {
		err := filepath.WalkDir(o.Source, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() && !d.Type().IsRegular() {
				return err
			}
			p := door.Planted{Path: filepath.Join(o.Target, strings.TrimPrefix(path, o.Source)), Folder: d.IsDir()}
			if !p.Folder {
				p.Data, err = os.ReadFile(path)
			}
			list, left = append(list, p), left-len(p.Data)
			if left < 0 {
				err = fmt.Errorf("%w: %q has more than a guest can be given", ErrNotWeaker, o.Source)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("opening the host to a trial: %w", err)
		}
	}
	return list, nil
}

// Names says in words what is taken from the wall, for the record.
func (w Weakness) Names() []string {
	var names []string
	for _, s := range []struct {
		set  bool
		name string
	}{
		{w.Root, "root in the box"},
		{w.HostUsers, "no user namespace"},
		{w.Calls, "no list of system calls"},
		{w.Network, "the host's network"},
		{w.IPC, "the host's IPC namespace"},
		{w.UTS, "the host's UTS namespace"},
		{w.Groups, "the host's cgroup namespace"},
		{w.Rlimits, "no limits of processes and of the box's users"},
		{w.Environment, "proofbox's own environment"},
		{w.Processes, "the jail's processes"},
		{w.Masks, "nothing masked in /proc"},
		{w.Setuid, "set-user-ID bits work"},
		{w.Landlock, "no Landlock"},
		{w.WritableRoot, "a writable root"},
		{w.Gateway, "a gateway that decides nothing"},
		{w.Unwoken, "the clock and the generator of the saved guest"},
		{w.Unguarded, "saved guests that nobody guards"},
	} {
		if s.set {
			names = append(names, s.name)
		}
	}
	for _, b := range w.Binds {
		names = append(names, b.text())
	}
	return names
}

func (o Opening) text() string {
	mode := "readable"
	if o.Writable {
		mode = "writable"
	}
	return fmt.Sprintf("the host's %s %s", o.Source, mode)
}

// unconfined says that nothing restricts what process 1 may do with files.
func (w Weakness) unconfined() bool { return w.Landlock || w.Setuid || w.WritableRoot }

// ErrNotWeaker is a runtime's answer to a weakness that it cannot have: its wall
// has no such protection to leave out.
var ErrNotWeaker = errors.New("this wall has no such protection to leave out")

// Opened is where in the jail the host side of Weak.Binds[n] is.
func (l Layout) Opened(n int) string { return fmt.Sprintf("/opened/%d", n) }

// shared gives the flags of the namespaces that the jail goes without.
func (w Weakness) shared() (flags uintptr) {
	for _, s := range []struct {
		set  bool
		flag uintptr
	}{
		{w.HostUsers, unix.CLONE_NEWUSER},
		{w.Network, unix.CLONE_NEWNET},
		{w.IPC, unix.CLONE_NEWIPC},
		{w.UTS, unix.CLONE_NEWUTS},
		{w.Groups, unix.CLONE_NEWCGROUP},
	} {
		if s.set {
			flags |= s.flag
		}
	}
	return flags
}

// weaken puts the openings of a trial into the jail.
func (b *blueprint) weaken(w Weakness) error {
	for n, o := range w.Binds {
		info, err := os.Stat(o.Source)
		if err != nil {
			return fmt.Errorf("opening the host to a trial: %w", err)
		}
		err = b.source(o.Source, jail.Bind{
			Target: Layout{}.Opened(n), Folder: info.IsDir(), Devices: o.Devices,
			// With all powers of the host, a runtime would use what it can write.
			Writable: o.Writable && !w.HostUsers,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
