package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// foundation is where the jail's root is put together before the jail moves
// into it. What the host has there is out of sight of the jail afterwards
// anyway; every source is opened before the folder is covered.
const foundation = "/tmp"

// rootSize bounds what the jail's root itself holds: folders, links, small
// files and the runtime's state.
const rootSize = 64 << 20

// buildRoot carries out the plan's steps with the mounts that came with it,
// moves this process into the new root and returns the plan's scratch folder.
func buildRoot(plan jail.Plan, attached []int) (*os.File, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("detaching from the host's mounts: %w", err)
	}
	sources, err := cloneSources(plan, attached)
	if err != nil {
		return nil, err
	}
	root, err := newRoot(plan.Program.Confine != nil)
	if err != nil {
		return nil, err
	}
	for i, step := range plan.Steps {
		if err := root.carryOut(step, sources[i]); err != nil {
			return nil, err
		}
	}
	if err := root.enter(); err != nil {
		return nil, err
	}
	if err := count(plan.Counts); err != nil {
		return nil, err
	}
	if plan.Program.Confine != nil {
		if err := seal(); err != nil {
			return nil, err
		}
	}
	scratch, err := os.Open(plan.Scratch)
	if err != nil {
		return nil, fmt.Errorf("opening the scratch folder: %w", err)
	}
	return scratch, nil
}

// count sets bounds of this process's user namespace. A kernel that does not count
// something has no name for it.
func count(bounds map[string]int) error {
	for name, most := range bounds {
		err := os.WriteFile("/proc/sys/user/"+name, []byte(strconv.Itoa(most)), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("bounding what the jail's users may have: %w", err)
		}
	}
	return nil
}

// root is the new root while it is built. Every path is resolved beneath it
// and through no symbolic link, because links of an image lie in it.
type root struct{ fd int }

// newRoot makes an empty one but for /proc. A program that may have been taken
// over finds only processes there, and nothing of the host's kernel; see
// Documentation/filesystems/proc.rst.
func newRoot(confined bool) (*root, error) {
	data := fmt.Sprintf("mode=755,size=%d", rootSize)
	if err := unix.Mount("jail", foundation, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		return nil, fmt.Errorf("mounting the jail's root: %w", err)
	}
	fd, err := unix.Open(foundation, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the jail's root: %w", err)
	}
	r := &root{fd: fd}
	if err := r.folder(jail.Dir{Path: "/proc", Mode: 0o555}); err != nil {
		return nil, err
	}
	shown := ""
	if confined {
		shown = "subset=pid"
	}
	if err := unix.Mount("proc", foundation+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, shown); err != nil {
		return nil, fmt.Errorf("mounting the jail's /proc: %w; a host whose own /proc is partly covered does not allow it", err)
	}
	return r, nil
}

func (r *root) carryOut(s jail.Step, source int) error {
	switch {
	case s.Dir != nil:
		return r.folder(*s.Dir)
	case s.Link != nil:
		return r.link(*s.Link)
	case s.File != nil:
		return r.file(*s.File)
	case s.Bind != nil:
		return r.bind(*s.Bind, source)
	case s.Tmpfs != nil:
		return r.tmpfs(*s.Tmpfs)
	case s.Overlay != nil:
		return r.overlay(*s.Overlay)
	case s.Whiteout != nil:
		return r.whiteout(*s.Whiteout)
	}
	return fmt.Errorf("a step of the plan says nothing to do")
}

// enter makes the new root the root of this process and lets go of the host's.
func (r *root) enter() error {
	if err := unix.Fchdir(r.fd); err != nil {
		return fmt.Errorf("entering the jail's root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("letting go of the host's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("entering the jail's root: %w", err)
	}
	return nil
}

// seal makes the new root itself read-only: who is confined has no need to write
// there.
func seal() error {
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", 0, &attr); err != nil {
		return fmt.Errorf("making the jail's root read-only: %w", err)
	}
	return nil
}

// beneath resolves a path in the new root to a descriptor.
func (r *root) beneath(name string, flags uint64) (int, error) {
	rel := strings.TrimPrefix(path.Clean(name), "/")
	if rel == "" {
		rel = "."
	}
	fd, err := unix.Openat2(r.fd, rel, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, fmt.Errorf("opening %q in the jail: %w", name, err)
	}
	return fd, nil
}

// parent makes the folders above name and opens the last one.
func (r *root) parent(name string) (fd int, base string, err error) {
	dir, base := path.Split(path.Clean(name))
	if fd, err = r.beneath(dir, unix.O_PATH|unix.O_DIRECTORY); err == nil {
		return fd, base, nil
	}
	if err := r.makeAll(dir); err != nil {
		return -1, "", err
	}
	fd, err = r.beneath(dir, unix.O_PATH|unix.O_DIRECTORY)
	return fd, base, err
}

func (r *root) makeAll(dir string) error {
	at := "/"
	for part := range strings.SplitSeq(strings.Trim(path.Clean(dir), "/"), "/") {
		fd, err := r.beneath(at, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		err = unix.Mkdirat(fd, part, 0o755)
		unix.Close(fd)
		at = path.Join(at, part)
		if err != nil && err != unix.EEXIST {
			return fmt.Errorf("making the folder %q in the jail: %w", at, err)
		}
	}
	return nil
}

// at runs make with the parent folder of name.
func (r *root) at(name string, make func(dir int, base string) error) error {
	dir, base, err := r.parent(name)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := make(dir, base); err != nil {
		return fmt.Errorf("making %q in the jail: %w", name, err)
	}
	return nil
}
