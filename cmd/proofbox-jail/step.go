package main

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/jail"
)

// folder makes a folder. One that is there already gets the mode and owner.
func (r *root) folder(d jail.Dir) error {
	return r.at(d.Path, func(dir int, base string) error {
		if err := unix.Mkdirat(dir, base, 0o700); err != nil && err != unix.EEXIST {
			return err
		}
		fd, err := r.beneath(d.Path, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Fchown(fd, d.Owner, d.Owner); err != nil {
			return err
		}
		return unix.Fchmod(fd, unixMode(d.Mode))
	})
}

func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	if m&fs.ModeSticky != 0 {
		mode |= unix.S_ISVTX
	}
	return mode
}

func (r *root) link(l jail.Link) error {
	return r.at(l.Path, func(dir int, base string) error {
		return unix.Symlinkat(l.Target, dir, base)
	})
}

func (r *root) file(f jail.File) error {
	return r.at(f.Path, func(dir int, base string) error {
		fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(fd), f.Path)
		defer file.Close()
		if _, err := file.Write(f.Data); err != nil {
			return err
		}
		if err := unix.Fchown(fd, f.Owner, f.Owner); err != nil {
			return err
		}
		return unix.Fchmod(fd, unixMode(f.Mode))
	})
}

// whiteout makes an overlay whiteout, which the kernel allows without a
// privilege since Linux 5.8.
func (r *root) whiteout(w jail.Whiteout) error {
	return r.at(w.Path, func(dir int, base string) error {
		return unix.Mknodat(dir, base, unix.S_IFCHR, 0)
	})
}

// cloneSources opens every bind's source on the host as a detached mount with
// its restrictions, before anything is mounted over a source.
func cloneSources(plan jail.Plan, attached []int) ([]int, error) {
	fds := make([]int, len(plan.Steps))
	for i, s := range plan.Steps {
		if s.Bind == nil {
			continue
		}
		fd, err := cloneSource(*s.Bind, attached, plan.Setuid)
		if err != nil {
			return nil, err
		}
		fds[i] = fd
	}
	return fds, nil
}

func cloneSource(b jail.Bind, attached []int, setuid bool) (int, error) {
	if b.Source == "" {
		if b.Attached < 0 || b.Attached >= len(attached) {
			return -1, fmt.Errorf("the plan's mount %d for %q did not come with it", b.Attached, b.Target)
		}
		fd := attached[b.Attached]
		return fd, restrict(fd, b, setuid)
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, b.Source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, fmt.Errorf("opening %q for the jail: %w", b.Source, err)
	}
	return fd, restrict(fd, b, setuid)
}

// restrict takes from a detached mount what the bind does not give.
func restrict(fd int, b jail.Bind, setuid bool) error {
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID}
	if setuid {
		attr.Attr_set = 0
	}
	if !b.Devices {
		attr.Attr_set |= unix.MOUNT_ATTR_NODEV
	}
	if !b.Writable {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("restricting the mount for %q: %w", b.Target, err)
	}
	return nil
}

// bind puts a detached mount in its place, which is made where it is missing.
func (r *root) bind(b jail.Bind, source int) error {
	return r.at(b.Target, func(dir int, base string) error {
		if err := mountPoint(dir, base, b.Folder); err != nil {
			return err
		}
		// Without MOVE_MOUNT_T_SYMLINKS a link at the mount point is refused.
		return unix.MoveMount(source, "", dir, base, unix.MOVE_MOUNT_F_EMPTY_PATH)
	})
}

func mountPoint(dir int, base string, folder bool) error {
	if folder {
		if err := unix.Mkdirat(dir, base, 0o755); err != unix.EEXIST {
			return err
		}
		return nil
	}
	fd, err := unix.Openat(dir, base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err == unix.EEXIST {
		return nil
	}
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func (r *root) tmpfs(t jail.Tmpfs) error {
	if err := r.folder(jail.Dir{Path: t.Target, Mode: 0o755}); err != nil {
		return err
	}
	data := fmt.Sprintf("size=%d,nr_inodes=%d,mode=%o", t.Size, t.Inodes, unixMode(t.Mode))
	if err := unix.Mount("tmpfs", foundation+t.Target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		return fmt.Errorf("mounting a tmpfs on %q in the jail: %w", t.Target, err)
	}
	return nil
}

// overlay mounts the writable copy. "volatile" leaves out syncing to a disk
// that is thrown away; redirects, metacopy and inode indexes are off because
// the upper layer is read back without the kernel's help.
func (r *root) overlay(o jail.Overlay) error {
	if err := r.folder(jail.Dir{Path: o.Target, Mode: 0o755}); err != nil {
		return err
	}
	lower := make([]string, len(o.Lower))
	for i, l := range o.Lower {
		lower[i] = foundation + l
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,userxattr,volatile,index=off,metacopy=off,xino=off",
		strings.Join(lower, ":"), foundation+o.Upper, foundation+o.Work)
	if err := unix.Mount("overlay", foundation+o.Target, "overlay", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		return fmt.Errorf("mounting the writable copy: %w", err)
	}
	return nil
}
