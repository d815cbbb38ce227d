package box

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"proofbox"
)

// bytesPerInode is how much of the disk limit there is to one file, so that a
// tree of small files fits.
const bytesPerInode = 8 << 10

// scratchDisk makes the file system that everything a box writes goes to, of
// exactly the size of the disk limit: an ext4 file system in a file, which
// only root can mount. It returns a detached mount and the loop device below it;
// both must be closed.
func (h *Host) scratchDisk(c Config, owner int, note func(Object) error) (mount, device *os.File, err error) {
	template, err := h.diskTemplate(c.Limits.Disk)
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(c.Dir, "scratch.ext4")
	if err := note(Object{Kind: FilePath, Name: path}); err != nil {
		return nil, nil, err
	}
	disk, err := copySparse(template, path)
	if err != nil {
		return nil, nil, err
	}
	defer disk.Close()
	device, err = attachLoop(disk, note)
	if err != nil {
		return nil, nil, err
	}
	mount, err = mountDisk(device.Name(), owner)
	if err != nil {
		return nil, nil, errors.Join(err, device.Close())
	}
	return mount, device, nil
}

// diskTemplate gives an empty file system of a size, made once.
func (h *Host) diskTemplate(size proofbox.Size) (string, error) {
	dir := filepath.Join(h.State, "cache", "scratch")
	path := filepath.Join(dir, size.String()+".ext4")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the scratch templates' folder: %w", err)
	}
	temp, err := os.CreateTemp(dir, "new-*")
	if err != nil {
		return "", fmt.Errorf("making a scratch template: %w", err)
	}
	defer os.Remove(temp.Name())
	if err := errors.Join(temp.Truncate(int64(size)), temp.Close()); err != nil {
		return "", fmt.Errorf("making a scratch template: %w", err)
	}
	mkfs := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", "-i", fmt.Sprint(bytesPerInode),
		"-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", temp.Name())
	mkfs.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := mkfs.CombinedOutput(); err != nil {
		return "", fmt.Errorf("making a file system of %s for the disk limit: %w: %q", size, err, out)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return "", fmt.Errorf("storing a scratch template: %w", err)
	}
	return path, nil
}

// copySparse copies a file's data and leaves its holes holes.
func copySparse(from, to string) (*os.File, error) {
	src, err := os.Open(from)
	if err != nil {
		return nil, fmt.Errorf("opening the scratch template: %w", err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the scratch disk: %w", err)
	}
	if err := copyData(dst, src); err != nil {
		return nil, errors.Join(fmt.Errorf("filling the scratch disk: %w", err), dst.Close())
	}
	return dst, nil
}

func copyData(dst, src *os.File) error {
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if err := dst.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); ; {
		from, err := unix.Seek(int(src.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // nothing but a hole is left
		}
		if err != nil {
			return err
		}
		to, err := unix.Seek(int(src.Fd()), from, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		part := io.NewSectionReader(src, from, to-from)
		if _, err := io.Copy(io.NewOffsetWriter(dst, from), part); err != nil {
			return err
		}
		at = to
	}
}

// mountDisk mounts a device nowhere, for a jail to take in, and gives its root
// to the jail's own root.
func mountDisk(node string, owner int) (*os.File, error) {
	fsfd, err := unix.Fsopen("ext4", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("opening the ext4 file system type: %w", err)
	}
	defer unix.Close(fsfd)
	if err := unix.FsconfigSetString(fsfd, "source", node); err != nil {
		return nil, fmt.Errorf("choosing the scratch disk: %w", err)
	}
	// What is on the disk never outlives the run, so nothing is gained by
	// writing it in order, or by preparing the inodes that are not used yet.
	for _, option := range []string{"nobarrier", "noinit_itable"} {
		if err := unix.FsconfigSetFlag(fsfd, option); err != nil {
			return nil, fmt.Errorf("choosing the scratch disk's options: %w", err)
		}
	}
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return nil, fmt.Errorf("reading the scratch disk: %w", err)
	}
	fd, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOATIME)
	if err != nil {
		return nil, fmt.Errorf("mounting the scratch disk: %w", err)
	}
	mount := os.NewFile(uintptr(fd), "scratch disk")
	if err := unix.Fchownat(fd, "", owner, owner, unix.AT_EMPTY_PATH); err != nil {
		return nil, errors.Join(fmt.Errorf("giving the scratch disk to the jail: %w", err), mount.Close())
	}
	return mount, nil
}

// fullBelow is how much may be left of a full file system: ext4 keeps some
// blocks for itself and refuses a write that would need them.
const fullBelow = 128 << 10

// full says whether nothing more can be written to the file system of a file.
func full(f *os.File) bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false
	}
	return int64(st.Bavail)*st.Bsize < fullBelow || st.Ffree == 0
}

// DiskEnforcement says by which means this host enforces the disk limit.
func DiskEnforcement() proofbox.Enforcement {
	if os.Geteuid() != 0 {
		return proofbox.Enforcement{By: "file system (tmpfs)", Weaker: "what the box writes is held in the host's memory"}
	}
	if _, err := os.Stat("/dev/loop-control"); errors.Is(err, fs.ErrNotExist) {
		return proofbox.Enforcement{By: "file system (tmpfs)", Weaker: "this host has no loop devices, so what the box writes is held in its memory"}
	}
	if !haveMkfs() {
		return proofbox.Enforcement{By: "file system (tmpfs)", Weaker: "mkfs.ext4 is not installed, so what the box writes is held in the host's memory; install e2fsprogs"}
	}
	return proofbox.Enforcement{By: "file system (ext4)"}
}

func haveMkfs() bool {
	for _, path := range []string{"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"} {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	_, err := exec.LookPath("mkfs.ext4")
	return err == nil
}
