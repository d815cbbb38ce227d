package guest

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Where process 1 has what the box writes, the frozen original, and data sets.
const (
	scratch = "/scratch"
	lower   = "/original"
	data    = "/data"
	upper   = scratch + "/upper"
)

// boxUser is the ID of the box's user and group, as behind every wall.
const boxUser = 1000

// mount is one that is not in any namespace yet, and where the box sees it.
type mount struct {
	fd     int
	target string
}

// scratchOptions leave out what is for a disk that is kept: barriers, and the
// preparing of inodes in the background. See the kernel's
// Documentation/admin-guide/ext4.rst.
const scratchOptions = "nobarrier,noinit_itable"

// mountScratch mounts the disk for all that the box writes, and gives what of it
// the box sees as it is: /tmp, the home folder and the canary. That is so when
// the machine is saved; every box continues with a copy of the disk of then.
func mountScratch() (list []mount, err error) {
	if err := mountDisk(scratchDisk, scratch, "ext4", 0, scratchOptions); err != nil {
		return nil, err
	}
	if err := furnish(); err != nil {
		return nil, fmt.Errorf("preparing the scratch: %w", err)
	}
	return scratchMounts()
}

// scratchMounts are the parts of the scratch that the box sees as they are.
func scratchMounts() (list []mount, err error) {
	for _, part := range [][2]string{{"tmp", "/tmp"}, {"home", "/home/box"}, {"canary", "/run/proofbox/canary"}} {
		if list, err = cloned(list, scratch+"/"+part[0], part[1]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// mountWorkspace makes the writable copy of the frozen original, or of nothing.
func mountWorkspace(original bool) ([]mount, error) {
	if err := os.MkdirAll(lower, 0o755); err != nil {
		return nil, err
	}
	var err error
	if original {
		err = mountDisk(workDisk, lower, "erofs", unix.MS_RDONLY, "")
	} else {
		err = os.Chown(lower, boxUser, boxUser)
	}
	if err != nil {
		return nil, err
	}
	copied, err := overlay(lower, upper, scratch+"/work")
	if err != nil {
		return nil, err
	}
	return []mount{{copied, "/workspace"}}, nil
}

// mountData mounts the data sets for the box.
func mountData(list []mount) ([]mount, error) {
	if err := mountDisk(dataDisk, data, "erofs", unix.MS_RDONLY, ""); err != nil {
		return nil, err
	}
	return cloned(list, data, "/data")
}

// cloned adds a clone of what is mounted at a path.
func cloned(list []mount, path, target string) ([]mount, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cloning the mount for %q: %w", target, err)
	}
	return append(list, mount{fd, target}), nil
}

// mountDisk mounts a disk. After the machine was saved it may be another one,
// if it was not mounted then: the kernel has forgotten what it knew of a disk
// that nobody had open.
func mountDisk(serial, target, kind string, flags uintptr, options string) error {
	device, err := disk(serial)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(device, target, kind, flags|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOATIME, options); err != nil {
		return fmt.Errorf("mounting the disk %s: %w", serial, err)
	}
	return nil
}

// furnish makes the folders of an empty scratch.
func furnish() error {
	for _, d := range []struct {
		name  string
		mode  uint32
		owner int
	}{{"upper", 0o755, boxUser}, {"work", 0o700, 0}, {"tmp", 0o1777, boxUser}, {"home", 0o700, boxUser}} {
		path := scratch + "/" + d.name
		if err := errors.Join(unix.Mkdir(path, 0o700), unix.Chown(path, d.owner, d.owner), unix.Chmod(path, d.mode)); err != nil {
			return fmt.Errorf("making %q: %w", path, err)
		}
	}
	canary := scratch + "/canary"
	return errors.Join(os.WriteFile(canary, nil, 0o600), unix.Chown(canary, boxUser, boxUser))
}

// overlay makes the writable copy, with the options that it has in a jail:
// "volatile" leaves out syncing to a disk that is thrown away; redirects,
// metacopy and inode indexes are off, because the upper layer is read without
// the kernel's help.
func overlay(lower, upper, work string) (int, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("opening the overlay file system type: %w", err)
	}
	defer unix.Close(fs)
	for _, o := range [][2]string{
		{"lowerdir", lower},
		{"upperdir", upper},
		{"workdir", work},
		{"index", "off"},
		{"metacopy", "off"},
		{"xino", "off"},
	} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return -1, fmt.Errorf("configuring the writable copy: %s: %w", o[0], err)
		}
	}
	for _, flag := range []string{"userxattr", "volatile"} {
		if err := unix.FsconfigSetFlag(fs, flag); err != nil {
			return -1, fmt.Errorf("configuring the writable copy: %s: %w", flag, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("making the writable copy: %w", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return -1, fmt.Errorf("mounting the writable copy: %w", err)
	}
	return fd, nil
}

// show puts mounts into the box. Only a thread of its own can enter the box's
// mount namespace; the runtime ends it, because it stays locked.
func (b *box) show(mounts []mount) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- b.enterAndShow(mounts)
	}()
	return <-done
}

func (b *box) enterAndShow(mounts []mount) error {
	space, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", b.pid))
	if err != nil {
		return fmt.Errorf("opening the box's mount namespace: %w", err)
	}
	defer space.Close()
	// Threads share their root and current folder, which the kernel changes on
	// entering.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leaving the other threads: %w", err)
	}
	if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("entering the box's mount namespace: %w", err)
	}
	for _, m := range mounts {
		if err := unix.MoveMount(m.fd, "", unix.AT_FDCWD, m.target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("showing %q to the box: %w", m.target, err)
		}
		if err := unix.Close(m.fd); err != nil {
			return err
		}
	}
	return nil
}
