package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"proofbox/internal/box/proc"
	"proofbox/internal/door"
)

// boxRoot is where the box's root is mounted until the box moves into it.
const boxRoot = "/box"

// fixed are the mounts that every box has, as an OCI runtime makes them for the
// other walls.
var fixed = []struct {
	target, kind string
	flags        uintptr
	data         string
}{
	{"/proc", "proc", unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV, ""},
	{"/dev", "tmpfs", unix.MS_NOSUID | unix.MS_NOEXEC, "mode=755,size=64k"},
	{"/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"},
	{"/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV, "mode=1777,size=64m"},
}

// nodes are the devices that a box has, by their numbers; see
// Documentation/admin-guide/devices.txt of the kernel.
var nodes = map[string][2]uint32{
	"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9}, "tty": {5, 0},
}

// links are those of a box's /dev.
var links = map[string]string{
	"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
}

// buildRoot mounts the box's root with what belongs into it and makes it the
// root of this mount namespace. Nobody without rights comes below what covers
// the initramfs: the kernel has no way to leave that behind altogether.
func buildRoot(weak door.Weak) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("parting from the machine's mounts: %w", err)
	}
	if err := mountRoot(len(weak.Planted) > 0); err != nil {
		return err
	}
	for _, m := range fixed {
		if err := mountFixed(m.target, m.kind, m.flags, m.data); err != nil {
			return err
		}
		if m.target == "/dev" {
			if err := makeDevices(); err != nil {
				return err
			}
		}
	}
	if !weak.Unmasked {
		if err := coverProc(); err != nil {
			return err
		}
	}
	return moveInto(boxRoot)
}

// mountRoot mounts the disk with the box's root, below what a trial has planted.
func mountRoot(planted bool) error {
	if planted {
		return mountPlanted()
	}
	return mountDisk(rootDisk, boxRoot, "erofs", unix.MS_RDONLY, "")
}

func mountFixed(target, kind string, flags uintptr, data string) error {
	err := unix.Mount(kind, boxRoot+target, kind, flags, data)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the box's root has no folder %q", target)
	}
	if err != nil {
		return fmt.Errorf("mounting %q: %w", target, err)
	}
	return nil
}

func makeDevices() error {
	unix.Umask(0)
	defer unix.Umask(0o022)
	for name, number := range nodes {
		if err := unix.Mknod(boxRoot+"/dev/"+name, unix.S_IFCHR|0o666, int(unix.Mkdev(number[0], number[1]))); err != nil {
			return fmt.Errorf("making the device %s: %w", name, err)
		}
	}
	for name, target := range links {
		if err := os.Symlink(target, boxRoot+"/dev/"+name); err != nil {
			return err
		}
	}
	return errors.Join(os.Mkdir(boxRoot+"/dev/pts", 0o755), os.Mkdir(boxRoot+"/dev/shm", 0o755))
}

// coverProc hides and protects parts of the box's /proc.
func coverProc() error {
	for _, path := range proc.Masked {
		if err := mask(boxRoot + path); err != nil {
			return fmt.Errorf("masking %q: %w", path, err)
		}
	}
	for _, path := range proc.ReadOnly {
		if err := protect(boxRoot + path); err != nil {
			return fmt.Errorf("protecting %q: %w", path, err)
		}
	}
	return nil
}

// mask covers a file with the empty one, and a folder with an empty one.
func mask(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // this kernel does not have it
	case err != nil:
		return err
	case info.IsDir():
		return unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=0")
	}
	return unix.Mount(boxRoot+"/dev/null", path, "", unix.MS_BIND, "")
}

func protect(path string) error {
	err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, "")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

// moveInto makes a mount the root, over the initramfs, which pivot_root(2)
// cannot replace; see the kernel's
// Documentation/filesystems/ramfs-rootfs-initramfs.rst.
func moveInto(path string) error {
	if err := unix.Chdir(path); err != nil {
		return fmt.Errorf("entering the box's root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving the box's root over the machine's: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("moving into the box's root: %w", err)
	}
	return unix.Chdir("/")
}
